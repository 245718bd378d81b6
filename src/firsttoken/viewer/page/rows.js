// A list of any length, of which only the rows in sight exist; and which holds still while it is read.

const OVERSCAN = 8;

/** Rows of one height in a scroller. `make(item)` builds a row, `keyOf` names it, `stampOf` says when it changed. */
export class VirtualRows {
  items = [];
  #made = new Map();
  #index = new Map();
  #wanted = false;

  constructor(scroller, spacer, { make, keyOf, stampOf, rowHeight, scrolled }) {
    Object.assign(this, { scroller, spacer, make, keyOf, stampOf, rowHeight });
    scroller.addEventListener(
      "scroll",
      () => {
        this.render();
        scrolled();
      },
      { passive: true },
    );
    new ResizeObserver(() => this.render()).observe(scroller);
  }

  /** Show other items. If `still`, what is in sight stays where it is; return how many rows came above it. */
  set(items, still) {
    const anchor = still ? this.#anchor(items) : null;
    this.items = items;
    this.#index = new Map(items.map((item, index) => [this.keyOf(item), index]));
    let above = 0;
    let top = this.scroller.scrollTop;
    if (anchor) {
      above = this.#index.get(anchor.key) - anchor.index;
      top += above * this.rowHeight();
    }
    this.#stretch(top);
    if (top !== this.scroller.scrollTop) this.scroller.scrollTop = top;
    this.render();
    return above;
  }

  /** Return the place of a row, or -1. */
  indexOf(key) {
    return this.#index.get(key) ?? -1;
  }

  /** Bring a row into sight. */
  reveal(index) {
    const high = this.rowHeight();
    const { scrollTop, clientHeight } = this.scroller;
    if (index * high < scrollTop) this.scroller.scrollTop = index * high;
    else if ((index + 1) * high > scrollTop + clientHeight) this.scroller.scrollTop = (index + 1) * high - clientHeight;
    this.render();
  }

  /** Draw soon, with everything made anew if `afresh`. */
  render(afresh = false) {
    if (afresh) {
      this.#made.forEach(({ element }) => element.remove());
      this.#made.clear();
      this.#stretch(this.scroller.scrollTop);
    }
    if (this.#wanted) return;
    this.#wanted = true;
    requestAnimationFrame(() => {
      this.#wanted = false;
      this.#draw();
    });
  }

  #anchor(items) {
    const kept = new Set(items.map(this.keyOf));
    const first = Math.floor(this.scroller.scrollTop / this.rowHeight());
    for (let index = first; index < this.items.length; index += 1) {
      const key = this.keyOf(this.items[index]);
      if (kept.has(key)) return { key, index };
    }
    return null;
  }

  #stretch(top) {
    // Rows that came above push what is read down only if there is room below to scroll by as much.
    const wanted = Math.max(this.items.length * this.rowHeight(), top > 0 ? top + this.scroller.clientHeight : 0);
    this.spacer.style.height = `${wanted}px`;
  }

  #draw() {
    const high = this.rowHeight();
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / high) - OVERSCAN);
    const last = Math.min(
      this.items.length,
      Math.ceil((this.scroller.scrollTop + this.scroller.clientHeight) / high) + OVERSCAN,
    );
    const shown = new Set();
    for (let index = first; index < last; index += 1) {
      const item = this.items[index];
      const key = this.keyOf(item);
      shown.add(key);
      this.#place(key, item, index, high);
    }
    for (const [key, { element }] of this.#made) {
      if (shown.has(key)) continue;
      element.remove();
      this.#made.delete(key);
    }
  }

  #place(key, item, index, high) {
    const stamp = this.stampOf(item);
    let row = this.#made.get(key);
    if (!row || row.stamp !== stamp) {
      const element = this.make(item);
      if (row) row.element.replaceWith(element);
      else this.spacer.append(element);
      row = { element, stamp };
      this.#made.set(key, row);
    }
    row.element.setAttribute("aria-rowindex", index + 2);
    row.element.style.transform = `translateY(${index * high}px)`;
  }
}
