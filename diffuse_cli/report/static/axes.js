// Numbers and names along the axes of panels, in the units of the coordinates that are drawn.

const AXIS = { left: 30, below: 16, font: '11px system-ui, "Liberation Sans", Arial, sans-serif' };

// Ticks between low and high on `length` pixels, one for each `room` of them at most: [pixel, number as text].
function marksOf([low, high], length, room) {
  return ticks(low, high, false, Math.max(length / room, 2)).map((value) => [
    ((value - low) / (high - low)) * length, written(value),
  ]);
}

function penOf({ context }) {
  context.font = AXIS.font;
  context.fillStyle = theme.muted;
  context.strokeStyle = theme.frame;
  context.lineWidth = 1;
  return context;
}

// across: [pixel, text] below a panel whose lower edge is at `bottom`; up: [pixel, text] at its left.
function drawNumbers(brush, across, up, bottom) {
  const context = penOf(brush);
  context.beginPath();
  for (const [x] of across) {
    context.moveTo(x, bottom);
    context.lineTo(x, bottom + 3);
  }
  for (const [y] of up) {
    context.moveTo(-3, y);
    context.lineTo(0, y);
  }
  context.stroke();
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const [x, text] of across) {
    const half = context.measureText(text).width / 2; // a number at the edge of the canvas is moved inside it
    context.fillText(text, Math.min(Math.max(x, half - AXIS.left), brush.width - half), bottom + 5);
  }
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const [y, text] of up) context.fillText(text, -5, Math.min(Math.max(y, 6), bottom - 4), AXIS.left - 5);
}

const UNITS = "model units";

// The names of the axes, inside the panel: that of x at its lower right corner, that of y at its upper left one.
function drawNames(brush, [x, y], bottom) {
  const context = penOf(brush);
  context.strokeStyle = theme.paper; // an edge that separates the words from the points below them
  context.lineWidth = 3;
  context.lineJoin = "round";
  for (const [text, align, baseline, left, top] of [
    [x, "right", "bottom", brush.width - 6, bottom - 4], [y, "left", "top", 6, 6],
  ]) {
    Object.assign(context, { textAlign: align, textBaseline: baseline });
    context.strokeText(text, left, top, brush.width - 12);
    context.fillText(text, left, top, brush.width - 12);
  }
}

function planeAxes(brush) {
  const { width } = brush;
  const up = marksOf(scene.limits[1], width, 28).map(([place, text]) => [width - place, text]);
  drawNumbers(brush, marksOf(scene.limits[0], width, 28), up, width);
  drawNames(brush, scene.names.map((name) => `${name}, ${UNITS}`), width);
}

function curveAxes(brush) {
  const bottom = brush.height - FOOT;
  const across = marksOf([0, 1], brush.width - 12, 60).map(([place, text]) => [6 + place, text]);
  const up = marksOf(scene.limits[0], bottom, 28).map(([place, text]) => [bottom - place, text]);
  drawNumbers(brush, across, up, bottom);
  drawNames(brush, ["u", `x(u), ${UNITS}`], bottom);
}

// Above the density at each value, below the time, from the data at t = 0 to noise at t = 1.
function histogramAxes(brush) {
  const [base, bottom] = [histogram.split(brush), brush.height - FOOT];
  const density = marksOf([0, histogram.top], base - 14, 32).map(([place, text]) => [base - place, text]);
  const times = [0, 0.5, 1].map((t) => [histogram.down(brush, t), written(t)]);
  drawNumbers(brush, marksOf(scene.limits[0], brush.width, 28), [...density, ...times], bottom);
  drawNames(brush, [`${scene.names[0]}, ${UNITS}`, "density"], bottom);
  const context = penOf(brush);
  context.textAlign = "left";
  context.textBaseline = "top";
  context.fillText("time t", 6, base + 2);
}

// Numbers along three edges of the box: of the four in each direction, the lowest one on the screen, or for the third
// axis the leftmost, so that they stand outside of the points however the box is turned.
function spaceAxes(brush) {
  const context = penOf(brush);
  const middle = brush.width / 2;
  context.textAlign = "center";
  context.textBaseline = "middle";
  scene.limits.forEach(([low, high], axis) => {
    const along = (ends) => (value) => {
      const place = [...ends];
      place.splice(axis, 0, value);
      return space.places(brush, null, place);
    };
    const others = scene.limits.filter((_, each) => each !== axis);
    const edges = [0, 1, 2, 3].map((bits) => along(others.map((limits, i) => limits[(bits >> i) & 1])));
    const outerness = (edge) => { // of the middle of an edge
      const [x, y] = edge((low + high) / 2);
      return axis === 2 ? -x : y;
    };
    const edge = edges.reduce((best, each) => (outerness(each) > outerness(best) ? each : best));
    const write = (text, value, distance) => {
      const [x, y] = edge(value);
      const far = Math.hypot(x - middle, y - middle) || 1;
      const [right, down] = [(distance * (x - middle)) / far, (distance * (y - middle)) / far];
      const half = Math.min(context.measureText(text).width, 0.4 * brush.width) / 2;
      const inside = Math.min(Math.max(x + right, half), brush.width - half);
      context.fillText(text, inside, y + down, 2 * half);
    };
    for (const value of ticks(low, high, false, 4)) write(written(value), value, 11);
    if (axis === 2) write(scene.names[axis], high, 10);
    else write(scene.names[axis], (low + high) / 2, 25);
  });
  context.textAlign = "right";
  context.fillText(UNITS, brush.width - 4, 8);
}
