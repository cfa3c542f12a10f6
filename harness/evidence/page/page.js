// The browser of answers: which rows are set side by side, in which order of prompts, and what is open.
"use strict";

const data = JSON.parse(byId("data").textContent);
const SIDES = ["left", "right"];
const ON_A_PAGE = { pair: 10, all: 1 }; // prompts shown together
const NAMES = data.rows.map((row) => `${row.method}.${row.iteration}.${row.pick}`);
const KEYS = { // what prompts are sorted by
  id: null,
  fooled: (left, prompt) => minus(answerOf(left, prompt)?.proxy, answerOf(left, prompt)?.gold),
  gold: (left, prompt) => answerOf(left, prompt)?.gold ?? null,
  difference: (left, prompt, right) => minus(answerOf(left, prompt)?.gold, answerOf(right, prompt)?.gold),
  tokens: (left, prompt) => answerOf(left, prompt)?.tokens ?? null,
  nll: (left, prompt) => answerOf(left, prompt)?.nll ?? null,
};
const DEFAULTS = {
  left: NAMES[data.start[0]], right: NAMES[data.start[1]], view: "pair", sort: "id", order: "high", q: "", trees: "", page: "1", prompt: "", open: "",
};
const page = stateInUrl(DEFAULTS, isKnown, show);

function isKnown(name, text) {
  if (SIDES.includes(name)) return NAMES.includes(text);
  const known = { view: Object.keys(ON_A_PAGE), sort: Object.keys(KEYS), order: ["high", "low"], trees: ["", "1"] }[name];
  if (known) return known.includes(text);
  return name !== "page" || /^[1-9]\d{0,5}$/.test(text);
}

// --- the data ---

const minus = (a, b) => (a == null || b == null ? null : a - b);
const PICKS = { value: ", picked by value", reward: ", picked by proxy", first: "" };
const labelOf = (row) => data.names[row.method] + (row.iteration ? `, iteration ${row.iteration}` : "") + (PICKS[row.pick] ?? `, picked by ${row.pick}`);

function answerOf(row, prompt) {
  const place = data.picks[row][prompt];
  if (place === null) return null;
  const [text, gold, proxy, nll, tokens, stop] = data.answers[prompt][place];
  return { text, gold, proxy, nll, tokens, stop };
}

function rowsOf(state) {
  const [left, right] = SIDES.map((side) => NAMES.indexOf(state[side]));
  return state.view === "all" ? { left, right, shown: data.rows.map((_, i) => i) } : { left, right, shown: unique([left, right]) };
}

function chosenPrompts(state) {
  const { left, right, shown } = rowsOf(state);
  const words = state.q.toLowerCase();
  const says = (text) => (text ?? "").toLowerCase().includes(words);
  const matches = (i) => says(data.prompts[i][0]) || says(data.prompts[i][1]) || shown.some((row) => says(answerOf(row, i)?.text));
  const hasTree = (i) => shown.some((row) => treeOf(row, i));
  const prompts = data.prompts.map((_, i) => i).filter((i) => (!words || matches(i)) && (!state.trees || hasTree(i)));
  if (!KEYS[state.sort]) return prompts;
  const keys = new Map(prompts.map((i) => [i, KEYS[state.sort](left, i, right)]));
  const sign = state.order === "high" ? -1 : 1;
  return prompts.sort((a, b) => {
    const [x, y] = [keys.get(a), keys.get(b)];
    if (x === null || y === null) return (x === null) - (y === null); // not scored: last
    return sign * (x - y);
  });
}

// --- the controls ---

const control = (side, name) => byId("controls").querySelector(`[data-side=${side}] [name=${name}]`);

function fill(select, options, wanted) {
  const chosen = options.includes(wanted) ? wanted : options[0];
  select.replaceChildren(...options.map((value) => new Option(data.names[value] ?? value, value, value === chosen, value === chosen)));
  select.disabled = options.length === 1;
  return chosen;
}

// Offer only iterations and picks that a method has, and take those asked for where it has them.
function offer(side, method, iteration, pick) {
  const methods = unique(data.rows.map((row) => row.method));
  const chosen = { method: fill(control(side, "method"), methods, method) };
  const ofMethod = data.rows.filter((row) => row.method === chosen.method);
  const iterations = unique(ofMethod.map((row) => String(row.iteration)));
  chosen.iteration = fill(control(side, "iteration"), iterations, iterations.includes(iteration) ? iteration : iterations.at(-1));
  const picks = ofMethod.filter((row) => String(row.iteration) === chosen.iteration).map((row) => row.pick);
  chosen.pick = fill(control(side, "pick"), picks, pick);
  return `${chosen.method}.${chosen.iteration}.${chosen.pick}`;
}

// --- what is shown ---

function show(state) {
  for (const side of SIDES) {
    const { method, iteration, pick } = data.rows[NAMES.indexOf(state[side])];
    offer(side, method, String(iteration), pick);
  }
  for (const name of ["view", "sort", "order"]) byId(name).value = state[name];
  if (byId("search").value !== state.q) byId("search").value = state.q;
  byId("with-tree").checked = Boolean(state.trees);
  byId("order").disabled = state.sort === "id";
  const prompts = chosenPrompts(state);
  const size = ON_A_PAGE[state.view];
  const pages = Math.max(1, Math.ceil(prompts.length / size));
  const at = Math.min(Number(state.page), pages);
  const given = at === Number(state.page) ? "" : `, and there is no page ${state.page}`;
  byId("count").textContent = `${prompts.length} of ${data.prompts.length} prompts${given}`;
  byId("trees").textContent = withTrees(rowsOf(state).shown);
  byId("page-number").textContent = `page ${at} of ${pages}`;
  byId("previous").disabled = at === 1;
  byId("next").disabled = at === pages;
  const shown = prompts.slice((at - 1) * size, at * size);
  byId("results").replaceChildren(...shown.map((prompt) => article(state, prompt)));
}

function article(state, prompt) {
  const { left, right, shown } = rowsOf(state);
  const [id, text] = data.prompts[prompt];
  const apart = left === right || state.view === "all" ? "" : `gold left - right ${signed(KEYS.difference(left, prompt, right))}`;
  const header = element("header", {}, element("code", { textContent: visible(id) }), element("span", { className: "difference", textContent: apart }));
  const best = Math.max(...shown.map((row) => answerOf(row, prompt)?.gold ?? -Infinity));
  const cards = shown.map((row) => card(state, row, prompt, shown.length > 2 && answerOf(row, prompt)?.gold === best));
  const made = element("article", { tabIndex: -1 }, header, element("p", { className: "prompt", dir: "auto", textContent: visible(text) }));
  made.dataset.prompt = id;
  if (id === state.prompt) made.setAttribute("aria-current", "true");
  made.append(element("div", { className: `cards ${state.view}` }, ...cards));
  return made;
}

function card(state, row, prompt, isBest) {
  const title = element("h3", { textContent: labelOf(data.rows[row]) });
  if (isBest) title.append(" ", element("span", { className: "state", textContent: "highest gold" }));
  const made = element("section", { className: "card" }, title);
  const answer = answerOf(row, prompt);
  if (answer === null) {
    made.append(note("no answer"));
    return made;
  }
  const facts = [
    ["gold", `${signed(answer.gold)} sd`], ["proxy", `${signed(answer.proxy)} sd`], ["proxy - gold", signed(minus(answer.proxy, answer.gold))],
    ["base NLL", number(answer.nll)], ["tokens", answer.tokens == null ? "n/a" : `${answer.tokens} (${["eos", "string"].includes(answer.stop) ? "ended" : "cut off"})`],
  ];
  const list = facts.map(([name, value]) => element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value })));
  made.append(element("p", { className: "answer", dir: "auto", textContent: visible(answer.text) }), element("dl", {}, ...list));
  if (treeOf(row, prompt)) made.append(why(state, row, prompt, answer));
  return made;
}

// The search behind an answer, which is built when somebody opens it.
function why(state, row, prompt, answer) {
  const name = `${data.prompts[prompt][0]}/${NAMES[row]}`;
  const made = element("details", { className: "tree" }, element("summary", { textContent: "Why this answer, and was it right?" }));
  const build = () => { if (made.children.length === 1) made.append(...explained(row, prompt, answer)); };
  if (openIn(state).includes(name)) {
    made.open = true;
    build();
  }
  made.addEventListener("toggle", () => {
    if (made.open) build();
    const others = openIn(page.get()).filter((one) => one !== name);
    page.note({ open: [...others, ...(made.open ? [name] : [])].join(" ") });
  });
  return made;
}

const openIn = (state) => state.open.split(" ").filter(Boolean);

// --- going from prompt to prompt ---

function go(step) {
  const state = page.get();
  const prompts = chosenPrompts(state);
  if (!prompts.length) return;
  const size = ON_A_PAGE[state.view];
  const first = Math.min((Number(state.page) - 1) * size, prompts.length - 1);
  const now = prompts.findIndex((i) => data.prompts[i][0] === state.prompt);
  const isShown = Math.floor(now / size) === Math.floor(first / size);
  const next = now < 0 || !isShown ? first + (step > 0 || now < 0 ? 0 : size - 1) : now + step;
  const to = Math.min(Math.max(next, 0), prompts.length - 1);
  page.set({ prompt: data.prompts[prompts[to]][0], page: String(Math.floor(to / size) + 1) });
  const found = byId("results").querySelector("[aria-current]");
  found.focus({ preventScroll: true });
  found.scrollIntoView({ block: "start" });
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const does = { j: () => go(1), k: () => go(-1), "/": () => byId("search").focus() }[event.key];
  if (!does) return;
  event.preventDefault(); // or / would stand in the field
  does();
}

// --- start ---

function start() {
  for (const side of SIDES) {
    byId("controls").querySelector(`[data-side=${side}]`).addEventListener("change", () => {
      const [method, iteration, pick] = ["method", "iteration", "pick"].map((name) => control(side, name).value);
      page.set({ [side]: offer(side, method, iteration, pick), page: "1" });
    });
  }
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  for (const name of ["view", "sort", "order"]) byId(name).addEventListener("change", () => page.set({ [name]: byId(name).value, page: "1" }));
  byId("search").addEventListener("input", () => page.set({ q: byId("search").value, page: "1" }));
  byId("with-tree").addEventListener("change", () => page.set({ trees: byId("with-tree").checked ? "1" : "", page: "1" }));
  const last = () => Math.ceil(chosenPrompts(page.get()).length / ON_A_PAGE[page.get().view]);
  for (const [id, step] of [["previous", -1], ["next", 1]]) {
    byId(id).addEventListener("click", () => {
      page.set({ page: String(Math.min(Number(page.get().page), last()) + step) });
      byId("count").scrollIntoView();
    });
  }
  document.addEventListener("keydown", pressed);
  show(page.get());
}

start();
