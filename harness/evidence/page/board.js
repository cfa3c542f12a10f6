// The leaderboard: its tables stand in the page, best first; here they are sorted, and every row is shown on demand.
"use strict";

const tables = [...document.querySelectorAll("table.sortable")];
const nameOf = (table) => table.parentElement.getAttribute("aria-label");
const board = stateInUrl({ every: "", table: "", sort: "", order: "" }, isKnown, show);

function isKnown(name, text) {
  if (name === "table") return tables.some((table) => nameOf(table) === text);
  return { every: ["", "1"], order: ["up", "down"] }[name]?.includes(text) ?? name === "sort";
}

function show(state) {
  byId("every").checked = Boolean(state.every);
  document.body.classList.toggle("every", Boolean(state.every));
  const table = tables.find((one) => nameOf(one) === state.table);
  if (table && state.order) sortBy(table, state.sort, state.order);
}

function start() {
  if (!byId("every")) return; // nothing stands in a table yet
  for (const table of tables) sortable(table, (sort, order) => board.note({ table: nameOf(table), sort, order }));
  byId("every").addEventListener("change", () => board.set({ every: byId("every").checked ? "1" : "" }));
  show(board.get());
}

start();
