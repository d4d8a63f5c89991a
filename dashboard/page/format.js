// Numbers and times as a person reads them. Invariant: what was not counted is said in words, never written as 0.

export const NOT_COUNTED = "not counted";
const THIN = "\u202f";
const STEPS = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

/** Is this a number that was measured? */
export const counted = (value) => typeof value === "number" && Number.isFinite(value);

/** Three significant digits, without an exponent. */
export function digits(value, figures = 3) {
  if (value === 0) return "0";
  const whole = Math.floor(Math.log10(Math.abs(value))) + 1;
  return value.toFixed(Math.max(0, Math.min(6, figures - whole)));
}

/** 1910000 -> "1.91 M". */
export function si(value, figures = 3, space = THIN) {
  for (const [size, letter] of STEPS) {
    if (Math.abs(value) >= size * 0.9995) return digits(value / size, figures) + space + letter;
  }
  return digits(value, figures);
}

/** Short enough for a cell of the grid: "1.9M". */
export const brief = (value) => si(value, 2, "");

/** Share of one as percent. */
export const percent = (value, figures = 3) => `${digits(value * 100, figures)}${THIN}%`;

/** A change with its sign and a true minus: "−87.3". */
export function signed(value) {
  const text = Math.abs(value).toFixed(1);
  if (Number(text) === 0) return "0.0";
  return (value < 0 ? "\u2212" : "+") + text;
}

/** Seconds in the unit that suits them. */
export function duration(seconds, figures = 3) {
  if (seconds === 0) return `0${THIN}ms`;
  if (seconds >= 1) return `${digits(seconds, figures)}${THIN}s`;
  if (seconds >= 1e-3) return `${digits(seconds * 1e3, figures)}${THIN}ms`;
  if (seconds >= 1e-6) return `${digits(seconds * 1e6, figures)}${THIN}µs`;
  return `${digits(seconds * 1e9, figures)}${THIN}ns`;
}

/** An injected delay as a sentence's end: "class 8192, shard 3, 500 ns". Text of another form is shown as it is. */
export function injection(text) {
  const words = { class: (v) => (v === "*" ? "every class" : `class ${v}`), shard: (v) => (v === "*" ? "every shard" : `shard ${v}`),
    delay: (v) => v.replace(/(\d)(ns|us|ms)$/, "$1 $2").replace("us", "µs") };
  const parts = text.split(",").map((part) => part.split("="));
  if (!parts.every(([key, value]) => Object.hasOwn(words, key) && value)) return text;
  return parts.map(([key, value]) => words[key](value)).join(", ");
}

/** How long ago, without decimals. */
export function ago(seconds) {
  if (seconds < 1) return "just now";
  if (seconds < 100) return `${Math.floor(seconds)} s ago`;
  if (seconds < 6000) return `${Math.floor(seconds / 60)} min ago`;
  return `${Math.floor(seconds / 3600)} h ago`;
}

/** Bytes in binary units: the label of a class is "8 KiB". */
export function bytes(value, figures = 3) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${Number.isInteger(value) ? value : digits(value, figures)} ${units[at]}`;
}

/** All digits, grouped, for those who want to know exactly. */
export const exact = (value) =>
  counted(value) ? value.toLocaleString("en-US", { maximumFractionDigits: Math.abs(value) < 1000 ? 5 : 0 }) : NOT_COUNTED;
