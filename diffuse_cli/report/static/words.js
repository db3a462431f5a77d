// Everything in words. All of it goes in as text: nothing that a name holds is ever read as markup.

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function fillList(id, rows) {
  byId(id).replaceChildren(...rows.flatMap(([term, description, small]) => {
    const value = element("dd", description);
    if (small) value.append(element("small", small));
    return [element("dt", term), value];
  }));
}

function fillMetrics({ columns, rows, others, samples, left_out: leftOut, excess }) {
  byId("metrics-section").hidden = false;
  const head = element("tr");
  head.append(...["distance", ...columns, "noise floor", "n"].map((text) => element("th", text)));
  const body = rows.map(({ name, floor, n, cells }) => {
    const row = element("tr");
    row.append(element("td", name));
    for (const [value, alike] of cells) {
      const cell = element("td", value, alike ? "on" : "off");
      cell.title = alike ? "indistinguishable from truth" : "differs from truth";
      row.append(cell);
    }
    row.append(element("td", floor), element("td", n));
    return row;
  });
  if (rows.length) byId("distances").append(head, ...body);
  const about = `${samples.toLocaleString("en")} samples of each sampler. The noise floor is what two draws of the truth `
    + "score against each other, ± its standard deviation. ✓ cannot be told from truth with so many points, ✕ can.";
  byId("about-distances").textContent = leftOut ? `${about} ${leftOut}.` : about;
  fillList("likelihood", others);
  if (excess) keepDrawn(byId("excess"), excessChart(excess));
}

function legendText() {
  const parts = [
    `${scene.count.toLocaleString("en")} ${kind === curves ? "curves" : "points"}`
      + (doc.asked ? ` of ${doc.asked.toLocaleString("en")}, as many as fit.` : "."),
    "The same point starts from the same noise in every panel, which is the noise that the data end in.",
    "All is in model space, where data have unit variance, and scaled so that noise is N(0, I).",
  ];
  if (scene.kind === "projected") parts.push("Shown are the first two principal axes of the data.");
  if (kind === plane) parts.push("Dashed: two standard deviations of pure noise.");
  if (kind === space) parts.push("Drag to turn.");
  if (kind === histogram) parts.push("Above: where the points are now; below: their ways, data at the top and noise at the bottom.");
  if (doc.density) parts.push(`Density: ${doc.density.smoothed ? "of the training points, smoothed" : "exact"}`
    + `${kind === plane ? ", each time on a scale of its own" : ""}.`);
  if (doc.field) {
    parts.push(`Flow: where the probability flow carries a point${doc.field.score ? "; score: towards more density, times σ" : ""}.`);
  }
  parts.push("Ticks below a panel: the levels its sampler visits. The area behind the slider: ᾱ, the share of signal.");
  parts.push("Keys: space plays, arrows step, Home and End go to data and noise. Hover or tap a point to see its path.");
  return parts.join(" ");
}

function fillWords() {
  document.title = `${doc.name} · diffuse report`;
  byId("name").textContent = doc.name;
  byId("summary").textContent = doc.summary;
  byId("legend").textContent = legendText();
  fillList("settings", doc.settings);
  fillList("samplers", doc.samplers);
  fillList("made", doc.made);
  byId("made-section").hidden = !doc.made.length;
  byId("commands").textContent = doc.commands.join("\n");
  byId("config").textContent = doc.config ?? "";
  byId("config-section").hidden = doc.config === null;
  if (doc.metrics) fillMetrics(doc.metrics);
  if (doc.loss) {
    byId("loss-section").hidden = false;
    keepDrawn(byId("loss"), lossChart(doc.loss));
  }
}
