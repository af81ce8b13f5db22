"use strict";
// Elements, and pictures of numbers. Text becomes text nodes only: nothing is ever parsed as HTML, and
// what would be invisible, or would turn the text around it, is made visible.

const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]|[\u{e0000}-\u{e0fff}]|\p{Surrogate}/gu;

function visible(text) {
  return String(text).replace(HIDDEN, (found) => {
    const code = found.codePointAt(0);
    return code < 32
      ? String.fromCharCode(0x2400 + code)
      : `‹U+${code.toString(16).toUpperCase().padStart(4, "0")}›`;
  });
}

function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  fill(element, attributes, children);
  return element;
}
function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  fill(element, attributes, children);
  return element;
}
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, name === "title" ? visible(value) : value);
  }
  for (const child of children.flat(Infinity))
    if (typeof child === "string") element.append(visible(child));
    else if (child !== null && child !== undefined && child !== false) element.append(child);
}
const whole = (value) => Math.round(value).toLocaleString("en");
const points = (value, digits = 1) =>
  value === null || value === undefined ? "–" : value.toFixed(digits);
// Short enough for an axis: 950, 1.2k, 31k.
function brief(value) {
  if (value >= 9950) return `${Math.round(value / 1000)}k`;
  if (value >= 1000) return `${(value / 1000).toFixed(1)}k`;
  return value >= 10 || Number.isInteger(value) ? `${Math.round(value)}` : value.toPrecision(2);
}

// A score on 0 to 100 with its interval, and ticks where others have published theirs.
function scoreBar(score, interval, published) {
  if (score === null || score < 0 || score > 100) return null; // a rating, or points of a contest
  const x = (value) => 4 + Math.min(100, Math.max(0, value)) * 1.92;
  const picture = svg("svg", {
    viewBox: "0 0 200 22",
    class: "scorebar",
    role: "img",
    "aria-label": `score ${points(score)}`,
  });
  picture.append(svg("line", { x1: x(0), x2: x(100), y1: 11, y2: 11, class: "track" }));
  for (const number of published)
    picture.append(
      svg(
        "line",
        { x1: x(number.score), x2: x(number.score), y1: 4, y2: 18, class: "theirs" },
        svg("title", {}, `${number.model}: ${number.score}`),
      ),
    );
  if (interval)
    picture.append(
      svg("line", { x1: x(interval[0]), x2: x(interval[1]), y1: 11, y2: 11, class: "whisker" }),
    );
  picture.append(svg("circle", { cx: x(score), cy: 11, r: 4.5, class: "dot" }));
  return picture;
}

// Histogram of a column, the right samples below and the others on top.
function histogram(title, unit, values, isRight) {
  const width = 420,
    height = 150,
    left = 8,
    bottom = 24,
    bins = 36;
  const sorted = Float64Array.from(values).sort(),
    longest = sorted.at(-1) ?? 0;
  // A few giants would squeeze all others into one bar: they share the last bin.
  const most = Math.min(longest, 1.3 * sorted[Math.floor(0.99 * (sorted.length - 1))] || longest);
  const step = niceStep(most / bins),
    count = Math.max(1, Math.floor(most / step) + 1);
  const right = new Array(count).fill(0),
    other = new Array(count).fill(0);
  for (let i = 0; i < values.length; i++)
    (isRight(i) ? right : other)[Math.min(count - 1, Math.floor(values[i] / step))]++;
  const top = Math.max(1, ...right.map((n, i) => n + other[i]));
  const wide = (width - 2 * left) / count;
  const picture = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    class: "chart",
    role: "img",
    "aria-label": title,
  });
  for (let i = 0; i < count; i++) {
    if (!right[i] && !other[i]) continue;
    const scale = (height - bottom - 8) / top,
      x = left + i * wide;
    const low = right[i] * scale,
      high = other[i] * scale,
      base = height - bottom;
    const bar = svg(
      "g",
      {},
      svg(
        "title",
        {},
        `${brief(i * step)} to ${brief(i === count - 1 ? longest : (i + 1) * step)} ${unit}: ${whole(right[i])} right, ${whole(other[i])} not`,
      ),
    );
    bar.append(
      svg("rect", { x, y: base - low, width: Math.max(1, wide - 1), height: low, class: "right" }),
    );
    bar.append(
      svg("rect", {
        x,
        y: base - low - high,
        width: Math.max(1, wide - 1),
        height: high,
        class: "other",
      }),
    );
    picture.append(bar);
  }
  axis(picture, left, width - left, height - bottom, (share) => brief(share * count * step));
  return figure(
    `${title} in ${unit}`,
    picture,
    h(
      "p",
      { class: "legend" },
      h("i", { class: "right" }),
      "right",
      h("i", { class: "other" }),
      "not right",
      longest > count * step ? ` · the last bar reaches to ${brief(longest)}` : "",
    ),
  );
}
function niceStep(raw) {
  if (!(raw > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= raw * 0.999);
}
function axis(picture, from, to, y, label) {
  picture.append(svg("line", { x1: from, x2: to, y1: y, y2: y, class: "axis" }));
  for (const share of [0, 0.25, 0.5, 0.75, 1])
    picture.append(
      svg(
        "text",
        {
          x: from + share * (to - from),
          y: y + 14,
          class: "tick",
          "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle",
        },
        label(share),
      ),
    );
}
function figure(title, ...content) {
  return h("figure", {}, h("figcaption", {}, title), ...content);
}

// Calibration of the vote: how often is the majority right, by the share of votes it has?
function votes(task) {
  const bins = Array.from({ length: 5 }, () => ({ problems: 0, right: 0, share: 0 }));
  for (let problem = 0; problem < task.counts.length; problem++) {
    const given = new Map();
    let judged = 0;
    for (let i = task.start[problem]; i < task.start[problem + 1]; i++) {
      if (task.status[i] === "f") continue;
      judged++;
      if (task.answer[i] < 0) continue;
      const vote = given.get(task.answer[i]) || { count: 0, reward: 0 };
      vote.count++;
      vote.reward += rewardOf(task, i);
      given.set(task.answer[i], vote);
    }
    if (judged < 2 || !given.size) continue;
    const most = Math.max(...[...given.values()].map((vote) => vote.count));
    const tied = [...given.values()].filter((vote) => vote.count === most);
    const bin = bins[Math.min(4, Math.floor((5 * most) / judged))];
    bin.problems++;
    bin.share += most / judged;
    bin.right += tied.reduce((sum, vote) => sum + vote.reward / vote.count, 0) / tied.length;
  }
  return bins.filter((bin) => bin.problems);
}
function wilson(p, n) {
  const z = 1.96,
    scale = 1 + (z * z) / n,
    centre = (p + (z * z) / (2 * n)) / scale;
  const half = (z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n))) / scale;
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}
function calibration(task) {
  const bins = votes(task);
  if (!bins.length) return null;
  const width = 420,
    height = 210,
    left = 34,
    base = height - 28;
  const x = (share) => left + share * (width - left - 14),
    y = (share) => base - share * (base - 16);
  const picture = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    class: "chart",
    role: "img",
    "aria-label": "accuracy of the majority by its share",
  });
  for (const share of [0, 0.5, 1])
    picture.append(
      svg("line", { x1: left, x2: x(1), y1: y(share), y2: y(share), class: "gridline" }),
      svg(
        "text",
        { x: left - 6, y: y(share) + 4, class: "tick", "text-anchor": "end" },
        `${100 * share}`,
      ),
    );
  picture.append(svg("line", { x1: x(0), y1: y(0), x2: x(1), y2: y(1), class: "diagonal" }));
  for (const bin of bins) {
    const share = bin.share / bin.problems,
      right = bin.right / bin.problems;
    const [low, high] = wilson(right, bin.problems);
    const text =
      `${whole(bin.problems)} problems: the majority has ${points(100 * share)} % of the votes ` +
      `and is right in ${points(100 * right)} %`;
    picture.append(
      svg(
        "g",
        {},
        svg("title", {}, text),
        svg("line", { x1: x(share), x2: x(share), y1: y(low), y2: y(high), class: "whisker" }),
        svg("circle", {
          cx: x(share),
          cy: y(right),
          r: Math.min(12, 4 + Math.sqrt(bin.problems) / 2),
          class: "dot",
        }),
      ),
    );
  }
  axis(picture, left, x(1), base, (share) => `${100 * share}`);
  return figure("Is the majority right? Accuracy in %, by its share of votes in %", picture);
}

// One cell a sample, coloured by verdict. Few problems have a labelled row each; many are packed.
function heatMap(task, order, colours, open) {
  const place = heatPlaces(task, order.length);
  const { cell, label, width, height } = place;
  const canvas = h("canvas", { class: "heat" });
  const ratio = height > 8000 ? 1 : window.devicePixelRatio || 1;
  Object.assign(canvas, { width: width * ratio, height: height * ratio });
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  pen.textBaseline = "middle";
  order.forEach((problem, rank) => {
    const [x, y] = place.of(rank);
    if (label && cell >= 9) {
      pen.fillStyle = colours.text;
      pen.fillText(visible(task.problems[problem]).slice(-24), x - label, y + cell / 2, label - 8);
    }
    for (let i = task.start[problem]; i < task.start[problem + 1]; i++) {
      pen.fillStyle = colours[task.status[i]];
      pen.globalAlpha = task.status[i] === "p" ? 0.35 + 0.65 * rewardOf(task, i) : 1;
      pen.fillRect(x + (i - task.start[problem]) * cell, y, cell - 1, cell - 1);
    }
    pen.globalAlpha = 1;
  });
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const [rank, column] = place.at(event.clientX - box.left, event.clientY - box.top);
    const problem = order[rank];
    return problem === undefined || column < 0 || column >= task.counts[problem]
      ? -1
      : task.start[problem] + column;
  };
  canvas.addEventListener("mousemove", (event) => {
    const i = at(event);
    canvas.title =
      i < 0
        ? ""
        : `${visible(task.problems[task.problemOf[i]])}, sample ${sampleNumber(task, i)}: ` +
          `${STATUS[task.status[i]][0]}, ${visible(task.answers[task.answer[i]] ?? "no answer")}`;
    canvas.style.cursor = i < 0 ? "default" : "pointer";
  });
  canvas.addEventListener("click", (event) => {
    const i = at(event);
    if (i >= 0) open(i);
  });
  return canvas;
}
// Where the row of each problem lies, and which row and cell a point is in.
function heatPlaces(task, problems) {
  const widest = task.counts.reduce((most, count) => Math.max(most, count), 1);
  const labelled = problems <= 400,
    label = labelled ? 150 : 0;
  const room = Math.max(320, Math.min(1100, document.getElementById("main").clientWidth - 540));
  // Packed cells shrink until all are on two screens or so.
  const fair = labelled ? 16 : Math.sqrt((room * 1400) / task.n);
  const cell = Math.floor(Math.max(5, Math.min(16, fair, (room - label) / widest)));
  const block = label + widest * cell + (labelled ? 22 : widest > 1 ? 6 : 0);
  const across = Math.max(1, Math.min(problems, Math.floor((room + 22) / block)));
  const lines = Math.ceil(problems / across);
  return {
    cell,
    label,
    width: across * block,
    height: Math.min(30000, lines * cell),
    // Labelled rows are read down a column, packed ones across.
    of: (rank) =>
      labelled
        ? [Math.floor(rank / lines) * block + label, (rank % lines) * cell]
        : [(rank % across) * block, Math.floor(rank / across) * cell],
    at: (x, y) => {
      const column = Math.floor(x / block),
        line = Math.floor(y / cell);
      return [
        labelled ? column * lines + line : line * across + column,
        Math.floor(((x % block) - label) / cell),
      ];
    },
  };
}
