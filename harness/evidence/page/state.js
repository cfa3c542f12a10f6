// The state of a page stands in its URL, behind the #: a link shows what its sender saw.
"use strict";

// defaults: name -> text. valid(name, text) says whether the page knows it. show(state) is called after every change.
function stateInUrl(defaults, valid, show) {
  let state = read();

  function read() {
    const asked = new URLSearchParams(location.hash.slice(1));
    const known = Object.keys(defaults).filter((name) => asked.has(name) && valid(name, asked.get(name)));
    return { ...defaults, ...Object.fromEntries(known.map((name) => [name, asked.get(name)])) };
  }

  function write() {
    const changed = Object.entries(state).filter(([name, value]) => value !== defaults[name]);
    const hash = new URLSearchParams(changed).toString();
    history.replaceState(null, "", location.href.split("#")[0] + (hash ? `#${hash}` : ""));
  }

  window.addEventListener("hashchange", () => { state = read(); show(state); });
  return {
    get: () => state,
    set(changes) {
      state = { ...state, ...changes };
      write();
      show(state);
    },
    // The same without showing anything anew, for what the page has already done itself.
    note(changes) {
      state = { ...state, ...changes };
      write();
    },
  };
}
