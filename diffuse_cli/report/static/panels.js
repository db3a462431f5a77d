// The kinds of panels. Each has `aspect`, `left`, the pixels beside it for numbers, drawAxes(brush), draw(brush, journey,
// state), nearest(brush, journey, x, y, state) -> index or -1, and places(brush, journey, coordinates [k, axes]) -> pixels [k, 2] where a path can be drawn so.

const RULER = 18; // pixels at the foot of a panel for its ruler of time
const FOOT = RULER + AXIS.below; // and for the numbers of its axis
const REACH = 16; // pixels: how near to a point the pointer must be

function closest(count, distance, reach = REACH) {
  let best = reach * reach;
  let found = -1;
  for (let i = 0; i < count; i++) {
    const d = distance(i);
    if (d < best) [best, found] = [d, i];
  }
  return found;
}

function frameOf(brush) {
  const { context, width, height } = brush;
  context.strokeStyle = theme.frame;
  context.lineWidth = 1;
  context.globalAlpha = 0.55;
  context.beginPath();
  context.roundRect(0.5, 0.5, width - 1, height - FOOT - 1, 8);
  context.stroke();
  context.globalAlpha = 1;
}

// ---- a plane: two columns, or the first two principal axes of more

const densityPicture = document.createElement("canvas");

function paintDensity(t) {
  const [columns, rows] = doc.density.cells;
  const values = densityAt(t);
  Object.assign(densityPicture, { width: columns, height: rows });
  const context = densityPicture.getContext("2d");
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  const [red, green, blue] = rgb(theme.data);
  const colour = (blue << 16) | (green << 8) | red;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      pixels[(rows - 1 - row) * columns + column] = colour | ((0.55 * values[row * columns + column]) << 24);
    }
  }
  context.putImageData(image, 0, 0);
}

// The arrows of one denoiser: along the flow as it is played, or along the score, times sigma to be of one size. The
// page has them with |v| / (1 + |v|) for their length, which is also how long they are drawn, in cells.
function drawArrows(brush, name, colour, state) {
  const { context, width } = brush;
  const { cells } = doc.field;
  const squeezed = fieldAt[name](state.t);
  const cell = width / cells;
  const turn = state.direction === "reverse" ? -1 : 1;
  context.strokeStyle = colour;
  context.lineWidth = 1.3;
  context.lineCap = "round";
  context.beginPath();
  for (let i = 0; i < cells; i++) {
    for (let j = 0; j < cells; j++) {
      const at = 2 * (i * cells + j);
      const flow = [squeezed[at] / 32767, squeezed[at + 1] / 32767];
      const [dx, dy] = state.field === "flow" ? flow.map((each) => turn * each) : scoreArrow(flow, i, j, state.t);
      traceArrow(context, (i + 0.5) * cell, (cells - j - 0.5) * cell, cell * dx, -cell * dy);
    }
  }
  context.stroke();
}

// The score times sigma, −eps = −(sigma x + alpha v), squeezed like v.
function scoreArrow(flow, i, j, t) {
  const [alpha, sigma] = [Math.cos(angleAt(t)), Math.sin(angleAt(t))];
  const stretch = 1 / Math.max(1 - Math.hypot(...flow), 1e-4);
  const eps = [i, j].map((number, axis) => {
    const [low, high] = scene.limits[axis];
    return sigma * (low + ((number + 0.5) / doc.field.cells) * (high - low)) + alpha * flow[axis] * stretch;
  });
  return eps.map((each) => -each / (1 + Math.hypot(...eps)));
}

function traceArrow(context, x, y, dx, dy) {
  const [fromX, fromY, toX, toY] = [x - dx / 2, y - dy / 2, x + dx / 2, y + dy / 2];
  context.moveTo(fromX, fromY);
  context.lineTo(toX, toY);
  for (const side of [-0.5, 0.5]) {
    context.moveTo(toX, toY);
    context.lineTo(toX - 0.34 * dx - side * 0.34 * dy, toY - 0.34 * dy + side * 0.34 * dx);
  }
}

const plane = {
  aspect: 1,
  left: AXIS.left,
  drawAxes: planeAxes,
  places(brush, _journey, coordinates) {
    const [[left, right], [low, high]] = scene.limits;
    const found = new Float32Array(coordinates.length);
    for (let i = 0; i < found.length; i += 2) {
      found[i] = ((coordinates[i] - left) / (right - left)) * brush.width;
      found[i + 1] = (1 - (coordinates[i + 1] - low) / (high - low)) * brush.width;
    }
    return found;
  },
  draw(brush, journey, state) {
    const { context, width } = brush;
    context.save();
    context.beginPath();
    context.roundRect(0, 0, width, width, 8);
    context.clip();
    if (state.density && densityAt) context.drawImage(densityPicture, 0, 0, width, width);
    drawNormal(brush, Math.sin(angleAt(state.t)) ** 2);
    this.drawPoints(brush, journey, state);
    if (state.field !== "off" && fieldAt) {
      if (state.whose !== "model") drawArrows(brush, "exact", theme.data, state);
      if (state.whose !== "exact") drawArrows(brush, "model", theme.model, state);
    }
    context.restore();
  },
  drawPoints(brush, journey, state) {
    const { context, width } = brush;
    context.globalAlpha = state.field !== "off" || state.chosen >= 0 ? 0.4 : 0.82;
    drawDots(context, this.places(brush, journey, journey.now), journey.shades[state.colour], radiusOf(width));
    context.globalAlpha = 1;
  },
  nearest(brush, journey, x, y) {
    const places = this.places(brush, journey, journey.now);
    return closest(scene.count, (i) => (places[2 * i] - x) ** 2 + (places[2 * i + 1] - y) ** 2);
  },
};

// The circle of two standard deviations of pure noise; share: its opacity.
function drawNormal({ context, width }, share) {
  const [[left, right], [low, high]] = scene.limits;
  const unit = width / (right - left);
  context.strokeStyle = theme.muted;
  context.globalAlpha = 0.8 * share;
  context.lineWidth = 1;
  context.setLineDash([5, 4]);
  context.beginPath();
  context.arc((0 - left) * unit, (high - 0) / (high - low) * width, 2 * unit, 0, 2 * Math.PI);
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
}

// ---- space: three columns, turned by dragging

const SLICES = 5; // from the back to the front: nearer points are larger and stronger
const camera = { around: 0.6, above: 0.35 };

const space = {
  aspect: 1,
  left: 0,
  drawAxes: spaceAxes,
  turns: true,
  // Right, up and towards the reader, for the middle of the box at the origin.
  turned(x, y, z) {
    const [c, s, up, flat] = [Math.cos(camera.around), Math.sin(camera.around), Math.cos(camera.above), Math.sin(camera.above)];
    const [across, away] = [c * x + s * y, -s * x + c * y];
    return [across, up * z + flat * away, flat * z - up * away];
  },
  unit: (brush) => brush.width / (1.62 * (scene.limits[0][1] - scene.limits[0][0])),
  places(brush, _journey, coordinates) {
    const unit = this.unit(brush);
    const middle = scene.limits.map(([low, high]) => (low + high) / 2);
    const found = new Float32Array((coordinates.length / 3) * 2);
    for (let i = 0; i < coordinates.length / 3; i++) {
      const [x, y] = this.turned(...middle.map((m, axis) => coordinates[3 * i + axis] - m));
      found[2 * i] = brush.width / 2 + unit * x;
      found[2 * i + 1] = brush.width / 2 - unit * y;
    }
    return found;
  },
  draw(brush, journey, state) {
    const { context, width } = brush;
    this.drawBox(brush);
    const places = this.places(brush, journey, journey.now);
    const near = Float32Array.from({ length: scene.count }, (_, i) =>
      this.turned(journey.now[3 * i], journey.now[3 * i + 1], journey.now[3 * i + 2])[2]);
    const order = Uint32Array.from(near.keys()).sort((a, b) => near[a] - near[b]);
    for (let slice = 0; slice < SLICES; slice++) {
      const chosen = order.subarray((slice * scene.count) / SLICES, ((slice + 1) * scene.count) / SLICES);
      const front = slice / (SLICES - 1);
      context.globalAlpha = (state.chosen >= 0 ? 0.45 : 1) * (0.35 + 0.6 * front);
      drawDots(context, places, journey.shades[state.colour], radiusOf(width) * (0.8 + 0.35 * front), chosen);
    }
    context.globalAlpha = 1;
  },
  drawBox(brush) {
    const corner = (bits) => [0, 1, 2].map((axis) => scene.limits[axis][(bits >> axis) & 1]);
    brush.context.strokeStyle = theme.frame;
    brush.context.lineWidth = 1;
    brush.context.beginPath();
    for (let bits = 0; bits < 8; bits++) {
      for (let axis = 0; axis < 3; axis++) {
        if ((bits >> axis) & 1) continue;
        const [x, y, u, v] = this.places(brush, null, [...corner(bits), ...corner(bits | (1 << axis))]);
        brush.context.moveTo(x, y);
        brush.context.lineTo(u, v);
      }
    }
    brush.context.stroke();
  },
  nearest: plane.nearest,
};

// ---- one column: a histogram, and below it the ways of points through time

const BINS = 56;

const histogram = {
  aspect: 1.05,
  left: AXIS.left,
  drawAxes: histogramAxes,
  split: (brush) => Math.round(0.42 * brush.width),
  across: (brush, value) => ((value - scene.limits[0][0]) / (scene.limits[0][1] - scene.limits[0][0])) * brush.width,
  down(brush, t) {
    const top = this.split(brush) + 14;
    return top + t * (brush.height - FOOT - 12 - top);
  },
  places(brush, journey, coordinates) {
    return Float32Array.from({ length: 2 * coordinates.length }, (_, i) =>
      i % 2 ? this.down(brush, journey.times[i >> 1]) : this.across(brush, coordinates[i >> 1]));
  },
  draw(brush, journey, state) {
    this.drawBars(brush, journey);
    if (state.density && densityAt) this.drawDensity(brush, state.t);
    brush.kept ??= {};
    const key = `${root.dataset.theme} ${state.colour}`;
    if (brush.kept.key !== key) brush.kept = { key, picture: this.drawWays(brush, journey, state) };
    brush.context.drawImage(brush.kept.picture, 0, 0, brush.width, brush.height);
    this.drawNow(brush, journey, state);
  },
  drawBars(brush, journey) {
    const [[low, high]] = scene.limits;
    const counts = new Float32Array(BINS);
    for (const value of journey.now) {
      const bin = Math.floor(((value - low) / (high - low)) * BINS);
      if (bin >= 0 && bin < BINS) counts[bin] += 1;
    }
    const { context, width } = brush;
    const [base, side] = [this.split(brush), width / BINS];
    const unit = (base - 14) / (this.top * scene.count * (high - low) / BINS);
    context.fillStyle = journey.forward ? theme.data : theme.model;
    context.globalAlpha = 0.55;
    counts.forEach((count, bin) => {
      const height = Math.min(count * unit, base - 4);
      context.fillRect(bin * side + 0.5, base - height, side - 1, height);
    });
    context.globalAlpha = 1;
    context.fillStyle = theme.frame;
    context.fillRect(0, base, width, 1);
  },
  drawDensity(brush, t) {
    const values = densityAt(t);
    const base = this.split(brush);
    const places = new Float32Array(2 * values.length);
    values.forEach((value, i) => {
      places[2 * i] = ((i + 0.5) / values.length) * brush.width;
      places[2 * i + 1] = base - Math.min((value / 65535) * doc.density.top / this.top, 1.05) * (base - 14);
    });
    lifted(brush.context, places, theme.ink, 1.4);
  },
  // All ways are drawn once and kept as a picture.
  drawWays(brush, journey, state) {
    const picture = Object.assign(document.createElement("canvas"), { width: Math.round(brush.width * brush.ratio), height: brush.canvas.height });
    const context = picture.getContext("2d");
    context.scale(brush.ratio, brush.ratio);
    context.globalAlpha = 0.3;
    context.lineWidth = 0.8;
    for (let index = 0; index < Math.min(scene.count, 160); index++) {
      const places = this.places(brush, journey, pathOf(journey, index));
      context.strokeStyle = theme.ramp[journey.shades[state.colour][index]];
      context.beginPath();
      for (let i = 0; i < places.length; i += 2) context.lineTo(places[i], places[i + 1]);
      context.stroke();
    }
    return picture;
  },
  drawNow(brush, journey, state) {
    const { context, width } = brush;
    const y = this.down(brush, state.t);
    context.fillStyle = theme.frame;
    context.fillRect(0, y - 0.5, width, 1);
    context.globalAlpha = 0.6;
    const places = new Float32Array(2 * scene.count).fill(y);
    journey.now.forEach((value, i) => { places[2 * i] = this.across(brush, value); });
    drawDots(context, places, journey.shades[state.colour], 2);
    context.globalAlpha = 1;
  },
  // The point whose path passes the pointer, at any time.
  nearest(brush, journey, x, y, state) {
    const [top, bottom] = [this.down(brush, 0), this.down(brush, 1)];
    const values = journey.now;
    let seen = values;
    if (y > top) {
      seen = new Float32Array(values.length);
      journey.at(Math.min((y - top) / (bottom - top), 1), seen);
    }
    return closest(scene.count, (i) => (this.across(brush, seen[i]) - x) ** 2);
  },
};

// The highest value of any histogram and of the density: all panels and times share one scale.
histogram.top = scene.kind !== "histogram" ? 1 : Math.max(0.4, doc.density?.top ?? 0, ...[0, 1].flatMap((t) => journeys.map((journey) => {
  const [[low, high]] = scene.limits;
  const counts = new Float32Array(BINS);
  const values = new Float32Array(scene.count);
  journey.at(t, values);
  for (const value of values) counts[Math.min(Math.max(Math.floor(((value - low) / (high - low)) * BINS), 0), BINS - 1)] += 1;
  return (Math.max(...counts) * BINS) / (scene.count * (high - low));
})));

// ---- curves: each sample a function

const curves = {
  aspect: 0.8,
  left: AXIS.left,
  drawAxes: curveAxes,
  line(brush, journey, index) {
    const [[low, high]] = scene.limits;
    const height = brush.height - FOOT;
    const found = new Float32Array(2 * scene.axes);
    for (let i = 0; i < scene.axes; i++) {
      found[2 * i] = 6 + (i / (scene.axes - 1)) * (brush.width - 12);
      found[2 * i + 1] = (1 - (journey.now[index * scene.axes + i] - low) / (high - low)) * height;
    }
    return found;
  },
  draw(brush, journey, state) {
    const { context } = brush;
    context.lineWidth = 1.1;
    context.lineJoin = "round";
    context.globalAlpha = state.chosen >= 0 ? 0.22 : 0.75;
    for (let index = 0; index < scene.count; index++) {
      const places = this.line(brush, journey, index);
      context.strokeStyle = theme.ramp[journey.shades[state.colour][index]];
      context.beginPath();
      for (let i = 0; i < places.length; i += 2) context.lineTo(places[i], places[i + 1]);
      context.stroke();
    }
    context.globalAlpha = 1;
    if (state.chosen >= 0) lifted(context, this.line(brush, journey, state.chosen), theme.ink, 2.2);
  },
  nearest(brush, journey, x, y) {
    const place = Math.min(Math.max(Math.round(((x - 6) / (brush.width - 12)) * (scene.axes - 1)), 0), scene.axes - 1);
    return closest(scene.count, (i) => (this.line(brush, journey, i)[2 * place + 1] - y) ** 2, 28);
  },
};

const kinds = { plane, projected: plane, space, histogram, curves };
const kind = kinds[scene.kind];

function drawPanel(brush, journey, state) {
  fit(brush, kind);
  kind.draw(brush, journey, state);
  if (kind !== space) frameOf(brush);
  kind.drawAxes(brush);
  if (state.chosen >= 0 && kind.places) {
    const places = kind.places(brush, journey, pathOf(journey, state.chosen));
    const here = placeOf(journey, state.chosen, state.t);
    const now = kind === histogram
      ? [histogram.across(brush, here[0]), histogram.down(brush, state.t)]
      : kind.places(brush, journey, here);
    drawPath(brush.context, places, now);
  }
  drawRuler(brush, journey, state.t);
}
