// Mouse, pen and fingers on the timeline: drag to pan, wheel or pinch to zoom, double click to reset.

const CLICK_PX = 4;
const LINE_PX = 16;
const WHEEL = 0.0022;

/** Turns what pointers do on `element` into calls of the timeline. */
export class Pointers {
  #down = new Map();
  #moved = 0;
  #start = null;
  #spread = 0;

  constructor(element, timeline) {
    Object.assign(this, { element, timeline });
    element.addEventListener("pointerdown", (event) => this.#press(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    element.addEventListener("pointerup", (event) => this.#release(event));
    element.addEventListener("pointercancel", (event) => this.#release(event));
    element.addEventListener("pointerleave", () => timeline.leave());
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    element.addEventListener("dblclick", () => {
      timeline.viewport.reset();
      timeline.invalidate();
    });
  }

  #point(event) {
    const box = this.element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  #press(event) {
    if (event.button !== 0) return;
    const point = this.#point(event);
    if (point.x >= this.element.clientWidth) return; // the scroll bar's
    this.#down.set(event.pointerId, point);
    this.#moved = 0;
    this.#spread = this.#distance();
    this.#start = { ...point, part: this.timeline.partAt(point.x, point.y) };
    this.element.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const point = this.#point(event);
    const before = this.#down.get(event.pointerId);
    if (!before) {
      this.timeline.hover(point.x, point.y, event.clientX, event.clientY);
      return;
    }
    this.#down.set(event.pointerId, point);
    this.#moved += Math.abs(point.x - before.x) + Math.abs(point.y - before.y);
    if (this.#down.size === 2) this.#pinch();
    else if (this.#start.part === "lanes" && this.#moved > CLICK_PX) {
      this.timeline.tooltip.hide();
      this.element.classList.add("dragging");
      this.timeline.viewport.pan(before.x - point.x);
    }
    this.timeline.invalidate();
  }

  #pinch() {
    const spread = this.#distance();
    if (this.#spread > 0 && spread > 0) {
      const [a, b] = this.#down.values();
      this.timeline.viewport.zoom(spread / this.#spread, (a.x + b.x) / 2);
    }
    this.#spread = spread;
  }

  #distance() {
    if (this.#down.size !== 2) return 0;
    const [a, b] = this.#down.values();
    return Math.abs(a.x - b.x);
  }

  #release(event) {
    if (!this.#down.delete(event.pointerId)) return;
    this.element.classList.remove("dragging");
    const point = this.#point(event);
    if (event.type === "pointercancel") return;
    if (this.#start.part === "minimap") this.timeline.lookAt(this.#start.x, point.x);
    else if (this.#moved <= CLICK_PX) this.timeline.click(point.x, point.y);
  }

  #wheel(event) {
    const point = this.#point(event);
    if (this.timeline.partAt(point.x, point.y) === "gutter") return; // names scroll as any list does
    event.preventDefault();
    const unit = event.deltaMode === 1 ? LINE_PX : 1;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      this.timeline.viewport.pan((event.deltaX || event.deltaY) * unit);
    } else {
      this.timeline.viewport.zoom(Math.exp(-event.deltaY * unit * WHEEL), point.x);
    }
    this.timeline.hover(point.x, point.y, event.clientX, event.clientY);
  }
}
