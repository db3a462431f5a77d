// Line charts, as wide as the page allows.

const SVG = document.querySelector("svg").namespaceURI;

function shape(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// Round numbers between low and high, at most about `most` of them.
function ticks(low, high, logarithmic, most) {
  if (logarithmic) {
    const decades = Math.log10(high / low);
    const leads = decades > 4 ? [1] : decades > 1.2 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8];
    const all = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      for (const lead of leads) all.push(lead * 10 ** power);
    }
    const inside = all.filter((value) => value >= low * 0.999 && value <= high * 1.001);
    const powers = inside.filter((value) => Math.abs(Math.log10(value) % 1) < 1e-9);
    return inside.length > most && powers.length > 1 ? powers : inside;
  }
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((lead) => lead * power).find((each) => each >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

const SUFFIX = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];

function written(value) {
  const [unit, letter] = SUFFIX.find(([size]) => Math.abs(value) >= size) ?? [1, ""];
  return `${Number((value / unit).toPrecision(4))}${letter}`.replace("-", "−");
}

// limits [low, high] and whether logarithmic -> value to 0..1
function axis([low, high], logarithmic) {
  const map = logarithmic ? Math.log : (value) => value;
  return (value) => (map(value) - map(low)) / (map(high) - map(low));
}

function legend(lines) {
  const list = document.createElement("ul");
  for (const { label, look } of lines) {
    const item = document.createElement("li");
    const sample = shape("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" });
    sample.append(shape("path", { d: "M0 4H22", class: "curve", ...look }));
    item.append(sample, label);
    list.append(item);
  }
  return list;
}

// chart: { lines: [{ label, x, y, look }], x: { limits, log, label }, y: …, title }
function drawChart(holder, chart) {
  const width = holder.clientWidth;
  const height = Math.round(Math.min(Math.max(0.5 * width, 220), 340));
  const [left, right, top, bottom] = [52, 8, 10, 42];
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": chart.title });
  const [acrossShare, upShare] = [axis(chart.x.limits, chart.x.log), axis(chart.y.limits, chart.y.log)];
  const across = (value) => left + acrossShare(value) * (width - left - right);
  const down = (value) => height - bottom - upShare(value) * (height - top - bottom);
  for (const value of ticks(...chart.y.limits, chart.y.log, 6)) {
    svg.append(shape("line", { x1: left, x2: width - right, y1: down(value), y2: down(value), class: "grid" }));
    svg.append(shape("text", { x: left - 8, y: down(value) + 4, "text-anchor": "end" }, written(value)));
  }
  for (const value of ticks(...chart.x.limits, chart.x.log, width / 75)) {
    svg.append(shape("line", { x1: across(value), x2: across(value), y1: height - bottom, y2: height - bottom + 4, class: "grid" }));
    svg.append(shape("text", { x: across(value), y: height - bottom + 19, "text-anchor": "middle" }, written(value)));
  }
  svg.append(shape("text", { x: left + (width - left - right) / 2, y: height - 4, "text-anchor": "middle" }, chart.x.label));
  const clip = `${holder.id}-clip`;
  const window = shape("clipPath", { id: clip });
  window.append(shape("rect", { x: left, y: top - 6, width: width - left - right, height: height - top - bottom + 8 }));
  svg.append(window);
  for (const { x, y, look } of chart.lines) {
    const points = x.map((value, i) => [across(value), down(y[i])]).filter((place) => place.every(Number.isFinite));
    const d = `M${points.map(([u, v]) => `${u.toFixed(1)} ${v.toFixed(1)}`).join("L")}`;
    if (points.length) svg.append(shape("path", { d, class: "curve", "clip-path": `url(#${clip})`, ...look }));
  }
  holder.replaceChildren(legend(chart.lines), svg);
}

function keepDrawn(holder, chart) {
  let width = 0;
  new ResizeObserver(() => {
    if (holder.clientWidth === width || !holder.clientWidth) return;
    width = holder.clientWidth;
    drawChart(holder, chart);
  }).observe(holder);
}

// Limits with a margin; logarithmic where values fall by a factor of 2.5.
function loose(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const log = low > 0 && high > 2.5 * low;
  if (log) return { limits: [low / (high / low) ** 0.08, high * (high / low) ** 0.08], log };
  const room = 0.08 * (high - low) || 0.1 * Math.max(Math.abs(high), 1);
  return { limits: [low - room, high + room], log };
}

const SPAN = 1000; // ratio of the ends of a logarithmic axis of steps: earlier decades would take half of the chart

function lossChart({ train, mean, held_out: held, irreducible, decades }) {
  const last = Math.max(train[0].at(-1), train[0][0] + 1);
  const first = decades ? Math.max(train[0][0], last / SPAN) : train[0][0];
  const late = ([steps, values]) => values.filter((_, i) => steps[i] >= first);
  const usual = train[1].slice(Math.floor(train[1].length / 2)).sort((a, b) => a - b);
  const hold = [...late(mean), ...late(held), usual[Math.floor(0.02 * usual.length)], usual[Math.floor(0.98 * (usual.length - 1))]];
  const known = irreducible !== null;
  const lines = [
    { label: "training batches", x: train[0], y: train[1], look: { stroke: "var(--fill)", "stroke-width": 1 } },
    { label: "their running mean", x: mean[0], y: mean[1], look: { stroke: "var(--muted)", "stroke-width": 1.4 } },
    { label: "held out, averaged weights", x: held[0], y: held[1], look: { stroke: "var(--model)", "stroke-width": 2.4 } },
    { label: "irreducible", x: [first, last], y: [irreducible, irreducible],
      look: { stroke: "var(--ink)", "stroke-width": 1.2, "stroke-dasharray": "5 4" } },
  ].filter(({ label, x }) => x.length && (label !== "irreducible" || known));
  return {
    title: "The loss over the steps of training",
    lines,
    x: { limits: [first, last], log: decades, label: "training step" },
    y: loose(known ? [...hold, irreducible] : hold),
  };
}

// What learning could still remove, where it is above zero, on a logarithmic axis; null where it is nowhere so. Of a
// student the true loss of its jumps, of all others the held-out loss above the irreducible one.
function excessOverSteps({ train, held_out: [steps, held], irreducible, true_loss: trueLoss, decades }) {
  const last = Math.max(train[0].at(-1), train[0][0] + 1);
  const first = decades ? Math.max(train[0][0], last / SPAN) : train[0][0];
  if (irreducible === null && trueLoss === null) return null;
  const above = trueLoss ?? held.map((loss) => loss - irreducible);
  const seen = steps.map((step, i) => [step, above[i]]).filter(([step, excess]) => step >= first && excess > 0);
  if (!seen.length) return null;
  const [low, high] = [Math.min, Math.max].map((end) => end(...seen.map(([, excess]) => excess)));
  const room = Math.max(high / low, 2) ** 0.08;
  return {
    title: trueLoss ? "The true loss over the steps of training" : "The held-out loss minus the irreducible one over the steps of training",
    lines: [{ label: trueLoss ? "true loss: the error of the jumps, the line to watch" : "held out minus irreducible", x: seen.map(([step]) => step), y: seen.map(([, excess]) => excess),
      look: { stroke: "var(--model)", "stroke-width": 2.4 } }],
    x: { limits: [first, last], log: decades, label: "training step" },
    y: { limits: [low / room, high * room], log: true },
  };
}

// Half the difference of the two losses of the noise; its integral over log-SNR is the excess loss.
function excessChart([logSnr, model, irreducible]) {
  const excess = model.map((loss, i) => Math.max(loss - irreducible[i], 0) / 2);
  return {
    title: "The excess loss at each noise level",
    lines: [{ label: "nats per unit of log-SNR; the area is the whole", x: logSnr, y: excess, look: { stroke: "var(--model)", "stroke-width": 2 } }],
    x: { limits: [logSnr[0], logSnr.at(-1)], log: false, label: "log-SNR, from noise to data" },
    y: { limits: [0, 1.08 * Math.max(...excess, 1e-9)], log: false },
  };
}
