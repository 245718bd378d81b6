// Light or dark: what the system says, unless the user chose. Canvas colours come from the style sheet.

const THEME_KEY = "firsttoken.theme";
const THEMES = ["auto", "light", "dark"];
const DARK = matchMedia("(prefers-color-scheme: dark)");
const NAMES = [
  "bg",
  "panel",
  "ink",
  "dim",
  "faint",
  "line",
  "hover",
  "accent",
  "bad",
  "good",
  "span",
  "span-edge",
  "wait",
  "heat-0",
  "heat-1",
  "heat-2",
  "heat-3",
  "heat-4",
  "event_loop",
  "consumer",
  "provider",
  "stage",
  "thread_pool",
  "other",
];
const CAUSE_NAMES = new Set(["event_loop", "consumer", "provider", "stage", "thread_pool"]);
const listeners = new Set();
let colours = null;

/** Return the user's choice: `auto`, `light` or `dark`. */
export function themeChoice() {
  try {
    const kept = localStorage.getItem(THEME_KEY);
    return THEMES.includes(kept) ? kept : "auto";
  } catch {
    return "auto"; // a page opened from a file may have no storage
  }
}

/** Put the next theme on, and remember it. */
export function nextTheme() {
  const choice = THEMES[(THEMES.indexOf(themeChoice()) + 1) % THEMES.length];
  try {
    localStorage.setItem(THEME_KEY, choice);
  } catch {
    // not remembered, but put on
  }
  putTheme(choice);
  return choice;
}

/** Put a theme on; `auto` follows the system. */
export function putTheme(choice = themeChoice()) {
  document.documentElement.dataset.theme = choice === "auto" ? (DARK.matches ? "dark" : "light") : choice;
  colours = null;
  listeners.forEach((listener) => listener());
}

/** Call `listener` whenever the colours have changed. */
export function onTheme(listener) {
  listeners.add(listener);
}

/** Return the colours of the theme by name, and the font. */
export function palette() {
  if (colours) return colours;
  const style = getComputedStyle(document.documentElement);
  colours = Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  colours.font = style.getPropertyValue("--font").trim();
  colours.mono = style.getPropertyValue("--mono").trim();
  return colours;
}

/** Return the colour of a stall's cause. */
export function causeColour(cause) {
  return CAUSE_NAMES.has(cause) ? palette()[cause] : palette().other;
}

/** Return the colour of a gap, 0 for the shortest to 1 for the longest. */
export function heatColour(level) {
  return palette()[`heat-${Math.max(0, Math.min(4, Math.floor(level * 5)))}`];
}

DARK.addEventListener("change", () => putTheme());
