// The time, what is switched on, which point is chosen; and the controls that change them.

const state = {
  t: 0, playing: false, direction: "reverse", speed: 1,
  field: "off", whose: "model", density: false, colour: "end",
  chosen: -1, pinned: false,
};

const DURATION = 7000; // milliseconds from end to end
const byId = (id) => document.getElementById(id);
const panels = [];
let asked = 0;

function redraw() {
  if (!asked) asked = requestAnimationFrame(draw);
}

function draw() {
  asked = 0;
  if (state.density && densityAt && kind === plane) paintDensity(state.t);
  for (const { brush, journey } of panels) {
    journey.at(state.t, journey.now);
    drawPanel(brush, journey, state);
  }
}

// ---- time

// The decimals of the three leading digits of a scale: values far from zero keep those that tell them apart.
const decimalsOf = (scale) => Math.min(Math.max(2 - Math.floor(Math.log10(scale)), 0), 20);

const digits = (value, count) => value.toFixed(count).replace("-", "−");

function showNumbers() {
  const angle = angleAt(state.t);
  const share = Math.cos(angle) ** 2;
  const few = share < 0.01 || share > 0.99 ? share.toPrecision(share < 0.01 ? 1 : 4) : share.toFixed(2);
  const snr = angle > 0 ? digits(logSnrAt(state.t), 1) : "∞";
  const [wide, alpha] = [document.createElement("span"), document.createElement("span")];
  wide.className = "wide";
  wide.textContent = `log-SNR ${snr}  ·  `;
  alpha.textContent = `ᾱ = ${Number(few) === 0 ? "0" : Number(few)}`;
  byId("numbers").replaceChildren(`t = ${state.t.toFixed(3)}  ·  `, wide, alpha);
  byId("time").setAttribute("aria-valuetext", `t ${state.t.toFixed(2)}, log-SNR ${snr}`);
}

function goTo(t) {
  state.t = Math.min(Math.max(t, 0), 1);
  byId("time").value = state.t;
  showNumbers();
  hideTooltip();
  redraw();
}

const PLAY = "M8 5.2v13.6c0 .8.9 1.3 1.6.8l10-6.8c.6-.4.6-1.2 0-1.6l-10-6.8c-.7-.5-1.6 0-1.6.8z";
const PAUSE = "M7 5h3.4v14H7zM13.6 5H17v14h-3.4z";

function play(on) {
  state.playing = on;
  byId("sign").setAttribute("d", on ? PAUSE : PLAY);
  byId("play").setAttribute("aria-label", on ? "Pause" : "Play");
  if (!on) return;
  const [from, to] = state.direction === "reverse" ? [1, 0] : [0, 1];
  if (Math.abs(state.t - to) < 1e-6) goTo(from);
  let before = performance.now();
  const tick = (now) => {
    if (!state.playing) return;
    const turn = state.direction === "reverse" ? -1 : 1;
    goTo(state.t + (turn * state.speed * Math.min(Math.max(now - before, 0), 100)) / DURATION);
    before = now;
    if (state.t === (turn < 0 ? 0 : 1)) play(false);
    else requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}

function playerInView() {
  const { top, bottom } = byId("player").getBoundingClientRect();
  return top < innerHeight - 60 && bottom > 60;
}

// Keys work anywhere while the points are visible, except in controls in which they have another meaning.
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !playerInView()) return;
  const slider = event.target === byId("time");
  const taken = event.target.closest?.("input, select, button, pre, [contenteditable]");
  if (taken && !slider) return;
  const far = event.shiftKey ? 0.1 : 0.01;
  const actions = {
    " ": () => play(!state.playing),
    ArrowLeft: () => goTo(state.t - far),
    ArrowRight: () => goTo(state.t + far),
    ...(slider && { ArrowDown: () => goTo(state.t - far), ArrowUp: () => goTo(state.t + far) }),
    Home: () => goTo(0),
    End: () => goTo(1),
    Escape: () => choose(-1),
  };
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  if (event.key !== " ") play(false);
  action();
}

// ---- a chosen point

function choose(index, panel, x, y) {
  if (index < 0) state.pinned = false;
  state.chosen = index;
  if (index >= 0) showTooltip(index, panel, x, y);
  else hideTooltip();
  redraw();
}

const hideTooltip = () => { byId("tooltip").hidden = true; };

function showTooltip(index, { brush, journey }, x, y) {
  const numbers = (values) => `(${values.map((value) => digits(value, 2)).join(", ")})`;
  const lines = [`${kind === curves ? "curve" : "point"} ${index + 1}`];
  if (kind !== curves) lines.push(`now ${numbers([...placeOf(journey, index, state.t)])}`);
  if (scene.data_units) {
    const { mean, scale } = scene.data_units;
    const clean = [...placeOf(journey, index, 0)].map((value, axis) => mean[axis] + scale[axis] * value);
    const written = clean.map((value, axis) => `${scene.names[axis]} ${digits(value, decimalsOf(scale[axis]))}`);
    lines.push(`${journey.forward ? "began at" : "ends at"} ${written.join(", ")} in data units`);
  }
  const tooltip = byId("tooltip");
  tooltip.textContent = lines.join("\n");
  tooltip.hidden = false;
  const box = brush.canvas.getBoundingClientRect();
  const left = Math.min(box.left + brush.left + x + 14, document.documentElement.clientWidth - tooltip.offsetWidth - 8);
  const above = box.top + y - tooltip.offsetHeight - 12;
  tooltip.style.left = `${Math.max(left, 8) + scrollX}px`;
  tooltip.style.top = `${(above > 4 ? above : box.top + y + 18) + scrollY}px`;
}

// Hovering chooses, a click or a tap keeps the choice, dragging turns what has three axes.
function listen(panel) {
  const { canvas } = panel.brush;
  let grip = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left - panel.brush.left, event.clientY - box.top];
  };
  const nearest = (event) => kind.nearest(panel.brush, panel.journey, ...place(event), state);
  canvas.addEventListener("pointerdown", (event) => {
    grip = { x: event.clientX, y: event.clientY, moved: false };
    if (kind.turns) canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (grip && kind.turns && turn(event, grip)) return;
    if (!state.pinned && event.pointerType !== "touch") choose(nearest(event), panel, ...place(event));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (grip && !grip.moved) {
      const index = nearest(event);
      state.pinned = index >= 0;
      choose(index, panel, ...place(event));
    }
    grip = null;
  });
  canvas.addEventListener("pointercancel", () => { grip = null; });
  canvas.addEventListener("pointerleave", () => {
    if (!state.pinned) choose(-1);
  });
}

function turn(event, grip) {
  const [dx, dy] = [event.clientX - grip.x, event.clientY - grip.y];
  if (!grip.moved && Math.hypot(dx, dy) < 4) return true;
  camera.around -= dx / 130;
  if (event.pointerType !== "touch") camera.above = Math.min(Math.max(camera.above + dy / 130, -1.5), 1.5);
  Object.assign(grip, { x: event.clientX, y: event.clientY, moved: true });
  hideTooltip();
  redraw();
  return true;
}

// ---- switches

function bindSwitches() {
  byId("density-switch").hidden = !doc.density;
  byId("field-switch").hidden = !doc.field;
  byId("score-switch").hidden = !doc.field?.score;
  byId("density").addEventListener("change", (event) => {
    state.density = event.target.checked;
    redraw();
  });
  for (const name of ["field", "whose", "colour", "direction"]) {
    for (const input of document.querySelectorAll(`input[name="${name}"]`)) {
      input.addEventListener("change", () => {
        state[name] = input.value;
        byId("whose-switch").hidden = state.field === "off" || !doc.field?.values.exact;
        redraw();
      });
    }
  }
  byId("speed").addEventListener("change", (event) => { state.speed = Number(event.target.value); });
  byId("play").addEventListener("click", () => play(!state.playing));
  byId("time").addEventListener("input", (event) => {
    play(false);
    goTo(Number(event.target.value));
  });
  document.addEventListener("keydown", onKey);
}

// The share of the signal at each time, alpha_bar, as an area behind the slider.
function drawSignal() {
  const { angle } = doc.schedule;
  const points = angle.map((each, i) => `${i} ${(100 * (1 - Math.cos(each) ** 2)).toFixed(2)}`);
  byId("signal").setAttribute("viewBox", `0 0 ${angle.length - 1} 100`);
  const area = document.createElementNS(byId("signal").namespaceURI, "path");
  area.setAttribute("d", `M0 100L${points.join("L")}L${angle.length - 1} 100Z`);
  byId("signal").replaceChildren(area);
}

function makePanels() {
  for (const journey of journeys) {
    const [figure, caption, mark, title, note] = ["figure", "figcaption", "i", "b", "span"].map((tag) => document.createElement(tag));
    const canvas = document.createElement("canvas");
    mark.className = journey.forward ? "data" : "model";
    title.textContent = journey.title;
    note.textContent = journey.note;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${scene.count} samples, ${journey.title}: ${journey.note}`);
    caption.append(mark, title, note);
    figure.append(caption, canvas);
    byId("panels").append(figure);
    const panel = { journey, brush: { canvas, context: canvas.getContext("2d") } };
    panels.push(panel);
    listen(panel);
  }
  new ResizeObserver(redraw).observe(byId("panels"));
}
