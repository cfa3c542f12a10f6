// Why a search chose an answer, and whether it was right: S by chunk, every finalist, and the whole tree.
"use strict";

const WHO = { value: "the largest S", reward: "the best proxy", first: "the first" };

function treeOf(row, prompt) {
  const { method, iteration } = data.rows[row];
  return data.trees.find((tree) => tree.method === method && tree.iteration === iteration && tree.prompt === prompt);
}

// What the page says of the trees behind the rows shown.
function withTrees(rows) {
  const searching = rows.filter((row) => data.rows[row].method in data.searches || treesOf(row).length);
  if (!searching.length) return "";
  if (!data.trees.length) return "No search tree is stored here: the run is of a version that stored none by default, or was asked for none (--set evaluate.trace=0). Its command with --fresh, or with --set evaluate.trace=9, makes some.";
  const most = Math.max(...searching.map((row) => treesOf(row).length));
  return most ? `Search trees are stored of ${most} prompts, the first by id: they say why an answer was chosen.` : "";
}

const treesOf = (row) => data.trees.filter((tree) => tree.method === data.rows[row].method && tree.iteration === data.rows[row].iteration);

// A prefix as a thing with names.
const prefixOf = (tree, round, place) => {
  const [parent, text, score, kept, values, proxy, gold] = tree.rounds[round][place];
  return { parent, text, score, kept, values: values ?? [], proxy, gold };
};

function explained(row, prompt, answer) {
  const tree = treeOf(row, prompt);
  const path = pathTo(tree, answer.text);
  const scroll = element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "search tree" }, branch(tree, 0, null, path));
  return [
    element("h4", { textContent: "Why this answer?" }), note(whatIsS(tree)),
    element("h4", { textContent: "Was it right?" }), note(wasItRight(tree, row, prompt, answer)), finalists(tree, row, prompt, answer),
    element("h4", { textContent: "S after each chunk of this answer" }), chunks(tree, path),
    element("h4", { textContent: "All prefixes, best first; those kept go on" }), scroll,
  ];
}

// --- what S is ---

const countOf = (tree) => tree.rounds[0][0][4]?.length ?? 0;
const indices = (tree) => [...Array(countOf(tree)).keys()];
const sumOf = (tree) => indices(tree).map((i) => `V${i + 1}${tree.betas[i] === 1 ? "" : ` / ${+tree.betas[i].toFixed(3)}`}`).join(" + ");

function whatIsS(tree) {
  const { width, successors, chunk, select } = data.searches[tree.method] ?? {};
  const keeps = width === undefined ? "The search keeps some prefixes" : `After every ${chunk === 1 ? "token" : `${chunk} tokens`} the search keeps ${width} of up to ${width * successors} prefixes`;
  const how = select === "resample" ? "drawn with weights exp(gain in S)" : "by S, different texts first";
  const sum = countOf(tree) ? `Here S = ${sumOf(tree)}.` : "This version stored S alone, not each V, nor the scores of finalists.";
  return `S = V1 / beta1 + V2 / beta2 + ... adds up what guides say of the text so far: of IRO, V_i is the value function fitted in iteration i, which predicts the proxy of the finished answer in standard deviations of base samples. ${sum} ${keeps}, ${how}.`;
}

// --- the finalists ---

// Distinct finished texts that were kept last, the largest S first.
function finalistsOf(tree) {
  const last = tree.rounds.length - 1;
  const kept = tree.rounds[last].map((_, i) => prefixOf(tree, last, i)).filter((prefix) => prefix.kept);
  kept.sort((a, b) => (b.score ?? -Infinity) - (a.score ?? -Infinity));
  return kept.filter((prefix, i) => kept.findIndex((other) => other.text === prefix.text) === i);
}

// Who picked a finalist: the final picks of the method at this iteration that gave its text.
function pickedBy(row, prompt, text) {
  const { method, iteration } = data.rows[row];
  const same = data.rows.map((other, i) => [other, i]).filter(([other]) => other.method === method && other.iteration === iteration);
  return same.filter(([, i]) => answerOf(i, prompt)?.text === text).map(([other]) => (other.pick === "reward" ? "proxy" : other.pick));
}

function wasItRight(tree, row, prompt, answer) {
  const all = finalistsOf(tree);
  const why = `The final pick took ${WHO[data.rows[row].pick] ?? data.rows[row].pick}, among ${all.length === 1 ? "one finalist" : `${all.length} different finalists`}.`;
  const scored = all.filter((one) => one.gold != null);
  const own = scored.find((one) => one.text === answer.text);
  if (!own) return `${why} The gold of the others is not known.`;
  const best = Math.max(...scored.map((one) => one.gold));
  const rank = 1 + scored.filter((one) => one.gold > own.gold).length;
  if (scored.length === 1) return `${why} Its gold is ${signed(own.gold)} sd.`;
  return rank === 1
    ? `${why} By the gold, which no method sees, that was right: none of them has more than its ${signed(own.gold)} sd.`
    : `${why} By the gold, which no method sees, it was not: with ${signed(own.gold)} sd it is number ${rank} of ${scored.length}, and the best has ${signed(best)} sd.`;
}

function finalists(tree, row, prompt, answer) {
  const values = indices(tree);
  const all = finalistsOf(tree);
  const best = Math.max(...all.map((one) => one.gold ?? -Infinity));
  const header = ["S", ...values.map((i) => `V${i + 1}`), "proxy", "gold"];
  const rows = all.flatMap((one) => { // its numbers, and below them its text, so that both fit a narrow window
    const by = pickedBy(row, prompt, one.text);
    const tags = [...by.map((pick) => `picked by ${pick}`), ...(one.gold != null && one.gold === best ? ["highest gold"] : [])];
    const cells = [number(one.score), ...values.map((i) => number(one.values[i])), signed(one.proxy), signed(one.gold)];
    const className = one.text === answer.text ? "path" : "";
    const text = element("td", { className: "text", colSpan: header.length, textContent: onOneLine(one.text) });
    text.append(...tags.flatMap((tag) => [" ", element("span", { className: "state", textContent: tag })]));
    return [
      element("tr", { className: `${className} numbers` }, ...cells.map((cell) => element("td", { className: "number", textContent: cell }))),
      element("tr", { className }, text),
    ];
  });
  return table(header, rows, { className: "finalists" });
}

// A line break as an arrow, so that what is compared stays close together.
const onOneLine = (text) => visible(text).replaceAll("\n", "\u21b5");

// --- the way to the answer ---

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
  const { parent, text } = prefixOf(tree, round, place);
  const before = parent === null ? "" : tree.rounds[round - 1][parent][1];
  if (parent !== null && text === before) return "(finished)";
  let shared = 0; // a token may have completed the last letter of the text before
  while (shared < before.length && before[shared] === text[shared]) shared++;
  return onOneLine(text.slice(shared)) || "(end)";
}

function chunks(tree, path) {
  if (!path.length) return note("The answer is not among the prefixes that were kept.");
  const values = indices(tree);
  const rows = path.map((place, round) => {
    const prefix = prefixOf(tree, round, place);
    const cells = [number(prefix.score), ...values.map((i) => number(prefix.values[i]))];
    return element("tr", {}, ...cells.map((text) => element("td", { className: "number", textContent: text })),
      element("td", { className: "text", textContent: chunkOf(tree, round, place) }));
  });
  return table(["S", ...values.map((i) => `V${i + 1}`), "chunk"], rows, { className: "chunks" });
}

function branch(tree, round, parent, path) {
  const children = tree.rounds[round].map((prefix, i) => [prefix, i]).filter(([prefix]) => prefix[0] === parent);
  children.sort(([a], [b]) => (b[2] ?? -Infinity) - (a[2] ?? -Infinity));
  return element("ul", {}, ...children.map(([, i]) => {
    const prefix = prefixOf(tree, round, i);
    const onPath = path[round] === i;
    const state = onPath ? "in the answer" : prefix.kept ? "kept" : "dropped";
    const apart = prefix.values.length > 1 ? ` (${prefix.values.map((value) => number(value)).join(", ")})` : "";
    const item = element("li", { className: onPath ? "kept path" : state });
    item.append(element("span", { className: "score", textContent: number(prefix.score) + apart }), element("span", { className: "state", textContent: state }));
    item.append(element("span", { className: "text", textContent: chunkOf(tree, round, i) }));
    if (prefix.kept && round + 1 < tree.rounds.length) item.append(branch(tree, round + 1, i, path));
    return item;
  }));
}
