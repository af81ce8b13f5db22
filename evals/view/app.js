"use strict";
// The page: tabs, scores, problems, comparison, the facts of the run, and the keyboard.

const VIEWS = [["scores", "Scores"], ["problems", "Problems"], ["samples", "Samples"], ["compare", "Comparison"], ["run", "Run"]];

function draw() {
  const main = document.getElementById("main");
  const shown = VIEWS.filter(([view]) => view !== "compare" || runs.b);
  document.getElementById("tabs").replaceChildren(...shown.map(([view, title]) =>
    h("a", { href: fragment({ view }), "aria-current": state.view === view ? "page" : false,
      onclick: (event) => { event.preventDefault(); go({ view }); } }, title)));
  const query = document.getElementById("query");
  if (document.activeElement !== query) query.value = state.q;
  main.className = state.view;
  const views = { scores: drawScores, problems: drawProblems, samples: drawSamples, compare: drawComparison, run: drawRun };
  (views[state.view] || drawScores)(main);
}

function sides() { return Object.values(runs); }

function drawScores(main) {
  const cards = sides().flatMap((run) => [
    runs.b ? h("h2", {}, `${run.side.toUpperCase()} · ${run.model} `, h("span", { class: "faint" }, run.name)) : null,
    scoreTable(run),
    (run.facts.problems || []).map((text) => h("p", { class: "attention" }, text)),
    Object.entries(run.facts.skipped || {}).map(([name, why]) => h("p", { class: "attention" }, `left out: ${name}: ${why}`)),
  ]);
  main.replaceChildren(h("div", { class: "page" }, cards, h("p", { class: "note" },
    "The interval asks whether new questions of the kind would give the same, run noise whether another run on these " +
    "questions would. Ticks are published numbers. Faults are left out of every score and counted here; so are samples " +
    "that were cut, empty or unreadable, which count as they were judged.")));
}
function scoreTable(run) {
  const heads = ["task", "", "score", "95 % interval", "run noise", "maj@k", "pass@k", "samples", "wrong", "none", "cut", "empty", "unread", "refused", "fault", "tokens"];
  const table = h("table", { class: "scores" }, h("thead", {}, h("tr", {}, heads.map((text, i) => h("th", { class: i > 1 ? "number" : "" }, text)))));
  for (const task of run.tasks) {
    const s = task.summary, c = s.counts, open = (changes) => go({ ...DEFAULTS, run: run.side, view: "samples", task: task.name, ...changes });
    const count = (value, changes) => h("td", { class: "number" }, value ? h("button", { type: "button", class: "plain", onclick: () => open(changes) }, whole(value)) : h("span", { class: "faint" }, "0"));
    table.append(h("tbody", {}, h("tr", {},
      h("td", { class: "task" }, h("button", { type: "button", class: "plain", onclick: () => go({ ...DEFAULTS, run: run.side, view: "problems", task: task.name }) }, task.name)),
      h("td", {}, scoreBar(s.score, s.interval, s.published || [])),
      h("td", { class: "number strong" }, points(s.score, 2), h("span", { class: "faint" }, ` ${s.headline}`), s.complete ? "" : h("span", { class: "warn", title: "samples are missing" }, " incomplete")),
      h("td", { class: "number" }, s.interval ? `${points(s.interval[0])} to ${points(s.interval[1])}` : "–"),
      h("td", { class: "number" }, s.run_noise === null ? "–" : `±${points(s.run_noise)}`),
      h("td", { class: "number" }, points(largest(s.metrics, "maj@"))), h("td", { class: "number" }, points(largest(s.metrics, "pass@"))),
      count(task.n, {}), count(c.wrong, { status: "w" }), count(c.no_answer, { status: "n" }), count(c.truncated, { flag: "truncated" }),
      count(c.empty, { flag: "empty" }), count(c.unparsable, { flag: "unparsable" }), count(c.refused, { flag: "refused" }), count(c.fault, { status: "f" }),
      h("td", { class: "number" }, s.tokens ? brief(s.tokens.mean) : "–")),
      (s.published || []).map((number) => h("tr", { class: "theirs" }, h("td", {}), h("td", { colspan: "15" },
        h("span", { class: `sentence ${number.reproduced ? "yes" : "no"}` }, number.sentence),
        ` · published ${number.score} ${number.model} (${number.metric})`, number.note ? `, ${number.note}` : "",
        h("span", { class: "faint" }, ` ${number.source}`)))),
      Object.keys(s.groups || {}).length ? h("tr", { class: "theirs" }, h("td", {}), h("td", { colspan: "15" },
        Object.entries(s.groups).map(([name, group], i) => [i ? " · " : "", `${name} `, h("b", {}, points(group.score)), h("span", { class: "faint" }, ` of ${whole(group.problems)}`)]))) : null,
      (s.deviations || []).map((text) => h("tr", { class: "theirs" }, h("td", {}), h("td", { colspan: "15" }, h("span", { class: "faint" }, "differs: "), text)))));
  }
  return h("div", { class: "wide" }, table);
}
function largest(metrics, start) {
  const names = Object.keys(metrics).filter((name) => name.startsWith(start)).sort((x, y) => x.slice(start.length) - y.slice(start.length));
  return names.length ? metrics[names.at(-1)] : null;
}

function currentTask() {
  const run = runs[state.run];
  return run.tasks.find((task) => task.name === state.task) || run.tasks[0];
}
function drawProblems(main) {
  const run = runs[state.run], task = currentTask();
  const order = task.problems.map((_, problem) => problem), scores = order.map((problem) => problemScore(task, problem) ?? -1);
  if (state.order !== "id") order.sort((p, q) => scores[q] - scores[p] || p - q);
  const choose = h("div", { class: "line" },
    h("select", { "aria-label": "task", onchange: (event) => set({ task: event.target.value }) }, run.tasks.map((t) => h("option", { value: t.name, selected: t === task }, t.name))),
    runs.b ? h("select", { "aria-label": "run", onchange: (event) => set({ run: event.target.value }) }, sides().map((r) => h("option", { value: r.side, selected: r === run }, `run ${r.side.toUpperCase()}`))) : null,
    h("select", { "aria-label": "order", onchange: (event) => set({ order: event.target.value }) }, [["", "easiest first"], ["id", "by problem"]].map(([value, text]) => h("option", { value, selected: state.order === value }, text))),
    h("span", { class: "legend" }, Object.entries(STATUS).filter(([letter]) => task.status.includes(letter)).map(([letter, [name]]) => [h("i", { class: letter }), name])));
  const heat = h("figure", {}, h("figcaption", {}, `${whole(task.problems.length)} problems, a cell a sample`),
    heatMap(task, order, colours(), (i) => go({ task: task.name, order: "", ...placeOf(task, i) })));
  const right = (i) => rewardOf(task, i) === 1;
  const counted = task.tokens.some((n) => n > 0);
  main.replaceChildren(h("div", { class: "page" }, choose, h("div", { class: "grid" }, heat, h("div", { class: "charts" },
    counted ? histogram("Length", "tokens", task.tokens, right) : h("p", { class: "faint" }, "The engine did not count tokens."),
    histogram("Time", "seconds", task.seconds, right), calibration(task)))));
}
function colours() {
  const style = getComputedStyle(document.documentElement), read = (name) => style.getPropertyValue(name).trim();
  return { c: read("--c"), p: read("--p"), w: read("--w"), n: read("--n"), f: read("--f"), text: read("--faint") };
}

function drawComparison(main) {
  const value = comparison, rows = (value?.tasks || []).map((t) => h("tr", {}, h("td", { class: "task" }, t.task),
    [whole(t.problems), points(t.score_a, 2), points(t.score_b, 2), signed(t.difference), t.interval ? `${signed(t.interval[0])} to ${signed(t.interval[1])}` : "–",
      t.p_value.toPrecision(2), points(t.detectable), `${t.a_better} / ${t.b_better}`].map((text) => h("td", { class: "number" }, text)), h("td", {}, t.sentence)));
  const heads = ["task", "problems", "A", "B", "A − B", "95 % interval", "p", "detectable", "A / B better", "result"];
  main.replaceChildren(h("div", { class: "page" },
    value?.problem ? h("p", { class: "attention" }, value.problem) : null,
    h("p", {}, "A ", h("b", {}, runs.a.model), h("span", { class: "faint" }, ` ${runs.a.name}`), "  B ", h("b", {}, runs.b.model), h("span", { class: "faint" }, ` ${runs.b.name}`)),
    rows.length ? h("div", { class: "wide" }, h("table", { class: "scores" }, h("thead", {}, h("tr", {}, heads.map((text, i) => h("th", { class: i && i < 9 ? "number" : "" }, text)))), h("tbody", {}, rows))) : null,
    h("p", {}, h("button", { type: "button", class: "chip", onclick: () => go({ ...DEFAULTS, view: "samples", only: "flipped" }) }, "Samples whose verdicts differ")),
    h("div", { class: "columns" }, runs.a.tasks.map(differences))));
}
const signed = (value) => (value > 0 ? "+" : "") + value.toFixed(2);
// The problems of a task on which the runs differ most.
function differences(task) {
  const other = runs.b.tasks.find((t) => t.name === task.name);
  if (!other) return null;
  const found = [];
  task.problems.forEach((id, problem) => {
    const theirs = other.place.get(id);
    if (theirs === undefined) return;
    const a = problemScore(task, problem), b = problemScore(other, theirs);
    if (a !== null && b !== null && a !== b) found.push([problem, a, b]);
  });
  found.sort((x, y) => Math.abs(y[1] - y[2]) - Math.abs(x[1] - x[2]) || x[0] - y[0]);
  const bar = (a, b) => svg("svg", { viewBox: "-100 0 200 14", class: "diverging" }, svg("line", { x1: 0, x2: 0, y1: 0, y2: 14, class: "axis" }),
    svg("rect", { x: Math.min(0, 100 * (b - a)), y: 3, width: 100 * Math.abs(a - b), height: 8, class: a > b ? "fora" : "forb" }));
  const row = ([problem, a, b]) => h("tr", {}, h("td", { class: "number" }, points(100 * a, 0)), h("td", {}, bar(a, b)), h("td", { class: "number" }, points(100 * b, 0)),
    h("td", {}, h("button", { type: "button", class: "plain", onclick: () => go({ ...placeOf(task, task.start[problem]), task: task.name }) }, task.problems[problem])));
  return h("section", {}, h("h2", {}, task.name, h("span", { class: "faint" }, ` ${whole(found.length)} of ${whole(task.problems.length)} problems differ`)),
    h("table", { class: "plainrows" }, h("thead", {}, h("tr", {}, ["A", "", "B", "problem"].map((text) => h("th", {}, text)))), h("tbody", {}, found.slice(0, 100).map(row))),
    found.length > 100 ? h("p", { class: "faint" }, "The 100 largest differences are shown.") : null);
}

function drawRun(main) {
  const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
  const list = (facts) => h("dl", { class: "about" }, Object.entries(facts).filter(([, value]) => value !== null && value !== undefined && value !== "")
    .flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, h("pre", {}, shown(value)))]));
  main.replaceChildren(h("div", { class: "page" }, sides().map((run) => h("section", {},
    h("h2", {}, runs.b ? `${run.side.toUpperCase()} · ` : "", run.model),
    list({ folder: run.name, status: run.status, seed: run.seed, ...run.facts }),
    run.tasks.map((task) => h("details", {}, h("summary", {}, task.name),
      list({ protocol: task.summary.protocol, data: task.summary.data, environment: task.summary.env, options: task.summary.env_options,
        deviations: task.summary.deviations, counts: task.summary.counts, metrics: task.summary.metrics, tokens: task.summary.tokens })))))));
}

const KEYS = [["1 … 5", "views"], ["j k", "next, previous sample of the list"], ["← →", "samples of the same problem"], ["r", "fold or unfold reasoning"],
  ["/", "search all transcripts"], ["Esc", "leave the search, close"], ["x", "clear all filters"], ["t", "light or dark"], ["?", "this list"]];
function showKeys() {
  const dialog = document.getElementById("keys");
  dialog.replaceChildren(h("h2", {}, "Keys"), h("dl", {}, KEYS.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])),
    h("button", { type: "button", class: "chip", onclick: () => dialog.close() }, "Close"));
  dialog.showModal();
}
function changeTheme(name) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const next = name || (document.documentElement.dataset.theme || (dark ? "dark" : "light")) === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = name || next;
  try { localStorage.setItem("cascade-theme", name || next); } catch { /* not kept where storage is off */ }
  if (state.view === "problems") draw();
}
function foldReasoning() {
  const folds = [...document.querySelectorAll("details.reasoning")], open = folds.some((fold) => !fold.open);
  for (const fold of folds) fold.open = open;
}
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName), query = document.getElementById("query");
  if (event.key === "Escape" && event.target === query) { query.blur(); return; }
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const samples = (action) => { if (state.view !== "samples") go({ view: "samples" }); action(); };
  const shown = VIEWS.filter(([view]) => view !== "compare" || runs.b);
  const actions = {
    j: () => samples(() => step(1)), ArrowDown: () => samples(() => step(1)), k: () => samples(() => step(-1)), ArrowUp: () => samples(() => step(-1)),
    ArrowRight: () => sibling(1), ArrowLeft: () => sibling(-1), r: foldReasoning, t: () => changeTheme(), x: clearFilters, "?": showKeys,
    "/": () => { query.focus(); query.select(); }, Escape: () => set({ problem: "", sample: "" }),
  };
  const action = actions[event.key] || (shown[Number(event.key) - 1] && (() => go({ view: shown[Number(event.key) - 1][0] })));
  const scrolls = event.key.startsWith("Arrow") && state.view !== "samples";
  if (action && !scrolls) { event.preventDefault(); action(); }
});

let pause = 0;
document.getElementById("query").addEventListener("input", (event) => {
  clearTimeout(pause);
  pause = setTimeout(() => set({ q: event.target.value.trim(), view: "samples" }), 250);
});
document.getElementById("theme").addEventListener("click", () => changeTheme());
document.getElementById("help").addEventListener("click", showKeys);
addEventListener("hashchange", () => { readState(); draw(); });
addEventListener("popstate", () => { readState(); draw(); });

try { if (localStorage.getItem("cascade-theme")) changeTheme(localStorage.getItem("cascade-theme")); } catch { /* the system's choice */ }
{
  const model = runs.b ? `${runs.a.model} · ${runs.b.model}` : runs.a.model;
  document.title = `${visible(model)} – evaluation`;
  document.getElementById("model").textContent = visible(model);
  const notice = sides().map((run) => run.notice || (run.status === "complete" ? "" : `This run is ${run.status}.`)).filter(Boolean);
  document.getElementById("notice").hidden = !notice.length;
  document.getElementById("notice").textContent = visible([...new Set(notice)].join(" "));
}
readState();
draw();
document.body.dataset.ready = "yes";
