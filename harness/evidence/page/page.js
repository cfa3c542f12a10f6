// The browser of answers. All data stands in the page; everything a model wrote is shown as text, never as markup.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const PAGE = 10; // prompts shown together
const NO_TREE = "No tree was stored; run with --set evaluate.trace=8.";
const byId = (id) => document.getElementById(id);
const sides = { left: byId("controls").querySelector("[data-side=left]"), right: byId("controls").querySelector("[data-side=right]") };
let page = 0;

// --- what is chosen ---

const unique = (values) => [...new Set(values)];
const control = (side, name) => sides[side].querySelector(`[name=${name}]`);

function fill(select, options, wanted) {
  const chosen = options.includes(wanted) ? wanted : options[0];
  select.replaceChildren(...options.map((value) => new Option(value, value, value === chosen, value === chosen)));
  select.disabled = options.length === 1;
}

// Offer only iterations and picks that the chosen method has, and keep those chosen before where it has them too.
function offer(side) {
  const method = control(side, "method").value;
  const ofMethod = data.rows.filter((row) => row.method === method);
  const iterations = unique(ofMethod.map((row) => String(row.iteration)));
  fill(control(side, "iteration"), iterations, control(side, "iteration").value || iterations.at(-1));
  const iteration = Number(control(side, "iteration").value);
  const picks = ofMethod.filter((row) => row.iteration === iteration).map((row) => row.pick);
  fill(control(side, "pick"), picks, control(side, "pick").value);
}

function rowOf(side) {
  const [method, iteration, pick] = ["method", "iteration", "pick"].map((name) => control(side, name).value);
  return data.rows.findIndex((row) => row.method === method && String(row.iteration) === iteration && row.pick === pick);
}

function answerOf(row, prompt) {
  const place = data.picks[row][prompt];
  if (place === null) return null;
  const [text, gold, proxy, nll, tokens, stop] = data.answers[prompt][place];
  return { text, gold, proxy, nll, tokens, stop };
}

function difference(left, right, prompt) {
  const [a, b] = [answerOf(left, prompt)?.gold, answerOf(right, prompt)?.gold];
  return a == null || b == null ? null : a - b;
}

function chosenPrompts(left, right) {
  const words = byId("search").value.toLowerCase();
  const matches = (prompt) =>
    [data.prompts[prompt][1], answerOf(left, prompt)?.text ?? "", answerOf(right, prompt)?.text ?? ""]
      .some((text) => text.toLowerCase().includes(words));
  const hasTree = (prompt) => treeOf(left, prompt) || treeOf(right, prompt);
  const prompts = data.prompts.map((_, i) => i).filter(matches).filter((i) => !byId("with-tree").checked || hasTree(i));
  const [what, direction] = byId("sort").value.split("-");
  if (what === "id") return prompts;
  const key = (i) => (what === "left" ? answerOf(left, i)?.gold : difference(left, right, i)) ?? null;
  const sign = direction === "high" ? -1 : 1;
  return prompts.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === null || y === null) return (x === null) - (y === null); // not scored: last
    return sign * (x - y);
  });
}

// --- what is shown ---

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const number = (value, digits = 2) => (value == null ? "n/a" : value.toFixed(digits));
const signed = (value) => (value == null ? "n/a" : (value < 0 ? "" : "+") + value.toFixed(2));
const labelOf = (row) => row.method + (row.iteration ? `, iteration ${row.iteration}` : "") + `, picked by ${row.pick}`;

function show() {
  const [left, right] = [rowOf("left"), rowOf("right")];
  const prompts = chosenPrompts(left, right);
  const pages = Math.max(1, Math.ceil(prompts.length / PAGE));
  page = Math.min(Math.max(page, 0), pages - 1);
  byId("count").textContent = `${prompts.length} of ${data.prompts.length} prompts`;
  byId("page-number").textContent = `page ${page + 1} of ${pages}`;
  byId("previous").disabled = page === 0;
  byId("next").disabled = page === pages - 1;
  const shown = prompts.slice(page * PAGE, (page + 1) * PAGE);
  byId("results").replaceChildren(...shown.map((prompt) => article(left, right, prompt)));
}

function article(left, right, prompt) {
  const [id, text] = data.prompts[prompt];
  const apart = left === right ? [] : [` gold left - right ${signed(difference(left, right, prompt))}`];
  const header = element("header", {}, element("code", { textContent: id }), element("span", { className: "difference" }, ...apart));
  const cards = unique([left, right]).map((row) => card(row, prompt));
  const made = element("article", {}, header, element("p", { className: "prompt", textContent: text }));
  made.dataset.prompt = id;
  made.append(element("div", { className: "cards" }, ...cards));
  return made;
}

function card(row, prompt) {
  const made = element("section", { className: "card" }, element("h3", { textContent: labelOf(data.rows[row]) }));
  const answer = answerOf(row, prompt);
  if (answer === null) {
    made.append(element("p", { textContent: "no answer" }));
    return made;
  }
  const facts = [
    ["gold", `${signed(answer.gold)} sd`], ["proxy", `${signed(answer.proxy)} sd`], ["base NLL", number(answer.nll)],
    ["tokens", `${answer.tokens} (${answer.stop === "eos" ? "ended" : "cut off"})`],
  ];
  const list = facts.map(([name, value]) => element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value })));
  made.append(element("p", { className: "answer", textContent: answer.text }), element("dl", {}, ...list), search(row, prompt, answer));
  return made;
}

// --- the search behind an answer ---

function treeOf(row, prompt) {
  const { method, iteration } = data.rows[row];
  return data.trees.find((tree) => tree.method === method && tree.iteration === iteration && tree.prompt === prompt);
}

function search(row, prompt, answer) {
  const tree = treeOf(row, prompt);
  const made = element("details", { className: "tree" }, element("summary", { textContent: "Scores by chunk and search tree" }));
  if (!tree) {
    made.append(element("p", { textContent: whyNoTree(row) }));
    return made;
  }
  const path = pathTo(tree, answer.text);
  const scroll = element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "search tree" }, branch(tree, 0, null, path));
  made.append(element("h4", { textContent: "S after each chunk of this answer" }), chunks(tree, path));
  made.append(element("h4", { textContent: "All prefixes, best first; those kept go on" }), scroll);
  return made;
}

function whyNoTree(row) {
  if (!data.trees.length) return NO_TREE;
  const { method, iteration } = data.rows[row];
  const own = data.trees.filter((tree) => tree.method === method && tree.iteration === iteration);
  return own.length ? `Trees were stored for the first ${own.length} prompts by id.` : `${method} does not search.`;
}

// Places, round by round, of the prefixes that lead to a finished text; the best where several rows wrote it.
function pathTo(tree, text) {
  const last = tree.rounds.length - 1;
  const ends = tree.rounds[last].map((prefix, i) => [prefix, i]).filter(([prefix]) => prefix[3] && prefix[1] === text);
  if (!ends.length) return [];
  const path = [ends.reduce((a, b) => ((b[0][2] ?? -Infinity) > (a[0][2] ?? -Infinity) ? b : a))[1]];
  for (let round = last; round > 0; round--) path.unshift(tree.rounds[round][path[0]][0]);
  return path;
}

function chunkOf(tree, round, place) {
  const [parent, text] = tree.rounds[round][place];
  const before = parent === null ? "" : tree.rounds[round - 1][parent][1];
  if (parent !== null && text === before) return "(finished)";
  let shared = 0; // a token may have completed the last letter of the text before
  while (shared < before.length && before[shared] === text[shared]) shared++;
  return text.slice(shared).replaceAll("\n", "\u21b5") || "(end)"; // a line break as an arrow, so that trees stay compact
}

function chunks(tree, path) {
  if (!path.length) return element("p", { textContent: "The answer is not among the prefixes that were kept." });
  const items = path.map((place, round) =>
    element("li", {}, element("span", { className: "text", textContent: chunkOf(tree, round, place) }), ` S ${number(tree.rounds[round][place][2])}`));
  return element("ol", { className: "chunks" }, ...items);
}

function branch(tree, round, parent, path) {
  const children = tree.rounds[round].map((prefix, i) => [prefix, i]).filter(([prefix]) => prefix[0] === parent);
  children.sort(([a], [b]) => (b[2] ?? -Infinity) - (a[2] ?? -Infinity));
  return element("ul", {}, ...children.map(([prefix, i]) => {
    const onPath = path[round] === i;
    const state = onPath ? "in the answer" : prefix[3] ? "kept" : "dropped";
    const item = element("li", { className: onPath ? "kept path" : state });
    item.append(element("span", { className: "score", textContent: number(prefix[2]) }), element("span", { className: "state", textContent: state }));
    item.append(element("span", { className: "text", textContent: chunkOf(tree, round, i) }));
    if (prefix[3] && round + 1 < tree.rounds.length) item.append(branch(tree, round + 1, i, path));
    return item;
  }));
}

// --- start ---

function start() {
  const methods = unique(data.rows.map((row) => row.method));
  const wanted = { left: methods.at(-1), right: methods.includes("best_of_n") ? "best_of_n" : methods[0] };
  for (const side of ["left", "right"]) {
    fill(control(side, "method"), methods, wanted[side]);
    offer(side);
    sides[side].addEventListener("change", () => { offer(side); show(); });
  }
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["search", "sort", "with-tree"]) byId(id).addEventListener("input", () => { page = 0; show(); });
  for (const [id, step] of [["previous", -1], ["next", 1]]) {
    byId(id).addEventListener("click", () => { page += step; show(); byId("count").scrollIntoView(); });
  }
  show();
}

start();
