// Drawing that all kinds of panels share. A brush is a canvas and its context, whose origin is `left` CSS pixels from the
// canvas's left edge; `width` is that of the panel, from there to the right edge, and `height` that of the canvas.

function fit(brush, { aspect, left }) {
  const ratio = window.devicePixelRatio || 1;
  const across = brush.canvas.clientWidth;
  const width = across - left;
  const height = Math.round(width * aspect) + FOOT;
  if (brush.width !== width || brush.height !== height || brush.ratio !== ratio) {
    Object.assign(brush, { left, width, height, ratio });
    brush.canvas.width = Math.round(across * ratio);
    brush.canvas.height = Math.round(height * ratio);
    brush.canvas.style.height = `${height}px`;
    brush.kept = null;
  }
  brush.context.setTransform(ratio, 0, 0, ratio, left * ratio, 0);
  brush.context.clearRect(-left, 0, across, height);
}

// Dots at places [x, y, x, y, …] in their shades: all of them, or those of `chosen`. One path for each shade is a quick
// way to draw thousands, also where there is no graphics card.
function drawDots(context, places, shades, radius, chosen = shades.keys()) {
  const paths = theme.ramp.map(() => new Path2D());
  for (const i of chosen) {
    const [path, x, y] = [paths[shades[i]], places[2 * i], places[2 * i + 1]];
    path.moveTo(x + radius, y);
    path.arc(x, y, radius, 0, 2 * Math.PI);
  }
  paths.forEach((path, shade) => {
    context.fillStyle = theme.ramp[shade];
    context.fill(path);
  });
}

// The radius with which all dots together cover a fifth of the panel, within limits.
const radiusOf = (width) => Math.min(Math.max(Math.sqrt((0.2 * width * width) / scene.count / Math.PI), 1), 4);

function dot(context, x, y, radius, { fill, stroke, width = 1.5 }) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  if (fill) {
    context.fillStyle = fill;
    context.fill();
  }
  if (stroke) {
    context.strokeStyle = stroke;
    context.lineWidth = width;
    context.stroke();
  }
}

// A line through places [x, y, x, y, …], with an edge in the colour of the paper that separates it from what is below.
function lifted(context, places, colour, width = 1.6) {
  context.save();
  context.lineJoin = context.lineCap = "round";
  context.beginPath();
  for (let i = 0; i < places.length; i += 2) context.lineTo(places[i], places[i + 1]);
  for (const [style, thickness] of [[theme.paper, width + 2.6], [colour, width]]) {
    context.strokeStyle = style;
    context.lineWidth = thickness;
    context.stroke();
  }
  context.restore();
}

// The path of a chosen point: a hollow dot at its noise, a filled one at its clean end, a ring at its place now.
function drawPath(context, places, here) {
  lifted(context, places, theme.ink);
  dot(context, places[0], places[1], 4, { fill: theme.ink, stroke: theme.paper });
  dot(context, places.at(-2), places.at(-1), 4, { fill: theme.paper, stroke: theme.ink });
  dot(context, here[0], here[1], 6.5, { stroke: theme.paper, width: 4.5 });
  dot(context, here[0], here[1], 6.5, { stroke: theme.model, width: 2.5 });
}

// A ruler of time at the bottom of a panel, with the levels of its sampler and the time now.
function drawRuler(brush, journey, t) {
  const { context, width, height } = brush;
  const [left, right, y] = [6, width - 6, height - 8];
  const x = (time) => left + (right - left) * time;
  context.strokeStyle = theme.frame;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(left, y + 0.5);
  context.lineTo(right, y + 0.5);
  context.stroke();
  if (journey.levels) {
    context.strokeStyle = theme.muted;
    context.globalAlpha = Math.min(1, (0.5 * width) / journey.levels.length / 2);
    context.beginPath();
    for (const level of journey.levels) {
      context.moveTo(x(level), y - 3.5);
      context.lineTo(x(level), y + 4.5);
    }
    context.stroke();
    context.globalAlpha = 1;
  }
  dot(context, x(t), y + 0.5, 3.5, { fill: journey.forward ? theme.data : theme.model, stroke: theme.paper });
}

function rgb(hex) {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}
