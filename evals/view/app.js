"use strict";
// The page around the views: tabs, theme, search, and the keyboard.

const VIEWS = [
  ["scores", "Scores"],
  ["problems", "Problems"],
  ["samples", "Samples"],
  ["compare", "Comparison"],
  ["run", "Run"],
];

function draw() {
  const main = document.getElementById("main");
  const shown = VIEWS.filter(([view]) => view !== "compare" || runs.b);
  document.getElementById("tabs").replaceChildren(
    ...shown.map(([view, title]) =>
      h(
        "a",
        {
          href: fragment({ view }),
          "aria-current": state.view === view ? "page" : false,
          onclick: (event) => {
            event.preventDefault();
            go({ view });
          },
        },
        title,
      ),
    ),
  );
  const query = document.getElementById("query");
  if (document.activeElement !== query) query.value = state.q;
  main.className = state.view;
  const views = {
    scores: drawScores,
    problems: drawProblems,
    samples: drawSamples,
    compare: drawComparison,
    run: drawRun,
  };
  (views[state.view] || drawScores)(main);
}

const KEYS = [
  ["1 … 5", "views"],
  ["j k", "next, previous sample of the list"],
  ["← →", "samples of the same problem"],
  ["r", "fold or unfold reasoning"],
  ["/", "search all transcripts"],
  ["Esc", "leave the search, close"],
  ["x", "clear all filters"],
  ["t", "light or dark"],
  ["?", "this list"],
];
function showKeys() {
  const dialog = document.getElementById("keys");
  dialog.replaceChildren(
    h("h2", {}, "Keys"),
    h(
      "dl",
      {},
      KEYS.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)]),
    ),
    h("button", { type: "button", class: "chip", onclick: () => dialog.close() }, "Close"),
  );
  dialog.showModal();
}
function changeTheme(name) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const next =
    name || (document.documentElement.dataset.theme || (dark ? "dark" : "light")) === "dark"
      ? "light"
      : "dark";
  document.documentElement.dataset.theme = name || next;
  try {
    localStorage.setItem("cascade-theme", name || next);
  } catch {
    /* not kept where storage is off */
  }
  if (state.view === "problems") draw();
}
function foldReasoning() {
  const folds = [...document.querySelectorAll("details.reasoning")],
    open = folds.some((fold) => !fold.open);
  for (const fold of folds) fold.open = open;
}
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName),
    query = document.getElementById("query");
  if (event.key === "Escape" && event.target === query) {
    query.blur();
    return;
  }
  if (
    typing ||
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    document.querySelector("dialog[open]")
  )
    return;
  const samples = (action) => {
    if (state.view !== "samples") go({ view: "samples" });
    action();
  };
  const shown = VIEWS.filter(([view]) => view !== "compare" || runs.b);
  const actions = {
    j: () => samples(() => step(1)),
    ArrowDown: () => samples(() => step(1)),
    k: () => samples(() => step(-1)),
    ArrowUp: () => samples(() => step(-1)),
    ArrowRight: () => sibling(1),
    ArrowLeft: () => sibling(-1),
    r: foldReasoning,
    t: () => changeTheme(),
    x: clearFilters,
    "?": showKeys,
    "/": () => {
      query.focus();
      query.select();
    },
    Escape: () => set({ problem: "", sample: "" }),
  };
  const action =
    actions[event.key] ||
    (shown[Number(event.key) - 1] && (() => go({ view: shown[Number(event.key) - 1][0] })));
  const scrolls = event.key.startsWith("Arrow") && state.view !== "samples";
  if (action && !scrolls) {
    event.preventDefault();
    action();
  }
});

let pause = 0;
document.getElementById("query").addEventListener("input", (event) => {
  clearTimeout(pause);
  pause = setTimeout(() => set({ q: event.target.value.trim(), view: "samples" }), 250);
});
document.getElementById("theme").addEventListener("click", () => changeTheme());
document.getElementById("help").addEventListener("click", showKeys);
addEventListener("hashchange", () => {
  readState();
  draw();
});
addEventListener("popstate", () => {
  readState();
  draw();
});

try {
  if (localStorage.getItem("cascade-theme")) changeTheme(localStorage.getItem("cascade-theme"));
} catch {
  /* the system's choice */
}
{
  const named = (run) => (runs.a.model === runs.b.model ? `${run.model} ${run.name}` : run.model);
  const model = runs.b ? sides().map(named).join(" · ") : runs.a.model;
  document.title = `${visible(model)} – evaluation`;
  document.getElementById("model").textContent = visible(model);
  const notice = sides()
    .map((run) => run.notice || (run.status === "complete" ? "" : `This run is ${run.status}.`))
    .filter(Boolean);
  document.getElementById("notice").hidden = !notice.length;
  document.getElementById("notice").textContent = visible([...new Set(notice)].join(" "));
}
readState();
draw();
document.body.dataset.ready = "yes";
