// Numbers, times and places as a person reads them. Pure.

const ABSENT = "–";
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** Return `0.35 ms`, `417 ms`, `1.64 s` or `2 m 05 s`: three digits, no more. */
export function formatSeconds(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return ABSENT;
  const size = Math.abs(seconds);
  if (size === 0) return "0 ms";
  if (size < 0.0009995) return `${digits(seconds * 1e6)} µs`;
  if (size < 0.9995) return `${digits(seconds * 1e3)} ms`;
  if (size < 59.95) return `${digits(seconds)} s`;
  const whole = Math.round(size);
  const rest = String(whole % 60).padStart(2, "0");
  return `${seconds < 0 ? "-" : ""}${Math.floor(whole / 60)} m ${rest} s`;
}

/** Return a moment of a stream, `2.813 s` or `496.3 ms`: exact enough to tell one chunk from the next. */
export function formatOffset(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return ABSENT;
  return Math.abs(seconds) < 1 ? `${(seconds * 1000).toFixed(1)} ms` : `${seconds.toFixed(3)} s`;
}

/** Return `41.6`, `259` or `1,600`. */
export function formatNumber(number) {
  if (number === null || number === undefined || Number.isNaN(number)) return ABSENT;
  if (Number.isInteger(number) || Math.abs(number) >= 1000) return Math.round(number).toLocaleString("en-US");
  return digits(number);
}

/** Return `1 stall`, `2 stalls`. */
export function formatCount(count, noun) {
  return `${formatNumber(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Return `14:05:09`, and the day before it if that is not today. */
export function formatClock(unixMs, now = Date.now()) {
  const today = DAY.format(now) === DAY.format(unixMs);
  return today ? CLOCK.format(unixMs) : `${DAY.format(unixMs)} ${CLOCK.format(unixMs)}`;
}

/** Return `20 Nov 2026, 14:05:09.123`. */
export function formatMoment(unixMs) {
  const millis = String(Math.floor(unixMs) % 1000).padStart(3, "0");
  return `${DAY.format(unixMs)}, ${CLOCK.format(unixMs)}.${millis}`;
}

/** Return `chat.py:107`: the last part of a path, with the line. */
export function formatPlace(file, line) {
  if (!file) return ABSENT;
  const name = file.split(/[\\/]/).pop();
  return line === null || line === undefined ? name : `${name}:${line}`;
}

/** Return `+12 %`, `-3 %`, or the dash if there is nothing to compare with. */
export function formatChange(now, before) {
  if (!before || now === null || now === undefined) return ABSENT;
  const percent = Math.round((now / before - 1) * 100);
  if (percent === 0) return "same";
  return percent > 900 ? `${digits(now / before)} times` : `${percent > 0 ? "+" : "−"}${Math.abs(percent)} %`;
}

/** Return `once`, `twice`, `3 times`. */
export function formatTimes(count) {
  return { 1: "once", 2: "twice" }[count] ?? `${formatNumber(count)} times`;
}

/** Return `a`, `a and b`, `a, b and c`. */
export function formatList(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** Return any attribute's value as text. */
export function formatValue(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function digits(number) {
  const size = Math.abs(number);
  const text = number.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
