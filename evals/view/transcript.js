"use strict";
// Transcripts. What a model wrote is hostile: it is shown as text only, and in slices where it is huge.

const SLICE = 60000;
// A text with the matches of the search marked, and a button where it goes on.
function textBlock(text, name = "text") {
  const box = h("div", { class: name, dir: "ltr" });
  const query = state.q.toLowerCase();
  const found = query ? text.toLowerCase().indexOf(query) : -1;
  let shown = 0;
  const more = h("button", { type: "button", class: "more" });
  const show = (to) => {
    // A slice must not end within a surrogate pair.
    if (to < text.length && /[\ud800-\udbff]/.test(text[to - 1])) to++;
    more.before(marked(visible(text.slice(shown, to)), query));
    shown = Math.min(to, text.length);
    more.hidden = shown >= text.length;
    more.textContent = `Show more: ${whole(text.length - shown)} of ${whole(text.length)} characters are left`;
  };
  more.addEventListener("click", () => show(shown + 10 * SLICE));
  box.append(more);
  show(Math.max(SLICE, found >= 0 && found < 20 * SLICE ? found + SLICE / 10 : 0));
  return box;
}
function marked(text, query) {
  const out = document.createDocumentFragment();
  const lower = query ? text.toLowerCase() : "";
  let from = 0,
    at,
    marks = 0;
  // Lower case can be longer than the text (İ): positions then do not fit, and nothing is marked.
  if (query && lower.length === text.length)
    while (marks++ < 500 && (at = lower.indexOf(query, from)) >= 0) {
      out.append(text.slice(from, at), h("mark", {}, text.slice(at, at + query.length)));
      from = at + query.length;
    }
  out.append(text.slice(from));
  return out;
}

const THINKING = /^\s*<think>([\s\S]*?)(?:<\/think>|$)/;
const CALL = /<tool_call>([\s\S]*?)(?:<\/tool_call>|$)/g;

function messageCard(message) {
  const role = String(message.role || "?");
  const head = h("div", { class: "role" }, message.name ? `${role} · ${message.name}` : role);
  if (message.tokens) head.append(h("span", { class: "faint" }, `${whole(message.tokens)} tokens`));
  const card = h(
    "section",
    { class: `message ${["system", "user", "assistant", "tool"].includes(role) ? role : "user"}` },
    head,
  );
  let content = message.content ?? "";
  if (typeof content !== "string") content = JSON.stringify(content, null, 2);
  let reasoning = message.reasoning_content ?? "",
    closed = true;
  if (role === "assistant") {
    const own = !reasoning && THINKING.exec(content);
    if (own) {
      reasoning = own[1];
      closed = own[0].endsWith("</think>");
      content = content.slice(own[0].length);
    }
  }
  if (reasoning) card.append(reasoningFold(String(reasoning), closed));
  if (role === "assistant") withCalls(card, content);
  else card.append(textBlock(content));
  for (const call of Array.isArray(message.tool_calls) ? message.tool_calls : [])
    card.append(callCard(call?.function?.name, call?.function?.arguments));
  return card;
}
function reasoningFold(text, closed) {
  const fold = h(
    "details",
    { class: "reasoning" },
    h(
      "summary",
      {},
      `Reasoning, ${whole(text.length)} characters`,
      closed ? "" : h("b", {}, "never closed"),
    ),
  );
  fold.addEventListener("toggle", () => {
    if (fold.open && fold.children.length === 1) fold.append(textBlock(text.trim()));
  });
  if (state.q && text.toLowerCase().includes(state.q.toLowerCase())) fold.open = true;
  return fold;
}
// The calls that a model writes into its text, each in a frame of its own.
function withCalls(card, content) {
  let from = 0,
    empty = true;
  for (const found of content.matchAll(CALL)) {
    const before = content.slice(from, found.index).trim();
    if (before) card.append(textBlock(before));
    let call = null;
    try {
      call = JSON.parse(found[1]);
    } catch {
      /* shown as it was written */
    }
    card.append(
      call && typeof call === "object"
        ? callCard(call.name, call.arguments)
        : callCard(/<function=([^>\s]+)>/.exec(found[1])?.[1], found[1].trim()),
    );
    from = found.index + found[0].length;
    empty = false;
  }
  const rest = content.slice(from);
  if (rest.trim() || empty)
    card.append(rest.trim() ? textBlock(rest.trim()) : h("p", { class: "faint" }, "(empty)"));
}
function callCard(name, given) {
  let text = given;
  if (typeof given === "string") {
    try {
      text = JSON.parse(given);
    } catch {
      /* shown as it was written */
    }
  }
  if (typeof text !== "string") {
    const values =
      text && typeof text === "object" && !Array.isArray(text) ? Object.entries(text) : null;
    text =
      values && values.some(([, value]) => typeof value === "string" && value.includes("\n"))
        ? values
            .map(
              ([key, value]) =>
                `${key}:\n${typeof value === "string" ? value : JSON.stringify(value)}`,
            )
            .join("\n\n")
        : JSON.stringify(text ?? {}, null, 2);
  }
  return h(
    "div",
    { class: "call" },
    h("div", { class: "role" }, "calls ", h("code", {}, name || "…")),
    textBlock(text, "text code"),
  );
}

// Components of the verdict: tests, subtasks, instructions.
function partsTable(parts) {
  const rows = Object.entries(parts);
  if (!rows.length) return null;
  const table = h("table", { class: "parts" });
  for (const [name, given] of rows.slice(0, 500)) {
    const value = Number(given);
    const kind = value >= 1 ? "c" : value <= 0 ? "w" : "p";
    table.append(
      h(
        "tr",
        {},
        h("td", {}, h("span", { class: `badge ${kind}` }, STATUS[kind][1])),
        h("td", {}, name),
        h("td", { class: "number" }, String(+value.toFixed(4))),
      ),
    );
  }
  const passed = rows.filter(([, value]) => value >= 1).length;
  return h(
    "details",
    { open: rows.length <= 12 },
    h("summary", {}, `Tests and parts: ${whole(passed)} of ${whole(rows.length)} in full`),
    table,
  );
}

function statusBadge(letter, text = true) {
  const [name, sign] = STATUS[letter];
  return h("span", { class: `badge ${letter}`, title: name }, text ? `${sign} ${name}` : sign);
}

// The whole episode of one side.
function episode(side, task, i, sample) {
  const facts = [
    ["sample", sampleNumber(task, i)],
    ["stopped by", STOP[task.stop[i]]],
    ["tokens", task.tokens[i] ? whole(task.tokens[i]) : "not counted"],
    ["seconds", task.seconds[i]],
    ["seed", sample.seed ?? "–"],
  ];
  if (task.status[i] === "p") facts.unshift(["reward", +task.partial[i].toFixed(4)]);
  for (const [name, bit] of FLAGS)
    if (parseInt(task.flags[i], 16) & bit) facts.push(["note", name]);
  const head = h(
    "div",
    { class: "verdict" },
    statusBadge(task.status[i]),
    sample.verdict.extracted
      ? h(
          "div",
          { class: "extracted" },
          h("span", { class: "faint" }, "answer "),
          h("code", {}, sample.verdict.extracted.slice(0, 2000)),
        )
      : null,
    h(
      "dl",
      { class: "facts" },
      facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))),
    ),
    sample.verdict.reason
      ? h("p", { class: "reason" }, sample.verdict.reason.slice(0, 5000))
      : null,
    partsTable(sample.verdict.parts || {}),
  );
  const run = runs.b
    ? h("h3", { class: "side" }, `${side.toUpperCase()} · ${runs[side].model} ${runs[side].name}`)
    : null;
  return h(
    "div",
    { class: "episode" },
    run,
    head,
    [...sample.prompt, ...sample.messages].map(messageCard),
  );
}
