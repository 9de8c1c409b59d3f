"use strict";
// Everything of the report is put in with textContent: its words are untrusted.
const report = JSON.parse(document.getElementById("report").textContent);
const byId = (id) => document.getElementById(id);
const media = byId("media");
const duration = Math.max(report.duration_seconds, 0.1);

// The grouping of GoEmotions' labels into Ekman's families, as published with that set; contempt is its own.
const FAMILIES = {
  happiness: ["happiness", "joy", "amusement", "approval", "excitement", "gratitude", "love", "optimism", "relief", "pride", "admiration", "desire", "caring"],
  surprise: ["surprise", "realization", "confusion", "curiosity"],
  sadness: ["sadness", "disappointment", "embarrassment", "grief", "remorse"],
  anger: ["anger", "annoyance", "disapproval"],
  disgust: ["disgust"],
  fear: ["fear", "nervousness"],
  contempt: ["contempt"],
  neutral: ["neutral"],
};
// The second cue beside colour: each family has its own dashes.
const DASHES = { happiness: "", surprise: "7 3", sadness: "2 3", anger: "11 3 2 3", disgust: "1 4", fear: "5 5", contempt: "12 5", neutral: "3 7" };
const familyOf = (label) => Object.keys(FAMILIES).find((family) => FAMILIES[family].includes(label)) || "none";
const colourOf = (label) => `var(--${familyOf(label)})`;
const leading = (utterance) => (utterance.emotions || utterance.expressions || [])[0];

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "style") for (const [key, setting] of Object.entries(value)) made.style.setProperty(key, setting);
    else if (name.startsWith("aria-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
function drawing(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
const percent = (seconds) => `${(100 * seconds) / duration}%`;
const clock = (seconds) => {
  const tenths = Math.round(seconds * 10);
  const minutes = Math.floor(tenths / 600);
  return `${minutes}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
};
const span = (part) => `${clock(part.start_seconds)} – ${clock(part.end_seconds)}`;

// --- The moment: one number that the video, the cursor and the lists follow -------------------------------------
let moment = 0;
const followers = [];
function show(seconds) {
  moment = Math.min(Math.max(seconds, 0), duration);
  followers.forEach((follow) => follow(moment));
}
function seek(seconds) {
  show(seconds);
  if (media.readyState > 0) media.currentTime = moment;
}
function followMedia() {
  show(media.currentTime);
  if (!media.paused) requestAnimationFrame(followMedia);
}
const seekButton = (seconds, text, properties = {}) =>
  element("button", { type: "button", textContent: text, onclick: () => seek(seconds), ...properties });

const NAMES = { face_expressions: "face expressions", micro_expressions: "micro-expressions", emotions: "emotions", explanations: "explanations" };

// --- Head of the page ------------------------------------------------------------------------------------------
function drawHeader() {
  byId("name").textContent = report.name;
  const utterances = report.utterances.length;
  byId("facts").textContent = [
    `${duration.toFixed(1)} s`,
    `${utterances} utterance${utterances === 1 ? "" : "s"}`,
    `${report.face_curves.length} face${report.face_curves.length === 1 ? "" : "s"}`,
    report.model.model_id,
  ].join(" · ");
  for (const modality of report.modalities) {
    const note = modality.note ? `: ${modality.note}` : "";
    byId("modalities").append(element("li", { className: modality.used ? "" : "off", textContent: `${modality.used ? "✓" : "✗"} ${modality.name}${note}` }));
  }
  for (const [name, state] of Object.entries(report.status)) {
    const trained = state === "trained";
    const text = `${NAMES[name]}: ${state.replace("_", " ")}${trained ? "" : ", not shown"}`;
    byId("status").append(element("li", { className: trained ? "" : "off", textContent: text }));
  }
  for (const warning of report.warnings) byId("warnings").append(element("li", { textContent: `⚠ ${warning}` }));
}

// --- Timeline --------------------------------------------------------------------------------------------------
function drawAxis() {
  const axis = byId("axis");
  axis.setAttribute("aria-valuemin", "0");
  axis.setAttribute("aria-valuemax", duration.toFixed(1));
  const shown = Math.max(2, Math.floor(axis.clientWidth / 80));
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800].find((one) => duration / one <= shown) || 3600;
  axis.replaceChildren();
  for (let index = 0; index * step <= duration + 1e-9; index += 1) {
    const seconds = index * step;
    const place = index === 0 ? "first" : seconds > duration - step / 3 ? "last" : "";
    axis.append(element("span", { textContent: clock(seconds), className: place, style: { left: percent(seconds) } }));
  }
}
function drawUtteranceLane() {
  const bars = element("div", { className: "bars" });
  report.utterances.forEach((utterance, index) => {
    const label = leading(utterance);
    const name = [label ? label.label : null, utterance.speaker].filter(Boolean).join(" · ");
    const bar = seekButton(utterance.start_seconds, name || utterance.text || "…", {
      title: `${span(utterance)} ${utterance.text}`,
      style: { left: percent(utterance.start_seconds), width: `calc(${percent(utterance.end_seconds - utterance.start_seconds)} - 2px)`, "--family": colourOf(label && label.label) },
      "aria-label": `Utterance ${index + 1}, ${span(utterance)}, ${name}`,
    });
    bars.append(bar);
    followers.push((now) => bar.classList.toggle("current", isNow(utterance, now)));
  });
  byId("lanes").append(element("div", { className: "lane" }, element("h2", { textContent: "Utterances" }), bars));
}
const isNow = (part, now) => now >= part.start_seconds && now < part.end_seconds;

function curvePath(times, values) {
  // A face unseen for half a second breaks the line: nothing is drawn where nothing was seen.
  return times.map((time, index) => {
    const starts = index === 0 || time - times[index - 1] > 0.5;
    return `${starts ? "M" : "L"}${((1000 * time) / duration).toFixed(2)} ${(100 - 96 * values[index] - 2).toFixed(2)}`;
  }).join("");
}
function drawFaceLane(face) {
  const lane = element("div", { className: "lane" });
  const curves = (face.expressions || []).filter((curve) => Math.max(...curve.probabilities) >= 0.25);
  const what = curves.length ? ": expression over time (0 to 1)" : "";
  lane.append(element("h2", { textContent: `Face ${face.track_id}${what}` }), presence(face));
  if (curves.length) {
    const plot = drawing("svg", { class: "plot", viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", "aria-label": `Expressions of face ${face.track_id}: ${curves.map((curve) => curve.label).join(", ")}` });
    for (const height of [2, 50, 98]) plot.append(drawing("path", { class: "grid", d: `M0 ${height}H1000` }));
    const legend = element("ul", { className: "legend" });
    for (const curve of curves) {
      const look = { style: `stroke:${colourOf(curve.label)}`, "stroke-dasharray": DASHES[familyOf(curve.label)] || "" };
      plot.append(drawing("path", { d: curvePath(face.times, curve.probabilities), ...look }));
      const sample = drawing("svg", { viewBox: "0 0 30 8", "aria-hidden": "true" });
      sample.append(drawing("path", { d: "M0 4H30", "stroke-width": 2.5, fill: "none", ...look }));
      legend.append(element("li", {}, sample, curve.label));
    }
    plot.addEventListener("click", (event) => seek(pointed(event)));
    lane.append(plot, legend);
  }
  drawMarks(lane, (report.summary.micro_expressions || []).filter((event) => event.track_id === face.track_id));
  const pictures = report.thumbnails.filter((picture) => picture.track_id === face.track_id);
  if (pictures.length) lane.append(element("div", { className: "pictures" }, ...pictures.map(pictureButton)));
  byId("lanes").append(lane);
}
function presence(face) {
  // A thin bar wherever the face was seen.
  const bar = element("div", { className: "presence", title: `Face ${face.track_id} is seen here` });
  let start = face.times[0];
  face.times.forEach((time, index) => {
    const next = face.times[index + 1];
    if (next !== undefined && next - time <= 0.5) return;
    bar.append(element("div", { style: { left: percent(start), width: percent(Math.max(time - start, 0.02)) } }));
    start = next;
  });
  return bar;
}
function drawMarks(lane, events) {
  if (!events.length) return;
  const marks = element("div", { className: "marks" });
  for (const event of events) {
    const length = Math.max(event.offset_seconds - event.onset_seconds, 1e-3);
    const text = `Micro-expression ${event.onset_seconds.toFixed(2)} – ${event.offset_seconds.toFixed(2)} s, apex ${event.apex_seconds.toFixed(2)} s, score ${event.score.toFixed(2)}`;
    marks.append(seekButton(event.apex_seconds, "", {
      title: text, "aria-label": text,
      style: { left: percent(event.onset_seconds), width: percent(length), "--apex": `${(100 * (event.apex_seconds - event.onset_seconds)) / length}%` },
    }));
  }
  lane.append(element("h2", { textContent: "Micro-expressions" }), marks);
}
function pictureButton(picture) {
  const image = element("img", { src: `data:image/jpeg;base64,${picture.jpeg_base64}`, alt: `Face ${picture.track_id} at ${picture.seconds.toFixed(2)} s` });
  return element("button", { type: "button", onclick: () => seek(picture.seconds) }, image, `${picture.seconds.toFixed(2)} s`);
}
function pointed(event) {
  const box = byId("axis").getBoundingClientRect();
  return ((event.clientX - box.left) / box.width) * duration;
}

// --- Utterances ------------------------------------------------------------------------------------------------
function scoreRows(title, labels) {
  if (!labels) return null;
  const shown = labels.filter((label, index) => index === 0 || label.probability >= 0.1).slice(0, 4);
  const rows = shown.flatMap((label) => [
    element("span", { textContent: label.label }),
    element("div", { className: "track", "aria-hidden": "true" }, element("div", { style: { width: `${100 * label.probability}%`, "--family": colourOf(label.label) } })),
    element("span", { className: "number", textContent: label.probability.toFixed(2) }),
  ]);
  return element("div", { className: "scores" }, element("h4", { textContent: title }), ...rows);
}
function evidenceList(utterance) {
  const items = utterance.evidence.map((one) => [one.seconds, `${one.kind.replace("_", "-")}: ${one.text}`]);
  for (const event of utterance.micro_expressions || []) {
    const units = event.action_units.map((unit) => unit.label).join(" + ");
    items.push([event.apex_seconds, `micro-expression ${event.onset_seconds.toFixed(2)} – ${event.offset_seconds.toFixed(2)} s, score ${event.score.toFixed(2)}${units ? `, ${units}` : ""}`]);
  }
  if (!items.length) return null;
  return element("ul", { className: "evidence" }, ...items.map(([seconds, text]) =>
    element("li", {}, seconds === null ? null : seekButton(seconds, `${seconds.toFixed(2)} s`), element("span", { textContent: text }))));
}
function drawUtterance(utterance, index) {
  const label = leading(utterance);
  const head = element("header", {},
    element("h3", {}, seekButton(utterance.start_seconds, span(utterance), { "aria-label": `Go to utterance ${index + 1}, ${span(utterance)}` })),
    utterance.speaker ? element("strong", { textContent: utterance.speaker }) : null,
    utterance.track_id === null ? element("span", { className: "muted", textContent: "no face" }) : element("span", { className: "muted", textContent: `face ${utterance.track_id}` }));
  const words = utterance.text ? element("blockquote", { textContent: `“${utterance.text}”` }) : element("p", { className: "muted", textContent: "No words" });
  const feeling = utterance.valence === null ? null : element("p", { textContent: `Valence ${utterance.valence.toFixed(2)}, arousal ${utterance.arousal.toFixed(2)}` });
  const card = element("article", { style: { "--family": colourOf(label && label.label) } }, head, words,
    utterance.open_emotions && utterance.open_emotions.length ? element("p", {}, element("strong", { textContent: utterance.open_emotions.join(", ") })) : null,
    utterance.description ? element("p", { textContent: utterance.description }) : null,
    scoreRows("Emotions", utterance.emotions), feeling, scoreRows("Facial expression", utterance.expressions), evidenceList(utterance));
  followers.push((now) => card.classList.toggle("current", isNow(utterance, now)));
  byId("utterances").append(card);
}
function drawSummary() {
  const summary = report.summary;
  const scores = [scoreRows("Emotions", summary.emotions), scoreRows("Facial expression", summary.expressions)].filter(Boolean);
  const words = [(summary.open_emotions || []).join(", "), summary.description].filter(Boolean);
  if (report.utterances.length < 2 || !(scores.length + words.length)) return;
  const first = (summary.emotions || summary.expressions || [])[0];
  byId("utterances").append(element("article", { style: { "--family": colourOf(first && first.label) } },
    element("h3", { textContent: "Whole clip" }), ...words.map((text) => element("p", { textContent: text })), ...scores));
}
function drawDetails() {
  const settings = Object.entries(report.settings).filter(([, value]) => value !== null);
  const timings = report.timings.map((timing) => [`time: ${timing.stage}`, `${timing.seconds.toFixed(1)} s`]);
  for (const [name, value] of [...Object.entries(report.model), ...settings, ...timings]) {
    const text = Array.isArray(value) ? value.join(", ") || "none" : String(value);
    byId("details").append(element("dt", { textContent: name.replaceAll("_", " ") }), element("dd", { textContent: text }));
  }
}

// --- Controls --------------------------------------------------------------------------------------------------
const togglePlay = () => (media.paused ? media.play().catch(() => {}) : media.pause());
function step(direction) {
  const starts = report.utterances.map((utterance) => utterance.start_seconds);
  const target = direction > 0 ? starts.find((start) => start > moment + 0.05) : starts.filter((start) => start < moment - 0.05).pop();
  if (target !== undefined) seek(target);
}
const KEYS = {
  ArrowLeft: () => seek(moment - 0.1), ArrowRight: () => seek(moment + 0.1),
  PageUp: () => seek(moment - 5), PageDown: () => seek(moment + 5),
  n: () => step(1), p: () => step(-1), " ": togglePlay,
};
function onKey(event) {
  const target = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || target.tagName === "INPUT") return;
  // Space and the arrows keep their own meaning on buttons, in the player and in scrolling regions.
  if (event.key === " " && target.matches("button, summary, a, video")) return;
  if (event.key.startsWith("Arrow") && target === media) return;
  const act = target.id === "axis" ? { ...KEYS, Home: () => seek(0), End: () => seek(duration) }[event.key] : KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}
function zoom(factor) {
  const timeline = byId("timeline");
  const now = parseFloat(timeline.style.width || "100");
  timeline.style.width = `${Math.min(Math.max(now * factor, 100), 6400)}%`;
  drawAxis();
  byId("scroll").scrollLeft = (moment / duration) * timeline.clientWidth - byId("scroll").clientWidth / 2;
}
function connect() {
  followers.push((now) => {
    byId("cursor").style.left = percent(now);
    byId("clock").textContent = `${clock(now)} / ${clock(duration)}`;
    byId("axis").setAttribute("aria-valuenow", now.toFixed(1));
    byId("axis").setAttribute("aria-valuetext", `${now.toFixed(1)} seconds`);
  });
  byId("play").onclick = togglePlay;
  byId("previous").onclick = () => step(-1);
  byId("next").onclick = () => step(1);
  byId("wider").onclick = () => zoom(2);
  byId("narrower").onclick = () => zoom(0.5);
  byId("axis").onpointerdown = (event) => { byId("axis").setPointerCapture(event.pointerId); seek(pointed(event)); };
  byId("axis").onpointermove = (event) => { if (event.buttons) seek(pointed(event)); };
  document.addEventListener("keydown", onKey);
  media.onplay = () => { byId("play").textContent = "Pause"; followMedia(); };
  media.onpause = () => { byId("play").textContent = "Play"; };
  media.onseeked = () => show(media.currentTime);
  media.onerror = () => { byId("pick").hidden = false; media.hidden = true; };
  media.onloadedmetadata = () => {
    byId("pick").hidden = true;
    media.hidden = false;
    byId("unseen").hidden = media.videoWidth > 0 || !report.modalities.some((one) => one.name === "frames" && one.used);
  };
  byId("file").onchange = (event) => { media.src = URL.createObjectURL(event.target.files[0]); };
  if (!media.getAttribute("src")) media.onerror();
  window.addEventListener("resize", drawAxis);
}

drawHeader();
connect();
drawUtteranceLane();
report.face_curves.forEach(drawFaceLane);
drawSummary();
report.utterances.forEach(drawUtterance);
drawDetails();
drawAxis();
show(report.utterances.length ? report.utterances[0].start_seconds : 0);
