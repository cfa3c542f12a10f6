// Making elements of text. What a model wrote is shown as text, never as markup, and its control characters as signs.
"use strict";

const byId = (id) => document.getElementById(id);
const unique = (values) => [...new Set(values)];
const number = (value, digits = 2) => (value == null ? "n/a" : value.toFixed(digits));
const signed = (value, digits = 2) => (value == null ? "n/a" : (value < 0 ? "" : "+") + value.toFixed(digits));

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// ESC and the like as their pictures, marks that turn the direction of what follows by name.
function visible(text) {
  return text
    .replace(/[\u0000-\u0008\u000b-\u001f]/g, (sign) => String.fromCharCode(0x2400 + sign.charCodeAt(0)))
    .replace(/\u007f/g, "\u2421")
    .replace(/[\u0080-\u009f\u202a-\u202e\u2066-\u2069]/g, (sign) => `<U+${sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}>`);
}

function table(header, rows, properties = {}) {
  const head = element("thead", {}, element("tr", {}, ...header.map((text) => element("th", { scope: "col", textContent: text }))));
  const body = element("tbody", {}, ...rows);
  const scroll = element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "table" });
  scroll.append(element("table", properties, head, body));
  return scroll;
}

// A message where there is nothing to show, so that an empty page is never a riddle.
const note = (text) => element("p", { className: "note", textContent: text });
