// Small helpers that keep the other modules about their subject. Writes reach the DOM only when something changed:
// at five frames a second this is what keeps the page cheap.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** An HTML element with attributes and children. */
export const html = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);

/** An SVG element with attributes and children. */
export const svg = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

/** Sets the text if it differs. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/** Sets an attribute if it differs. */
export function attribute(node, name, value) {
  const wanted = String(value);
  if (node.getAttribute(name) !== wanted) node.setAttribute(name, wanted);
}

/** The one floating note of the page. It is moved, never copied. */
const note = html("div", { id: "note", role: "tooltip", hidden: "" });
let owner = null;

/** Shows lines ([strong?, text, text] rows) beside a rectangle of the viewport. */
export function showNote(who, title, rows, box) {
  if (!note.isConnected) document.body.append(note);
  owner = who;
  const list = html("dl");
  for (const [term, value, strong] of rows) {
    const row = html("div", strong ? { class: "strong" } : {}, html("dt", {}, term), html("dd", {}, value));
    list.append(row);
  }
  note.replaceChildren(html("b", {}, title), list);
  note.hidden = false;
  const { width, height } = note.getBoundingClientRect();
  const left = Math.min(Math.max(8, box.left + box.width / 2 - width / 2), document.documentElement.clientWidth - width - 8);
  const above = box.top - height - 8;
  note.style.left = `${left}px`;
  note.style.top = `${above >= 4 ? above : box.bottom + 8}px`;
}

/** Hides the note, if it is still this one's. */
export function hideNote(who) {
  if (owner !== who) return;
  owner = null;
  note.hidden = true;
}

/** Whose note is shown. */
export const noteOwner = () => owner;
