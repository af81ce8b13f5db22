"use strict";
// The list of samples: filters, a list that draws only the rows in sight, and the open transcript.

const ROW = 34;
const LIST = { key: "", side: "a", rows: [], drawn: null };

const selected = (text) => new Set(text ? text.split(",") : []);
function toggled(text, item) {
  const items = selected(text);
  if (!items.delete(item)) items.add(item);
  return [...items].join(",");
}

// All samples that pass the filters, as [task, index].
function filtered() {
  const run = runs[state.run],
    rows = [];
  const status = selected(state.status),
    stop = selected(state.stop),
    flag = selected(state.flag);
  const bits = FLAGS.reduce((sum, [name, bit]) => sum + (flag.has(name) ? bit : 0), 0);
  const min = state.min === "" ? -1 : Number(state.min),
    max = state.max === "" ? Infinity : Number(state.max);
  for (const task of run.tasks) {
    if (state.task && task.name !== state.task) continue;
    for (let i = 0; i < task.n; i++) {
      if (status.size && !status.has(task.status[i])) continue;
      if (stop.size && !stop.has(task.stop[i])) continue;
      if (bits && !(parseInt(task.flags[i], 16) & bits)) continue;
      if (task.tokens[i] < min || task.tokens[i] > max) continue;
      if (state.q && !Search.hits[task.index][i]) continue;
      if (state.only && !differs(task, i)) continue;
      rows.push([task, i]);
    }
  }
  const sorts = {
    long: ([s, i], [t, k]) => t.tokens[k] - s.tokens[i],
    short: ([s, i], [t, k]) => s.tokens[i] - t.tokens[k],
    slow: ([s, i], [t, k]) => t.seconds[k] - s.seconds[i],
  };
  return sorts[state.order] ? rows.sort(sorts[state.order]) : rows;
}
function differs(task, i) {
  const other = twin(state.run, task, i);
  if (!other) return false;
  const ours = rewardOf(task, i),
    theirs = rewardOf(...other),
    same = task.status[i] === other[0].status[other[1]];
  const [a, b] = state.run === "a" ? [ours, theirs] : [theirs, ours];
  return { flipped: ours !== theirs || !same, a: a > b, b: b > a }[state.only];
}

function drawSamples(main) {
  Search.start(state.q, state.run);
  const key = fragment({ problem: "", sample: "" });
  if (LIST.key !== key || !main.querySelector(".list")) {
    LIST.key = key;
    LIST.rows = filtered();
    const list = h(
      "div",
      { class: "list", tabindex: "0", role: "listbox", "aria-label": "Samples" },
      h("div", { class: "rows" }),
    );
    list.addEventListener("scroll", () => drawRows(list));
    main.replaceChildren(
      h(
        "div",
        { class: "samples" },
        h("aside", {}, filters(), h("p", { class: "count", id: "count" }), list),
        h("article", { id: "panel" }),
      ),
    );
    drawCount();
    drawRows(list);
    LIST.drawn = null;
  }
  drawPanel();
}
// Called while a search runs: the list grows, the filters and the open transcript stay.
function onSearch() {
  const list = document.querySelector(".list");
  if (state.view !== "samples" || !list) return;
  LIST.rows = filtered();
  drawCount();
  drawRows(list);
}

function drawCount() {
  const count = document.getElementById("count"),
    run = runs[state.run];
  const all = run.tasks.reduce((sum, task) => sum + task.n, 0);
  count.replaceChildren(`${whole(LIST.rows.length)} of ${whole(all)} samples`);
  if (!state.q) return;
  if (Search.running)
    count.append(
      ` · searched ${whole(Search.done)} of ${whole(Search.total)} parts `,
      h("button", { type: "button", class: "plain", onclick: () => Search.stop() }, "stop"),
    );
  else if (Search.done < Search.total)
    count.append(` · search stopped at part ${whole(Search.done)} of ${whole(Search.total)}`);
  if (Search.failed) count.append(` · ${Search.failed}`);
}

function filters() {
  const chips = (name, entries) =>
    h(
      "div",
      { class: "chips", role: "group", "aria-label": name },
      entries.map(([value, text, kind]) =>
        h(
          "button",
          {
            type: "button",
            class: `chip ${kind || ""}`,
            "aria-pressed": String(selected(state[name]).has(value)),
            onclick: () => set({ [name]: toggled(state[name], value) }),
          },
          text,
        ),
      ),
    );
  const present = (column, table) =>
    Object.keys(table).filter((letter) =>
      runs[state.run].tasks.some((task) => task[column].includes(letter)),
    );
  const choice = (name, entries) =>
    h(
      "select",
      { name, "aria-label": name, onchange: (event) => set({ [name]: event.target.value }) },
      entries.map(([value, text]) => h("option", { value, selected: state[name] === value }, text)),
    );
  const number = (name, text) =>
    h("input", {
      type: "number",
      min: "0",
      placeholder: text,
      "aria-label": text,
      value: state[name],
      onchange: (event) => set({ [name]: event.target.value }),
    });
  return h(
    "div",
    { class: "filters" },
    h(
      "div",
      { class: "line" },
      choice("task", [
        ["", "all tasks"],
        ...runs[state.run].tasks.map((task) => [task.name, task.name]),
      ]),
      choice("order", [
        ["", "by problem"],
        ["long", "longest first"],
        ["short", "shortest first"],
        ["slow", "slowest first"],
      ]),
      runs.b
        ? choice("run", [
            ["a", "run A"],
            ["b", "run B"],
          ])
        : null,
      runs.b
        ? choice("only", [
            ["", "same or not"],
            ["flipped", "verdicts that differ"],
            ["a", "A better"],
            ["b", "B better"],
          ])
        : null,
    ),
    chips(
      "status",
      present("status", STATUS).map((letter) => [
        letter,
        `${STATUS[letter][1]} ${STATUS[letter][0]}`,
        letter,
      ]),
    ),
    h(
      "div",
      { class: "line" },
      chips(
        "stop",
        present("stop", STOP).map((letter) => [letter, `ended: ${STOP[letter]}`]),
      ),
      chips(
        "flag",
        FLAGS.filter(([, bit]) =>
          runs[state.run].tasks.some((task) =>
            [...new Set(task.flags)].some((f) => parseInt(f, 16) & bit),
          ),
        ).map(([name]) => [name, name]),
      ),
    ),
    h(
      "div",
      { class: "line" },
      number("min", "tokens from"),
      number("max", "to"),
      h("button", { type: "button", class: "plain", onclick: clearFilters }, "clear"),
    ),
  );
}
function clearFilters() {
  set({ task: "", status: "", stop: "", flag: "", only: "", min: "", max: "", q: "", order: "" });
}

function drawRows(list) {
  const rows = list.firstChild,
    first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
  const last = Math.min(LIST.rows.length, first + Math.ceil((list.clientHeight || 600) / ROW) + 10);
  rows.style.height = `${LIST.rows.length * ROW}px`;
  rows.replaceChildren(
    ...LIST.rows.slice(first, last).map(([task, i], k) => sampleRow(task, i, first + k)),
  );
}
function sampleRow(task, i, position) {
  const id = task.problems[task.problemOf[i]],
    number = sampleNumber(task, i),
    other = runs.b && twin(state.run, task, i);
  const row = h(
    "a",
    {
      class: "row",
      role: "option",
      href: fragment(placeOf(task, i)),
      "aria-selected": String(isOpen(task, i)),
      onclick: (event) => {
        event.preventDefault();
        go(placeOf(task, i));
      },
    },
    statusBadge(task.status[i], false),
    other ? statusBadge(other[0].status[other[1]], false) : null,
    h(
      "span",
      { class: "id" },
      state.task ? "" : h("span", { class: "faint" }, `${task.name} `),
      id,
      h("span", { class: "faint" }, ` #${number}`),
    ),
    h("span", { class: "answer" }, task.answers[task.answer[i]] ?? ""),
    h("span", { class: "number faint" }, task.tokens[i] ? brief(task.tokens[i]) : ""),
  );
  row.style.top = `${position * ROW}px`;
  return row;
}
// A sample's place in the address: by names, which stay when a view is built anew; by positions where a
// name holds a lone surrogate, which no address can.
function placeOf(task, i) {
  const named = `${task.name}:${task.problems[task.problemOf[i]]}`;
  const problem = named.isWellFormed() ? named : `~${task.index}~${task.problemOf[i]}`;
  return { view: "samples", problem, sample: String(sampleNumber(task, i)) };
}
const isOpen = (task, i) => {
  const place = placeOf(task, i);
  return state.problem === place.problem && state.sample === place.sample;
};

// The task and the problem's id that the state names.
function openedNames() {
  const [, at, problem] = /^~(\d+)~(\d+)$/.exec(state.problem) || [];
  const task = runs[state.run].tasks[at];
  if (task) return [task.name, task.problems[problem]];
  const found = runs[state.run].tasks.find((t) => state.problem.startsWith(`${t.name}:`));
  return found ? [found.name, state.problem.slice(found.name.length + 1)] : [];
}
// The sample that the state names, of either run, as [task, index], or null.
function opened(side = state.run) {
  const [name, id] = openedNames(),
    task = runs[side].tasks.find((t) => t.name === name);
  const i = task ? findSample(task, id, Number(state.sample)) : -1;
  return i < 0 ? null : [task, i];
}

async function drawPanel() {
  const panel = document.getElementById("panel"),
    place = opened();
  for (const row of document.querySelectorAll(".row"))
    row.setAttribute("aria-selected", String(row.getAttribute("href") === location.hash));
  const key = `${state.run} ${state.problem} ${state.sample} ${state.q}`;
  if (LIST.drawn === key) return;
  LIST.drawn = key;
  if (!place) {
    panel.replaceChildren(
      h(
        "p",
        { class: "empty" },
        state.problem
          ? "This run has no such sample."
          : "Choose a sample: j and k go through the list, ← and → through the samples of a problem, / searches.",
      ),
    );
    return;
  }
  const [task, i] = place,
    sides = runs.b ? ["a", "b"] : ["a"];
  const columns = await Promise.all(
    sides.map(async (side) => {
      const at = opened(side);
      if (!at)
        return h(
          "div",
          { class: "episode" },
          h("p", { class: "empty" }, `Run ${side.toUpperCase()} has no such sample.`),
        );
      try {
        return episode(side, ...at, await Parts.transcript(side, ...at));
      } catch (error) {
        return h("div", { class: "episode" }, h("p", { class: "empty" }, error.message));
      }
    }),
  );
  if (LIST.drawn !== key) return;
  panel.replaceChildren(panelHead(task, i), h("div", { class: runs.b ? "both" : "" }, columns));
  panel.scrollTop = 0;
  panel.querySelector("mark")?.scrollIntoView({ block: "center" });
}
function panelHead(task, i) {
  const problem = task.problemOf[i],
    strip = h("div", { class: "strip", "aria-label": "Samples of this problem" });
  for (
    let k = task.start[problem];
    k < Math.min(task.start[problem + 1], task.start[problem] + 256);
    k++
  )
    strip.append(
      h("a", {
        href: fragment(placeOf(task, k)),
        class: `cell ${task.status[k]}`,
        title: `sample ${sampleNumber(task, k)}: ${STATUS[task.status[k]][0]}`,
        "aria-current": String(k === i),
        onclick: (event) => {
          event.preventDefault();
          go(placeOf(task, k));
        },
      }),
    );
  const link = h(
    "button",
    { type: "button", class: "plain", title: "Copy a link to this sample" },
    "copy link",
  );
  link.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      link.textContent = "copied";
    } catch {
      prompt("Link to this sample", location.href);
    }
  });
  const score = problemScore(task, problem);
  return h(
    "div",
    { class: "panelhead" },
    h("h2", {}, h("span", { class: "faint" }, `${task.name} / `), task.problems[problem]),
    strip,
    h("span", { class: "faint" }, score === null ? "" : `${points(100 * score)} %`),
    link,
  );
}

// Keyboard: the next row of the list, the next sample of the problem.
function step(by) {
  const at = LIST.rows.findIndex(([task, i]) => isOpen(task, i));
  const next = LIST.rows[at < 0 ? 0 : Math.min(LIST.rows.length - 1, Math.max(0, at + by))];
  if (!next) return;
  set(placeOf(...next));
  const list = document.querySelector(".list"),
    top = LIST.rows.indexOf(next) * ROW;
  if (top < list.scrollTop || top > list.scrollTop + list.clientHeight - ROW)
    list.scrollTop = top - list.clientHeight / 2;
}
function sibling(by) {
  const place = opened();
  if (!place) return;
  const [task, i] = place;
  if (task.problemOf[i + by] === task.problemOf[i]) set(placeOf(task, i + by));
}
