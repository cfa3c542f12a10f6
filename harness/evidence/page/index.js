// All runs: which are shown, and which row stands for each. Their pages are loaded when one is opened, and not before.
"use strict";

const data = JSON.parse(byId("data").textContent);
const ANY = "all";
const OFFERED = {
  task: unique(data.runs.map((run) => run.task)).sort(),
  model: unique(data.runs.map((run) => run.model)).sort(),
  method: unique(data.runs.flatMap((run) => Object.keys(run.methods))).sort(),
};
const COLUMNS = ["run", "name", "gold - best-of-n", "row", "gold (sd)", "prompts", "set beside", "date", "task", "model", "profile", "seed", "settings", "methods"];
const NUMBERS = ["seed", "prompts", "gold (sd)", "gold - best-of-n"];
const DEFAULTS = { task: ANY, model: ANY, method: ANY, q: "", sort: "date", order: "down" };
const index = stateInUrl(DEFAULTS, isKnown, show);

function isKnown(name, text) {
  if (name in OFFERED) return text === ANY || OFFERED[name].includes(text);
  if (name === "sort") return COLUMNS.includes(text);
  return name !== "order" || ["up", "down"].includes(text);
}

const interval = (value, low, high, write) => (value == null ? "" : write(value) + (low == null ? "" : ` [${write(low)}, ${write(high)}]`));

function chosen(state) {
  const words = state.q.toLowerCase();
  return data.runs.filter((run) =>
    ["task", "model"].every((name) => state[name] === ANY || run[name] === state[name]) &&
    (state.method === ANY || state.method in run.methods) &&
    [run.id, ...run.names, run.from, ...Object.keys(run.methods)].some((text) => text.toLowerCase().includes(words)));
}

function show(state) {
  for (const name of Object.keys(OFFERED)) byId(name).value = state[name];
  if (byId("search").value !== state.q) byId("search").value = state.q;
  const runs = chosen(state);
  byId("count").textContent = `${runs.length} of ${data.runs.length} runs`;
  const columns = data.runs.some((run) => run.names.length) ? COLUMNS : COLUMNS.filter((name) => name !== "name");
  const made = table(columns, runs.map((run) => line(run, state.method === ANY ? run.best : run.methods[state.method], columns)), { className: "sortable" });
  const sorted = made.querySelector("table");
  for (const head of sorted.tHead.rows[0].cells) head.classList.toggle("number", NUMBERS.includes(head.textContent));
  sortable(sorted, (name, direction) => index.note({ sort: name, order: direction }));
  sortBy(sorted, state.sort, state.order);
  byId("results").replaceChildren(runs.length ? made : note("No run is like this."));
}

function line(run, row, columns) {
  const [name, n, gold, low, high, gain, gainLow, gainHigh, beside] = row ?? [];
  const opened = run.page === null ? visible(run.id) : element("a", { href: run.page, textContent: visible(run.id) });
  const cells = {
    name: [run.names.join(", ")], date: [run.date.slice(0, 10), run.date], task: [run.task], model: [run.model], profile: [run.profile], seed: [run.seed ?? "", run.seed], prompts: [n ?? "", n],
    row: [name ?? ""], "gold (sd)": [interval(gold, low, high, number), gold], "gold - best-of-n": [interval(gain, gainLow, gainHigh, signed), gain],
    "set beside": [beside ?? ""], settings: [run.slice === "test" ? run.from : `${run.from}, ${run.slice} prompts`], methods: [Object.keys(run.methods).join(", ")],
  };
  const first = element("th", { scope: "row" }, opened);
  first.dataset.value = run.id;
  return element("tr", {}, first, ...columns.slice(1).map((column) => {
    const [text, value] = cells[column];
    const cell = element("td", { textContent: visible(String(text)), className: NUMBERS.includes(column) ? "number" : "" });
    if (value != null) cell.dataset.value = value;
    else if (NUMBERS.includes(column)) cell.dataset.value = "";
    return cell;
  }));
}

function start() {
  for (const [name, options] of Object.entries(OFFERED)) {
    byId(name).replaceChildren(...[ANY, ...options].map((value) => new Option(value, value)));
    byId(name).addEventListener("change", () => index.set({ [name]: byId(name).value }));
  }
  byId("search").addEventListener("input", () => index.set({ q: byId("search").value }));
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    byId("search").focus();
  });
  show(index.get());
}

start();
