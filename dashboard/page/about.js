// About the designs: what each is, with a picture of its lists, made from designs.json (docs/DESIGNS.md is made from
// the same file). A design's name anywhere on the page leads here, to #design-NAME.
//
// Invariant: text from the file becomes text nodes and never markup; a design that the file does not know has no link.

import { look, swatch } from "./designs.js";
import { html, svg } from "./dom.js";

const known = new Set();
const anchor = (name) => `design-${name}`;

/** A design's name, as a link to what is said about it. */
export const nameOf = (name) => (known.has(name) ? html("a", { href: `#${anchor(name)}` }, name) : html("span", {}, name));

/** Words with `code` in them. */
const words = (text) => text.split("`").map((part, i) => (i % 2 ? html("code", {}, part) : part));

const BLOCK = 34;
const GAP = 16;
const LINE = 62;
const TALL = 30;

/** One list of a picture: its gates, its blocks, and what one pop takes. */
function list(row, y) {
  const parts = [svg("text", { class: "label", x: 0, y: y + 20 }, row.label)];
  let x = 96;
  const arrow = () => {
    parts.push(svg("path", { class: "arrow", d: `M${x} ${y + 15}h${GAP - 3}m-5 -4l5 4l-5 4` }));
    x += GAP;
  };
  for (const gate of row.gates) {
    const wide = 22 + gate.length * 8;
    parts.push(svg("rect", { class: `gate ${gate}`, x, y, width: wide, height: TALL, rx: 15 }),
      svg("text", { class: "inside", x: x + wide / 2, y: y + 20 }, gate));
    x += wide;
    arrow();
  }
  const wide = row.magazines ? BLOCK * 2 : BLOCK;
  const start = x;
  row.blocks.forEach((block, i) => {
    if (i > 0) arrow();
    const kind = i < (row.fresh ?? 0) ? "block fresh" : "block";
    // A magazine is drawn as the pile that it is.
    if (row.magazines) for (const d of [6, 3]) parts.push(svg("rect", { class: "block", x: x + d, y: y - d, width: wide - 6, height: TALL, rx: 6 }));
    parts.push(svg("rect", { class: kind, x, y, width: row.magazines ? wide - 6 : wide, height: TALL, rx: 6 }),
      svg("text", { class: "inside", x: x + (row.magazines ? wide - 6 : wide) / 2, y: y + 20 }, block));
    x += wide;
    if (i + 1 === row.take) {
      parts.push(svg("path", { class: "take", d: `M${start} ${y + TALL + 4}v5H${x}v-5` }));
    }
  });
  if (row.more) {
    arrow();
    parts.push(svg("text", { class: "label", x: x + 2, y: y + 19 }, "…"));
    x += 18;
  }
  return { parts, right: x };
}

function picture(design) {
  const lists = design.picture.map((row, i) => list(row, 8 + i * LINE));
  const width = Math.max(...lists.map(({ right }) => right)) + 4;
  const height = design.picture.length * LINE - 6;
  const said = design.picture.map((row) => `${row.label}: ${[...row.gates, ...row.blocks].join(" → ")}; ${row.note}`).join(". ");
  const notes = html("ul", {}, ...design.picture.map((row) => html("li", {}, html("b", {}, row.label), ` ${row.note}`)));
  return html("figure", { class: "lists" },
    svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": said }, ...lists.flatMap(({ parts }) => parts)), notes);
}

function article(design) {
  const facts = html("dl");
  const add = (term, ...value) => facts.append(html("dt", {}, term), html("dd", {}, ...value));
  add("A pop", ...words(design.pop));
  add("A push", ...words(design.push));
  add("Contended", ...words(design.contends));
  for (const [metric, says] of design.watch) add("Watch", html("code", {}, metric), ": ", ...words(says), ".");
  return html("details", { id: anchor(design.name), class: `about ${look(design.name).hue}` },
    html("summary", {}, swatch(design.name), html("b", {}, design.name), html("span", {}, design.short), html("small", {}, design.paper)),
    html("div", { class: "body" }, picture(design), html("p", {}, ...words(design.how)), facts));
}

/** Opens what the address names, and goes there. */
function show() {
  const node = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!node?.classList.contains("about")) return;
  node.open = true;
  node.firstElementChild.focus({ preventScroll: true });
  node.scrollIntoView({ block: "start" });
}

/** Fills `node`. A page that cannot have the texts does without them, and without links to them. */
export async function about(node) {
  try {
    const answer = await fetch("/designs.json");
    if (!answer.ok) throw new Error(String(answer.status));
    const { intro, designs } = await answer.json();
    for (const { name } of designs) known.add(name);
    node.append(...intro.map((text) => html("p", {}, ...words(text))),
      html("p", { class: "key" }, html("span", {}, html("i", { class: "taken" }), "taken by one pop"),
        html("span", {}, html("i", { class: "fresh" }), "just pushed"), html("span", {}, html("i", { class: "passed" }), "what has to be passed to change the list")),
      ...designs.map(article));
    node.parentNode.hidden = false;
    addEventListener("hashchange", show);
    // A second click on the same link changes no address.
    document.addEventListener("click", (event) => {
      if (event.target.closest?.("a")?.hash === location.hash && location.hash !== "") show();
    });
    show();
  } catch (error) {
    console.warn(`nothing can be said about the designs: ${error}`);
  }
}
