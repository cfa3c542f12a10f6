// One prompt, two models: answers as they are decided, what they took, and the search tree where there is one.
"use strict";

const data = { rows: [], trees: [], searches: {} }; // what the scripts of a run's page look into
const form = byId("ask");
for (const side of ["left", "right"]) byId(side).value = byId(side).dataset.start;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  byId("state").textContent = "writing ...";
  const cards = ["left", "right"].map((side) => card(byId(side).value));
  byId("answers").replaceChildren(...cards.map((one) => one.root));
  await Promise.all(cards.map(answer));
  byId("state").textContent = "";
  button.disabled = false;
});

function card(model) {
  const text = element("p", { className: "answer" });
  const about = element("div");
  const root = element("section", { className: "card" }, element("h3", { textContent: model }), text, about);
  return { root, text, about, model };
}

const whole = (id) => (byId(id).value === "" ? undefined : Number(byId(id).value));

function request(model) {
  const prompt = byId("prompt").value;
  const chat = byId("chat").checked;
  const searches = !/^(base|base-greedy)\//.test(model);
  const body = { model, seed: whole("seed"), max_tokens: whole("most"), stream: true, stream_options: { include_usage: true }, iro: { trace: true } };
  if (searches && whole("rows") !== undefined) body.iro.rows = whole("rows");
  Object.assign(body, chat ? { messages: [{ role: "user", content: prompt }] } : { prompt });
  return [chat ? "/v1/chat/completions" : "/v1/completions", body];
}

async function answer(one) {
  const [path, body] = request(one.model);
  const headers = { "Content-Type": "application/json" };
  if (byId("token").value) headers.Authorization = `Bearer ${byId("token").value}`;
  let said = "";
  try {
    const reply = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    if (!reply.ok) throw new Error((await reply.json()).error.message);
    for await (const event of eventsOf(reply.body)) {
      if (event.error) throw new Error(event.error.message);
      const choice = event.choices[0];
      said += choice?.delta?.content ?? choice?.text ?? "";
      one.text.textContent = visible(said);
      if (choice?.iro) one.about.append(...search(choice.iro, said));
      if (event.usage) one.about.prepend(costs(event.usage));
    }
  } catch (error) {
    one.about.append(element("p", { className: "error", textContent: visible(String(error.message)) }));
  }
}

async function* eventsOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) if (part.startsWith("data: ") && part !== "data: [DONE]") yield JSON.parse(part.slice(6));
  }
}

function costs(usage) {
  const of = usage.iro;
  const shown = { "tokens": usage.completion_tokens, "policy tokens": of.policy_tokens, "prefixes valued": of.value_calls, "reward calls": of.reward_calls, "seconds": of.seconds.toFixed(2) };
  return element("dl", {}, ...Object.entries(shown).map(([name, value]) => element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value }))));
}

function search(iro, text) {
  if (!iro.rounds || iro.rounds[0].length < 2) return [];
  const tree = { betas: iro.betas, rounds: iro.rounds };
  const path = pathTo(tree, text);
  const scroll = element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "search tree" }, branch(tree, 0, null, path));
  const inside = [element("h4", { textContent: "S after each chunk of this answer" }), chunks(tree, path), element("h4", { textContent: "All prefixes, best first; those kept go on" }), scroll];
  return [element("details", { className: "tree" }, element("summary", { textContent: "The search" }), ...inside)];
}
