// The document, and the position of every point at any time.

const doc = JSON.parse(document.getElementById("document").textContent);
const { scene } = doc;

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// Coordinates, from whole numbers of 16 bits over the bounds of the scene.
function unpack(text) {
  const [low, high] = scene.bounds;
  return Float32Array.from(new Uint16Array(bytes(text).buffer), (code) => low + ((high - low) * code) / 65535);
}

// The place of `value` in rising `knots`: the index of the knot before it, and the fraction of the way to the next.
function between(knots, value) {
  let low = 0;
  let high = knots.length - 1;
  if (value <= knots[low]) return [low, 0];
  if (value >= knots[high]) return [Math.max(high - 1, 0), high > 0 ? 1 : 0];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (knots[middle] <= value) low = middle;
    else high = middle;
  }
  return [low, (value - knots[low]) / (knots[high] - knots[low])];
}

// The angle of the frames at time t: alpha = cos angle and sigma = sin angle, scaled to alpha² + sigma² = 1.
function angleAt(t) {
  const { angle } = doc.schedule;
  const place = t * (angle.length - 1);
  const low = Math.min(Math.floor(place), angle.length - 2);
  return angle[low] + (angle[low + 1] - angle[low]) * (place - low);
}

const logSnrAt = (t) => -2 * Math.log(Math.tan(angleAt(t)));

const STEPS = 64; // of the forward path of a point, which is a curve

// The forward process: each point has one noise at all times, so its position follows at any time.
function forwardJourney(panel) {
  const x0 = unpack(panel.x0);
  const eps = unpack(panel.eps);
  const times = Float64Array.from({ length: STEPS + 1 }, (_, i) => i / STEPS);
  const at = (t, into, first = 0, last = x0.length) => {
    const angle = angleAt(t);
    const [alpha, sigma] = [Math.cos(angle), Math.sin(angle)];
    for (let i = first; i < last; i++) into[i - first] = alpha * x0[i] + sigma * eps[i];
  };
  return { times, at };
}

// The reverse process of a sampler: straight lines between its frames.
function samplerJourney(panel) {
  const x = unpack(panel.x);
  const times = Float64Array.from(panel.t);
  const size = scene.count * scene.axes;
  const at = (t, into, first = 0, last = size) => {
    const [low, part] = between(times, t);
    const [here, next] = [low * size, Math.min(low + 1, times.length - 1) * size];
    for (let i = first; i < last; i++) into[i - first] = x[here + i] + part * (x[next + i] - x[here + i]);
  };
  return { times, at };
}

const shadesByNoise = bytes(scene.by_start);

const journeys = scene.panels.map((panel, number) => ({
  title: panel.title,
  note: panel.note,
  forward: number === 0,
  levels: panel.levels ?? null,
  shades: { end: bytes(panel.by_end), start: shadesByNoise },
  now: new Float32Array(scene.count * scene.axes),
  ...(number === 0 ? forwardJourney(panel) : samplerJourney(panel)),
}));

// The path of one point at all times of its journey, [times, axes].
function pathOf(journey, index) {
  const { axes } = scene;
  const path = new Float32Array(journey.times.length * axes);
  const here = new Float32Array(axes);
  journey.times.forEach((t, i) => {
    journey.at(t, here, index * axes, (index + 1) * axes);
    path.set(here, i * axes);
  });
  return path;
}

// The place of one point at one time, [axes].
function placeOf(journey, index, t) {
  const here = new Float32Array(scene.axes);
  journey.at(t, here, index * scene.axes, (index + 1) * scene.axes);
  return here;
}

// A function of time that interpolates between `depth` arrays at rising angles.
function stackOf(angle, values, depth) {
  const size = values.length / depth;
  const result = new Float32Array(size);
  return (t) => {
    const [low, part] = between(angle, angleAt(t));
    const [here, next] = [low * size, Math.min(low + 1, depth - 1) * size];
    for (let i = 0; i < size; i++) result[i] = values[here + i] + part * (values[next + i] - values[here + i]);
    return result;
  };
}

const densityAt = doc.density && stackOf(
  doc.density.angle,
  scene.kind === "plane" ? bytes(doc.density.values) : new Uint16Array(bytes(doc.density.values).buffer),
  doc.density.angle.length,
);

const fieldAt = doc.field && Object.fromEntries(
  Object.entries(doc.field.values).map(([name, text]) => [
    name, stackOf(doc.field.angle, new Int16Array(bytes(text).buffer), doc.field.angle.length),
  ]),
);
