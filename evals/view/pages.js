"use strict";
// The views: scores, problems, comparison of two runs, and the facts of a run.

function sides() {
  return Object.values(runs);
}

function drawScores(main) {
  const cards = sides().flatMap((run) => [
    runs.b
      ? h(
          "h2",
          {},
          `${run.side.toUpperCase()} · ${run.model} `,
          h("span", { class: "faint" }, run.name),
        )
      : null,
    scoreTable(run),
    (run.facts.problems || []).map((text) => h("p", { class: "attention" }, text)),
    Object.entries(run.facts.skipped || {}).map(([name, why]) =>
      h("p", { class: "attention" }, `left out: ${name}: ${why}`),
    ),
  ]);
  main.replaceChildren(
    h(
      "div",
      { class: "page" },
      cards,
      h(
        "p",
        { class: "note" },
        "The interval asks whether new questions of the kind would give the same, run noise whether another run on these " +
          "questions would. Ticks are published numbers. Faults are left out of every score and counted here; so are samples " +
          "that were cut, empty or unreadable, which count as they were judged.",
      ),
    ),
  );
}
// Counts that lead to their samples: head, name in the counts, filter.
const COUNTS = [
  ["wrong", "wrong", { status: "w" }],
  ["none", "no_answer", { status: "n" }],
  ["cut", "truncated", { flag: "truncated" }],
  ["empty", "empty", { flag: "empty" }],
  ["unread", "unparsable", { flag: "unparsable" }],
  ["refused", "refused", { flag: "refused" }],
  ["fault", "fault", { status: "f" }],
];
const link = (text, onclick) => h("button", { type: "button", class: "plain", onclick }, text);
const cell = (...content) => h("td", { class: "number" }, content);
const headRow = (heads, isNumber) =>
  h(
    "thead",
    {},
    h(
      "tr",
      {},
      heads.map((text, i) => h("th", { class: isNumber(i) ? "number" : "" }, text)),
    ),
  );

function scoreTable(run) {
  const heads = ["task", "", "score", "95 % interval", "run noise", "maj@k", "pass@k", "samples"];
  const all = [...heads, ...COUNTS.map(([head]) => head), "tokens"];
  const note = (...content) =>
    h("tr", { class: "theirs" }, h("td", {}), h("td", { colspan: all.length - 1 }, content));
  const bodies = run.tasks.map((task) =>
    h(
      "tbody",
      {},
      scoreRow(run, task),
      scoreNotes(task.summary).map((content) => note(content)),
    ),
  );
  return h(
    "div",
    { class: "wide" },
    h(
      "table",
      { class: "scores" },
      headRow(all, (i) => i > 1),
      bodies,
    ),
  );
}
function scoreRow(run, task) {
  const s = task.summary;
  const open = (changes) => () =>
    go({ ...DEFAULTS, run: run.side, view: "samples", task: task.name, ...changes });
  const count = (value, changes) =>
    cell(value ? link(whole(value), open(changes)) : h("span", { class: "faint" }, "0"));
  return h(
    "tr",
    {},
    h("td", { class: "task" }, link(task.name, open({ view: "problems" }))),
    h("td", {}, scoreBar(s.score, s.interval, s.published || [])),
    h(
      "td",
      { class: "number strong" },
      points(s.score, 2),
      h("span", { class: "faint" }, ` ${s.headline}`),
      s.complete ? "" : h("span", { class: "warn", title: "samples are missing" }, " incomplete"),
    ),
    cell(s.interval ? `${points(s.interval[0])} to ${points(s.interval[1])}` : "–"),
    cell(s.run_noise === null ? "–" : `±${points(s.run_noise)}`),
    cell(points(largest(s.metrics, "maj@"))),
    cell(points(largest(s.metrics, "pass@"))),
    count(task.n, {}),
    COUNTS.map(([, name, changes]) => count(s.counts[name], changes)),
    cell(s.tokens ? brief(s.tokens.mean) : "–"),
  );
}
// Lines below a score: published numbers with our verdict on them, scores by group, deviations.
function scoreNotes(s) {
  const faint = (text) => h("span", { class: "faint" }, text);
  const published = (s.published || []).map((number) => [
    h("span", { class: `sentence ${number.reproduced ? "yes" : "no"}` }, number.sentence),
    ` · published ${number.score} ${number.model} (${number.metric})`,
    number.note ? `, ${number.note}` : "",
    faint(` ${number.source}`),
  ]);
  const groups = Object.entries(s.groups || {}).map(([name, group], i) => [
    `${i ? " · " : ""}${name} `,
    h("b", {}, points(group.score)),
    faint(` of ${whole(group.problems)}`),
  ]);
  const deviations = (s.deviations || []).map((text) => [faint("differs: "), text]);
  return [...published, ...(groups.length ? [groups] : []), ...deviations];
}
function largest(metrics, start) {
  const names = Object.keys(metrics)
    .filter((name) => name.startsWith(start))
    .sort((x, y) => x.slice(start.length) - y.slice(start.length));
  return names.length ? metrics[names.at(-1)] : null;
}

function currentTask() {
  const run = runs[state.run];
  return run.tasks.find((task) => task.name === state.task) || run.tasks[0];
}
function drawProblems(main) {
  const run = runs[state.run],
    task = currentTask();
  const order = task.problems.map((_, problem) => problem),
    scores = order.map((problem) => problemScore(task, problem) ?? -1);
  if (state.order !== "id") order.sort((p, q) => scores[q] - scores[p] || p - q);
  const choose = h(
    "div",
    { class: "line" },
    h(
      "select",
      { "aria-label": "task", onchange: (event) => set({ task: event.target.value }) },
      run.tasks.map((t) => h("option", { value: t.name, selected: t === task }, t.name)),
    ),
    runs.b
      ? h(
          "select",
          { "aria-label": "run", onchange: (event) => set({ run: event.target.value }) },
          sides().map((r) =>
            h("option", { value: r.side, selected: r === run }, `run ${r.side.toUpperCase()}`),
          ),
        )
      : null,
    h(
      "select",
      { "aria-label": "order", onchange: (event) => set({ order: event.target.value }) },
      [
        ["", "easiest first"],
        ["id", "by problem"],
      ].map(([value, text]) => h("option", { value, selected: state.order === value }, text)),
    ),
    h(
      "span",
      { class: "legend" },
      Object.entries(STATUS)
        .filter(([letter]) => task.status.includes(letter))
        .map(([letter, [name]]) => [h("i", { class: letter }), name]),
    ),
  );
  const heat = h(
    "figure",
    {},
    h("figcaption", {}, `${whole(task.problems.length)} problems, a cell a sample`),
    heatMap(task, order, colours(), (i) => go({ task: task.name, order: "", ...placeOf(task, i) })),
  );
  const right = (i) => rewardOf(task, i) === 1;
  const counted = task.tokens.some((n) => n > 0);
  main.replaceChildren(
    h(
      "div",
      { class: "page" },
      choose,
      h(
        "div",
        { class: "grid" },
        heat,
        h(
          "div",
          { class: "charts" },
          counted
            ? histogram("Length", "tokens", task.tokens, right)
            : h("p", { class: "faint" }, "The engine did not count tokens."),
          histogram("Time", "seconds", task.seconds, right),
          calibration(task),
        ),
      ),
    ),
  );
}
function colours() {
  const style = getComputedStyle(document.documentElement),
    read = (name) => style.getPropertyValue(name).trim();
  return {
    c: read("--c"),
    p: read("--p"),
    w: read("--w"),
    n: read("--n"),
    f: read("--f"),
    text: read("--faint"),
  };
}

function drawComparison(main) {
  const value = comparison,
    rows = (value?.tasks || []).map((t) =>
      h(
        "tr",
        {},
        h("td", { class: "task" }, t.task),
        [
          whole(t.problems),
          points(t.score_a, 2),
          points(t.score_b, 2),
          signed(t.difference),
          t.interval ? `${signed(t.interval[0])} to ${signed(t.interval[1])}` : "–",
          t.p_value.toPrecision(2),
          points(t.detectable),
          `${t.a_better} / ${t.b_better}`,
        ].map((text) => h("td", { class: "number" }, text)),
        h("td", {}, t.sentence),
      ),
    );
  const heads = [
    "task",
    "problems",
    "A",
    "B",
    "A − B",
    "95 % interval",
    "p",
    "detectable",
    "A / B better",
    "result",
  ];
  main.replaceChildren(
    h(
      "div",
      { class: "page" },
      value?.problem ? h("p", { class: "attention" }, value.problem) : null,
      h(
        "p",
        {},
        "A ",
        h("b", {}, runs.a.model),
        h("span", { class: "faint" }, ` ${runs.a.name}`),
        "  B ",
        h("b", {}, runs.b.model),
        h("span", { class: "faint" }, ` ${runs.b.name}`),
      ),
      rows.length
        ? h(
            "div",
            { class: "wide" },
            h(
              "table",
              { class: "scores" },
              h(
                "thead",
                {},
                h(
                  "tr",
                  {},
                  heads.map((text, i) => h("th", { class: i && i < 9 ? "number" : "" }, text)),
                ),
              ),
              h("tbody", {}, rows),
            ),
          )
        : null,
      h(
        "p",
        {},
        h(
          "button",
          {
            type: "button",
            class: "chip",
            onclick: () => go({ ...DEFAULTS, view: "samples", only: "flipped" }),
          },
          "Samples whose verdicts differ",
        ),
      ),
      h("div", { class: "columns" }, runs.a.tasks.map(differences)),
    ),
  );
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
    const a = problemScore(task, problem),
      b = problemScore(other, theirs);
    if (a !== null && b !== null && a !== b) found.push([problem, a, b]);
  });
  found.sort((x, y) => Math.abs(y[1] - y[2]) - Math.abs(x[1] - x[2]) || x[0] - y[0]);
  const bar = (a, b) =>
    svg(
      "svg",
      { viewBox: "-100 0 200 14", class: "diverging" },
      svg("line", { x1: 0, x2: 0, y1: 0, y2: 14, class: "axis" }),
      svg("rect", {
        x: Math.min(0, 100 * (b - a)),
        y: 3,
        width: 100 * Math.abs(a - b),
        height: 8,
        class: a > b ? "fora" : "forb",
      }),
    );
  const row = ([problem, a, b]) =>
    h(
      "tr",
      {},
      h("td", { class: "number" }, points(100 * a, 0)),
      h("td", {}, bar(a, b)),
      h("td", { class: "number" }, points(100 * b, 0)),
      h(
        "td",
        {},
        h(
          "button",
          {
            type: "button",
            class: "plain",
            onclick: () => go({ ...placeOf(task, task.start[problem]), task: task.name }),
          },
          task.problems[problem],
        ),
      ),
    );
  return h(
    "section",
    {},
    h(
      "h2",
      {},
      task.name,
      h(
        "span",
        { class: "faint" },
        ` ${whole(found.length)} of ${whole(task.problems.length)} problems differ`,
      ),
    ),
    h(
      "table",
      { class: "plainrows" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["A", "", "B", "problem"].map((text) => h("th", {}, text)),
        ),
      ),
      h("tbody", {}, found.slice(0, 100).map(row)),
    ),
    found.length > 100
      ? h("p", { class: "faint" }, "The 100 largest differences are shown.")
      : null,
  );
}

function drawRun(main) {
  const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
  const list = (facts) =>
    h(
      "dl",
      { class: "about" },
      Object.entries(facts)
        .filter(([, value]) => value !== null && value !== undefined && value !== "")
        .flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, h("pre", {}, shown(value)))]),
    );
  main.replaceChildren(
    h(
      "div",
      { class: "page" },
      sides().map((run) =>
        h(
          "section",
          {},
          h("h2", {}, runs.b ? `${run.side.toUpperCase()} · ` : "", run.model),
          list({ folder: run.name, status: run.status, seed: run.seed, ...run.facts }),
          run.tasks.map((task) =>
            h(
              "details",
              {},
              h("summary", {}, task.name),
              list({
                protocol: task.summary.protocol,
                data: task.summary.data,
                environment: task.summary.env,
                options: task.summary.env_options,
                deviations: task.summary.deviations,
                counts: task.summary.counts,
                metrics: task.summary.metrics,
                tokens: task.summary.tokens,
              }),
            ),
          ),
        ),
      ),
    ),
  );
}
