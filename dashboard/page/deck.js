// Which cards are open and where they stand. Up to ROOM designs are all open, in the page's order. With more, the
// stormiest stand open in front, storm first, and the others are folded behind them: name, hottest shard, key numbers.
//
// Invariants: what the reader opened or folded by hand stays so. Unless a design appears or the reader asks for another
// measure or workload, cards move at most once in SETTLE, however fast the storm changes its place, and never while a
// pointer or the focus is on them.

import { rank } from "./designs.js";
import { html } from "./dom.js";

/** Cards that stand open. */
const ROOM = 4;
/** Milliseconds for which an order stands. */
const SETTLE = 4000;

export class Deck {
  #open = html("div", { class: "deck open" });
  #folded = html("div", { class: "deck folded" });
  #byHand = new Map();
  #asked = "";
  #since = -Infinity;

  constructor(node) {
    this.node = node;
    node.append(this.#open, this.#folded);
    node.addEventListener("click", (event) => {
      const card = event.target.closest("section[data-strategy]");
      // A folded card opens wherever it is clicked; an open one folds by its button.
      if (!card || event.target.closest("a") || !(event.target.closest(".fold") || card.dataset.folded === "true")) return;
      const fold = card.dataset.folded !== "true";
      this.#byHand.set(card.dataset.series, fold);
      this.#fold(card, fold);
    });
  }

  /** Puts the cards ([{ node, series, heat }]) where they belong. `question` is what the heat is an answer to. */
  arrange(cards, question, now) {
    const many = cards.length > ROOM;
    this.node.classList.toggle("many", many);
    const asked = `${question}\n${cards.map((c) => c.series).sort().join("\n")}`;
    const settled = asked === this.#asked && (!many || now - this.#since < SETTLE || this.#busy());
    if (settled) return;
    this.#asked = asked;
    this.#since = now;
    const ordered = [...cards].sort((a, b) => (many ? b.heat - a.heat : 0) || rank(a.series) - rank(b.series));
    this.#place(this.#open, ordered.slice(0, many ? ROOM : ordered.length), false);
    this.#place(this.#folded, many ? ordered.slice(ROOM) : [], true);
  }

  #busy() {
    return this.node.matches(":hover") || this.node.contains(document.activeElement);
  }

  #place(deck, cards, folded) {
    cards.forEach(({ node, series }, i) => {
      if (deck.children[i] !== node) deck.insertBefore(node, deck.children[i] ?? null);
      this.#fold(node, this.node.classList.contains("many") && (this.#byHand.get(series) ?? folded));
    });
  }

  #fold(card, folded) {
    card.dataset.folded = folded;
    card.querySelector(".fold").setAttribute("aria-expanded", String(!folded));
  }
}
