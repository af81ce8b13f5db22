"use strict";
// Runs, their samples in columns, transcripts that are loaded when needed, and the page's state.
// A sample is known by (side, task index, index within the task).

const STATUS = {
  c: ["correct", "✓"],
  p: ["partial", "◐"],
  w: ["wrong", "✗"],
  n: ["no answer", "∅"],
  f: ["fault", "!"],
};
const STOP = {
  s: "stop",
  l: "length",
  t: "tool calls",
  u: "turns",
  c: "content filter",
  e: "error",
};
// Bits of a hexadecimal digit a sample.
const FLAGS = [
  ["truncated", 1],
  ["empty", 2],
  ["unparsable", 4],
  ["refused", 8],
];
const runs = {};
let comparison = null;

function cascadeRun(side, run) {
  run.side = side;
  run.tasks.forEach((task, index) => {
    const n = task.status.length;
    task.index = index;
    task.n = n;
    task.problemOf = new Int32Array(n);
    task.start = new Int32Array(task.counts.length + 1);
    let at = 0;
    task.counts.forEach((count, problem) => {
      task.start[problem] = at;
      task.problemOf.fill(problem, at, at + count);
      at += count;
    });
    task.start[task.counts.length] = at;
    task.place = new Map(task.problems.map((id, problem) => [id, problem]));
  });
  runs[side] = run;
}
function cascadeComparison(value) {
  comparison = value;
}

const sampleNumber = (task, i) =>
  task.numbers ? task.numbers[i] : i - task.start[task.problemOf[i]];
const rewardOf = (task, i) =>
  task.status[i] === "c" ? 1 : task.status[i] === "p" ? task.partial[i] : 0;

// Index of a sample by problem id and number, or -1.
function findSample(task, id, number) {
  const problem = task.place.get(id);
  if (problem === undefined) return -1;
  for (let i = task.start[problem]; i < task.start[problem + 1]; i++)
    if (sampleNumber(task, i) === number) return i;
  return -1;
}

// Mean reward of a problem over its judged samples, or null.
function problemScore(task, problem) {
  let sum = 0,
    judged = 0;
  for (let i = task.start[problem]; i < task.start[problem + 1]; i++)
    if (task.status[i] !== "f") {
      sum += rewardOf(task, i);
      judged++;
    }
  return judged ? sum / judged : null;
}

// The same sample of the other run: [task, index] or null.
function twin(side, task, i) {
  const other = runs[side === "a" ? "b" : "a"];
  const same = other && other.tasks.find((t) => t.name === task.name);
  if (!same) return null;
  const at = findSample(same, task.problems[task.problemOf[i]], sampleNumber(task, i));
  return at < 0 ? null : [same, at];
}

// Parts of transcripts: a script tag each, since a page from disk may not fetch. The parts that were
// used last stay in memory.
const Parts = {
  kept: new Map(),
  waiting: new Map(),
  most: 40,
  of(task, i) {
    let low = 0,
      high = task.parts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (task.parts[middle] <= i) low = middle;
      else high = middle - 1;
    }
    return low;
  },
  load(side, task, part) {
    const key = `${side}-${task.index}-${part}`;
    if (this.kept.has(key)) {
      const value = this.kept.get(key);
      this.kept.delete(key);
      this.kept.set(key, value);
      return Promise.resolve(value);
    }
    if (this.waiting.has(key)) return this.waiting.get(key).promise;
    const entry = {};
    entry.promise = new Promise((resolve, reject) => {
      entry.resolve = resolve;
      entry.reject = reject;
    });
    this.waiting.set(key, entry);
    const script = document.createElement("script");
    script.src = `data/${key}.js`;
    script.onload = () => script.remove();
    script.onerror = () => {
      script.remove();
      this.waiting.delete(key);
      entry.reject(new Error(`data/${key}.js cannot be read`));
    };
    document.head.append(script);
    return entry.promise;
  },
  async transcript(side, task, i) {
    const part = this.of(task, i);
    const value = await this.load(side, task, part);
    const sample = value.samples[i - task.parts[part]];
    return { ...sample, prompt: value.prompts[sample.prompt] };
  },
};
function cascadePart(side, task, part, value) {
  const key = `${side}-${task}-${part}`;
  Parts.kept.set(key, value);
  if (Parts.kept.size > Parts.most) Parts.kept.delete(Parts.kept.keys().next().value);
  const entry = Parts.waiting.get(key);
  Parts.waiting.delete(key);
  if (entry) entry.resolve(value);
}

// The state is the URL's fragment: whatever is on the screen can be linked to.
const DEFAULTS = {
  view: "scores",
  run: "a",
  task: "",
  problem: "",
  sample: "",
  status: "",
  stop: "",
  flag: "",
  only: "",
  min: "",
  max: "",
  q: "",
  order: "",
};
const state = { ...DEFAULTS };
function readState() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(DEFAULTS)) state[name] = given.get(name) ?? DEFAULTS[name];
  if (!runs[state.run]) state.run = "a";
}
function fragment(changes = {}) {
  const wanted = { ...state, ...changes };
  const out = new URLSearchParams();
  for (const name of Object.keys(DEFAULTS))
    if (wanted[name] !== DEFAULTS[name]) out.set(name, wanted[name]);
  return "#" + out.toString();
}
// Push a new entry of the history (`go`), or change the present one (`set`).
function go(changes) {
  const to = fragment(changes);
  if (to !== location.hash) history.pushState(null, "", to === "#" ? location.pathname : to);
  readState();
  draw();
}
function set(changes) {
  history.replaceState(null, "", fragment(changes));
  readState();
  draw();
}

// Full-text search: parts one after the other, hits marked as they are found.
const Search = {
  text: "",
  side: "",
  hits: null,
  done: 0,
  total: 0,
  running: false,
  failed: "",
  start(text, side) {
    if (text === this.text && side === this.side) return;
    Object.assign(this, { text, side, done: 0, failed: "", running: !!text });
    this.hits = runs[side].tasks.map((task) => new Uint8Array(task.n));
    this.total = runs[side].tasks.reduce((sum, task) => sum + task.parts.length, 0);
    if (text) this.scan(text.toLowerCase(), side);
  },
  stop() {
    this.running = false;
    onSearch();
  },
  async scan(text, side) {
    const mine = this.hits;
    let shown = performance.now();
    for (const task of runs[side].tasks) {
      this.markIndex(task, text, mine[task.index]);
      for (let part = 0; part < task.parts.length; part++) {
        if (!this.running || mine !== this.hits) return;
        try {
          this.markPart(
            await Parts.load(side, task, part),
            text,
            mine[task.index],
            task.parts[part],
          );
        } catch (error) {
          this.failed = error.message;
        }
        if (mine !== this.hits) return;
        this.done++;
        if (performance.now() - shown > 200) {
          onSearch();
          await new Promise((resolve) => setTimeout(resolve));
          shown = performance.now();
        }
      }
    }
    if (mine === this.hits) {
      this.running = false;
      onSearch();
    }
  },
  markIndex(task, text, hits) {
    task.problems.forEach((id, problem) => {
      if (id.toLowerCase().includes(text))
        hits.fill(1, task.start[problem], task.start[problem + 1]);
    });
  },
  markPart(part, text, hits, first) {
    const inPrompt = part.prompts.map((prompt) => holds(prompt, text));
    part.samples.forEach((sample, i) => {
      if (inPrompt[sample.prompt] || holds(sample.messages, text) || holds(sample.verdict, text))
        hits[first + i] = 1;
    });
  },
};
// Whether a text (lower case) occurs in any string of plain data.
function holds(value, text) {
  if (typeof value === "string") return value.toLowerCase().includes(text);
  if (value === null || typeof value !== "object") return false;
  return Object.values(value).some((item) => holds(item, text));
}
