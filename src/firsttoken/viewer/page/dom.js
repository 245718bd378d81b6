// Elements from data. Whatever a span says becomes text or an attribute's value, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** Return an element. `props`: `class`, `on: {event: listener}`, properties of forms, else attributes. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** Return an SVG element; the same as `h`. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** Replace what is in an element. */
export function put(element, ...children) {
  element.replaceChildren(...children.flat(4).filter(shown));
  return element;
}

/** Return an address that may be followed: of this page, or plain HTTP; null for any other scheme. */
export function safeUrl(url) {
  return typeof url === "string" && /^(#|\/(?!\/)|https?:\/\/)/i.test(url) ? url : null;
}

/** Return text with a name for screen readers and a sign for eyes. */
export function signed(sign, text, props) {
  return h("span", props, h("span", { class: "sign", "aria-hidden": "true" }, sign), text);
}

/** Save text as a file. */
export function saveFile(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}

/** Put text on the clipboard; return whether that worked. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "offscreen", value: text, "aria-hidden": "true" });
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") Object.entries(value).forEach(([event, listener]) => element.addEventListener(event, listener));
    else if (["value", "checked", "selected", "indeterminate"].includes(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(4).filter(shown));
  return element;
}

function shown(child) {
  return child !== null && child !== undefined && child !== false;
}
