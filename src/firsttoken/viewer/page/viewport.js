// Which stretch of time is in sight, and where on the screen a moment lies. Pure.

const CLOSEST_S = 0.0002;
const MARGIN = 0.012;
const STEPS = [1, 2, 5];

/** A window on the time of a trace (seconds from its start), as wide as `width` pixels from `left`. */
export class Viewport {
  left = 0;
  width = 1;

  constructor(durationS) {
    this.extend(durationS);
    this.reset();
  }

  /** Let the whole be longer (a trace that grew); what is in sight stays, unless it was everything. */
  extend(durationS) {
    const everything = this.isWhole;
    const longest = Math.max(durationS, 0.001);
    this.first = -longest * MARGIN;
    this.last = longest * (1 + MARGIN);
    if (everything) this.reset();
  }

  /** Say where on the screen it is. */
  place(left, width) {
    this.left = left;
    this.width = Math.max(1, width);
  }

  /** Return the pixel of a moment. */
  x(timeS) {
    return this.left + ((timeS - this.from) / (this.to - this.from)) * this.width;
  }

  /** Return the moment of a pixel. */
  time(x) {
    return this.from + ((x - this.left) / this.width) * (this.to - this.from);
  }

  /** Return how many seconds a pixel is. */
  get secondsPerPixel() {
    return (this.to - this.from) / this.width;
  }

  get isWhole() {
    return this.from === undefined || (this.from <= this.first && this.to >= this.last);
  }

  /** Show everything. */
  reset() {
    this.from = this.first;
    this.to = this.last;
  }

  /** Show a stretch of time, as far as there is one. */
  show(from, to) {
    const span = Math.min(Math.max(to - from, CLOSEST_S), this.last - this.first);
    const middle = (from + to) / 2;
    this.from = Math.min(Math.max(middle - span / 2, this.first), this.last - span);
    this.to = this.from + span;
  }

  /** Make everything `factor` times as wide, holding the moment at pixel `x` where it is. */
  zoom(factor, x = this.left + this.width / 2) {
    const at = this.time(x);
    const span = Math.min(Math.max((this.to - this.from) / factor, CLOSEST_S), this.last - this.first);
    const share = (x - this.left) / this.width;
    const from = at - span * share;
    this.show(from, from + span);
  }

  /** Move by pixels. */
  pan(pixels) {
    const by = pixels * this.secondsPerPixel;
    this.show(this.from + by, this.to + by);
  }

  /** Return round moments in sight, about `spacing` pixels apart. */
  ticks(spacing = 110) {
    const least = this.secondsPerPixel * spacing;
    const power = 10 ** Math.floor(Math.log10(least));
    const step = power * ([...STEPS, 10].find((factor) => factor * power >= least) ?? 10);
    const ticks = [];
    for (
      let count = Math.max(0, Math.ceil(this.from / step));
      count * step <= Math.min(this.to, this.last);
      count += 1
    ) {
      ticks.push(count * step);
    }
    return ticks;
  }
}

/** Return the first index in ascending `times` whose value is at least `time`. */
export function firstAt(times, time) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
