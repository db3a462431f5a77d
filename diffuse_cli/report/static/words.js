// The words and tables of the page. All are inserted as text, so that no name can be read as markup.

function element(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function fillList(id, rows) {
  byId(id).replaceChildren(...rows.map(([term, description, small]) => {
    const row = element("div");
    const value = element("dd", description);
    if (small) value.append(element("small", small));
    row.append(element("dt", term), value);
    return row;
  }));
}

function fillMetrics({ columns, rows, others, samples, excess }) {
  byId("metrics-section").hidden = false;
  const head = element("tr");
  head.append(...["distance", "noise floor", ...columns, "n"].map((text) => element("th", text)));
  const body = rows.map(({ name, floor, n, cells }) => {
    const row = element("tr");
    row.append(element("td", name), element("td", floor));
    for (const [value, alike] of cells) {
      const cell = element("td", value, alike === null ? "unsure" : alike ? "on" : "off");
      cell.title = alike === null ? `cannot judge (n = ${n})` : alike ? "indistinguishable from truth" : "differs from truth";
      row.append(cell);
    }
    row.append(element("td", n));
    return row;
  });
  if (rows.length) byId("distances").append(head, ...body);
  byId("about-distances").textContent = `${samples.toLocaleString("en")} samples of each sampler. The noise floor is the distance between two draws `
    + "of the truth, ± its standard deviation. ✓ is indistinguishable from truth with n points, ✕ differs, "
    + "? cannot be judged by so few.";
  fillList("likelihood", others);
  byId("excess-section").hidden = excess === null;
  if (excess) keepDrawn(byId("excess"), excessChart(excess));
}

// What the panels show, one or two sentences a line.
function explanations() {
  const lines = [
    "In every panel a point starts from the same noise, and the data end in this noise too.",
    "Coordinates are those of model space, where data have unit variance, scaled so that pure noise is N(0, I).",
  ];
  if (scene.kind === "projected") lines.push("Samples are projected on the first two principal axes of the data.");
  if (kind === plane) lines.push("The dashed circle is two standard deviations of pure noise.");
  if (kind === histogram) lines.push("Above: a histogram of the points at this time; below: their paths, with the data at the top and noise at the bottom.");
  if (doc.density) {
    lines.push(`The density is ${doc.density.smoothed ? "that of the training points, smoothed" : "exact"}`
      + `${kind === plane ? ", with a different scale at each time" : ""}.`);
  }
  if (doc.field) {
    lines.push("The flow is the direction in which the probability flow moves a point, in the direction of play."
      + (doc.field.score ? " The score, here times σ, points to where the density rises." : ""));
  }
  if (doc.student) {
    lines.push("This is a student: with the samplers jump and renoise it goes from tick to tick in one evaluation of its network, "
      + "and lines between ticks are only drawn. Other samplers, and the flow of the model, follow its velocity.");
  }
  lines.push("Ticks below a panel are the levels that its sampler visits. The area behind the slider is ᾱ, the share of signal.");
  return lines;
}

function hint() {
  const what = `${scene.count.toLocaleString("en")} ${kind === curves ? "curves" : "points"}`;
  const all = doc.asked ? `${what} of ${doc.asked.toLocaleString("en")}, as many as fit` : what;
  return `${all}. Space plays, arrows step, Home and End go to the ends; `
    + `hover or tap a ${kind === curves ? "curve to follow it" : "point to see its path"}${kind === space ? ", drag to turn" : ""}.`;
}

function commandLine(command) {
  const holder = element("div", undefined, "copied");
  const line = element("pre", command);
  line.tabIndex = 0;
  line.setAttribute("aria-label", "Command");
  holder.append(line);
  addCopyButton(line);
  return holder;
}

// A button beside a text that puts it on the clipboard, and says for a moment that it did.
function addCopyButton(text) {
  const button = element("button", "Copy", "quiet");
  button.type = "button";
  button.addEventListener("click", async () => {
    button.textContent = (await copied(text)) ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  text.after(button);
}

// Whether the text is on the clipboard; where the browser allows it to no page of a file, the text is selected instead.
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(text);
    return document.execCommand("copy");
  }
}

function fillWords() {
  document.title = `${doc.name} · diffuse report`;
  byId("name").textContent = doc.name;
  byId("summary").textContent = doc.summary;
  byId("hint").textContent = hint();
  byId("explanations").replaceChildren(...explanations().map((line) => element("li", line)));
  fillList("settings", doc.settings);
  fillList("samplers", doc.samplers);
  fillList("made", doc.made);
  byId("made-section").hidden = !doc.made.length;
  byId("commands").replaceChildren(...doc.commands.map(commandLine));
  byId("config").textContent = doc.config ?? "";
  addCopyButton(byId("config"));
  byId("caveats").hidden = !doc.caveats.length;
  byId("caveats").replaceChildren(...doc.caveats.map((line) => element("li", line)));
  if (doc.density?.smoothed) byId("density-name").textContent = "Density of the data, smoothed";
  byId("config-section").hidden = doc.config === null;
  if (doc.metrics) fillMetrics(doc.metrics);
  if (doc.loss) {
    byId("loss-section").hidden = false;
    keepDrawn(byId("loss"), lossChart(doc.loss));
    const excess = excessOverSteps(doc.loss);
    byId("loss-excess").hidden = excess === null;
    if (excess) keepDrawn(byId("loss-excess"), excess);
  }
}
