// Utterance bars, curves and events over time, under one cursor. Any click seeks.
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
const LABEL_WIDTH = 84; // px an axis label needs
const PICTURE_WIDTH = 68; // px with the gap beside it
const GAP_SECONDS = 0.5; // a face unseen for longer breaks its curve
const NOTABLE = 0.25; // the probability a curve must reach somewhere to be drawn
const MICRO_LEVEL = 0.5; // from here a micro-expression is reported

class Timeline {
  constructor(seek) {
    this.seek = seek;
    this.axis = element("div", { id: "axis", role: "slider", tabIndex: 0, "aria-label": "Moment of the video" });
    this.lanes = element("div", { className: "lanes" });
    this.cursor = element("div", { id: "cursor", "aria-hidden": "true" });
    this.inner = element("div", { className: "inner" }, this.axis, this.lanes, this.cursor);
    this.scroll = element("div", { className: "scroll" }, this.inner);
    this.root = element("section", { className: "timeline", "aria-label": "Timeline" }, this.scroll);
    this.axis.addEventListener("pointerdown", (event) => { this.axis.setPointerCapture(event.pointerId); this.seek(this.pointed(event)); });
    this.axis.addEventListener("pointermove", (event) => { if (event.buttons) this.seek(this.pointed(event)); });
    this.lanes.addEventListener("click", (event) => { if (!event.target.closest("button, .legend")) this.seek(this.pointed(event)); });
    new ResizeObserver(() => this.fit()).observe(this.scroll);
  }
  percent(seconds) {
    return `${(100 * seconds) / this.duration}%`;
  }
  pointed(event) {
    const box = this.axis.getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * this.duration;
  }
  seekButton(seconds, text, properties) {
    return element("button", { type: "button", textContent: text, onclick: () => this.seek(seconds), ...properties });
  }
  draw(report) {
    this.report = report;
    this.duration = Math.max(report.duration_seconds, 0.1);
    this.axis.setAttribute("aria-valuemin", "0");
    this.axis.setAttribute("aria-valuemax", this.duration.toFixed(1));
    this.lanes.replaceChildren(this.utteranceLane(), ...report.face_curves.flatMap((face) => this.faceLanes(face)));
    this.fit();
  }
  // What depends on the width: the axis labels and the places of the pictures.
  fit() {
    if (!this.report) return;
    const width = this.axis.clientWidth;
    const shown = Math.max(2, Math.floor(width / LABEL_WIDTH));
    const step = STEPS.find((one) => this.duration / one <= shown) || STEPS[STEPS.length - 1];
    this.axis.replaceChildren();
    for (let index = 0; index * step <= this.duration + 1e-9; index += 1) {
      const seconds = index * step;
      const place = index === 0 ? "first" : (this.duration - seconds) * width < this.duration * 24 ? "last" : "";
      this.axis.append(element("span", { textContent: clock(seconds), className: place, style: { left: this.percent(seconds) } }));
    }
    for (const row of this.lanes.querySelectorAll(".pictures")) this.placePictures(row, width);
  }
  // Each picture under its moment, moved aside only as far as its neighbours need.
  placePictures(row, width) {
    const half = PICTURE_WIDTH / 2;
    const wanted = [...row.children].map((picture) => (picture.seconds / this.duration) * width - half);
    const lefts = [];
    wanted.forEach((left, index) => lefts.push(Math.max(left, index ? lefts[index - 1] + PICTURE_WIDTH : 0)));
    for (let index = lefts.length - 1, limit = width - PICTURE_WIDTH; index >= 0; index -= 1, limit -= PICTURE_WIDTH) {
      lefts[index] = Math.min(lefts[index], Math.max(limit, index * PICTURE_WIDTH));
    }
    [...row.children].forEach((picture, index) => {
      picture.style.left = `${lefts[index]}px`;
      picture.style.setProperty("--moment", `${Math.min(Math.max(wanted[index] + half - lefts[index], 4), PICTURE_WIDTH - 8)}px`);
    });
  }
  utteranceLane() {
    const bars = element("div", { className: "bars" });
    this.report.utterances.forEach((utterance, index) => {
      const name = [leadingName(utterance), utterance.speaker].filter(Boolean).join(" · ");
      const length = utterance.end_seconds - utterance.start_seconds;
      const bar = this.seekButton(utterance.start_seconds, "", {
        title: `${span(utterance)} ${utterance.text}`,
        style: { left: this.percent(utterance.start_seconds), width: `calc(${this.percent(length)} - 2px)`, "--family": colourOf(leadingName(utterance)) },
        "aria-label": `Utterance ${index + 1}, ${span(utterance)}, ${name}`,
      });
      bar.append(element("strong", { textContent: name || "…" }), element("span", { textContent: utterance.text }));
      bars.append(bar);
    });
    return this.lane("Utterances", bars);
  }
  lane(title, ...parts) {
    return element("div", { className: "lane" }, element("h3", { textContent: title }), ...parts);
  }
  faceLanes(face) {
    const lanes = [];
    const who = this.report.face_curves.length > 1 ? `Face ${face.track_id}. ` : "";
    const curves = (face.expressions || []).filter((curve) => Math.max(...curve.probabilities) >= NOTABLE);
    const expressions = this.lane(curves.length ? `${who}Facial expression, 0 to 1` : `Face ${face.track_id} is seen here`, this.presence(face));
    if (curves.length) expressions.append(this.plot(face, curves), this.legend(curves));
    lanes.push(expressions);
    const events = (this.report.summary.micro_expressions || []).filter((event) => event.track_id === face.track_id);
    if (face.micro_scores) lanes.push(this.microLane(face, events, who));
    const pictures = this.report.thumbnails.filter((picture) => picture.track_id === face.track_id);
    if (pictures.length) lanes.push(element("div", { className: "pictures" }, ...pictures.map((one) => this.picture(one, events))));
    return lanes;
  }
  presence(face) {
    const bar = element("div", { className: "presence", title: `Face ${face.track_id} is seen here` });
    let start = face.times[0];
    face.times.forEach((time, index) => {
      const next = face.times[index + 1];
      if (next !== undefined && next - time <= GAP_SECONDS) return;
      bar.append(element("div", { style: { left: this.percent(start), width: this.percent(Math.max(time - start, 0.02)) } }));
      start = next;
    });
    return bar;
  }
  path(times, values) {
    return times.map((time, index) => {
      const starts = index === 0 || time - times[index - 1] > GAP_SECONDS;
      return `${starts ? "M" : "L"}${((1000 * time) / this.duration).toFixed(2)} ${(98 - 96 * values[index]).toFixed(2)}`;
    }).join("");
  }
  canvas(kind, label, levels) {
    const plot = drawing("svg", { class: `plot ${kind}`, viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", "aria-label": label });
    for (const level of levels) plot.append(drawing("path", { class: "grid", d: `M0 ${98 - 96 * level}H1000` }));
    return plot;
  }
  plot(face, curves) {
    const plot = this.canvas("expressions", `Expressions of face ${face.track_id}: ${curves.map((curve) => curve.label).join(", ")}`, [0, 0.5, 1]);
    for (const curve of curves) {
      const look = { style: `stroke:${colourOf(curve.label)}`, "stroke-dasharray": DASHES[familyOf(curve.label)] || "" };
      plot.append(drawing("path", { d: this.path(face.times, curve.probabilities), ...look }));
    }
    return plot;
  }
  legend(curves) {
    return element("ul", { className: "legend" }, ...curves.map((curve) => {
      const look = { style: `stroke:${colourOf(curve.label)}`, "stroke-dasharray": DASHES[familyOf(curve.label)] || "" };
      const sample = drawing("svg", { viewBox: "0 0 30 8", "aria-hidden": "true" }, drawing("path", { d: "M0 4H30", "stroke-width": 2.5, fill: "none", ...look }));
      return element("li", {}, sample, curve.label);
    }));
  }
  microLane(face, events, who) {
    const plot = this.canvas("micro", `Micro-expression score of face ${face.track_id}, ${counted(events.length, "event")}`, [0, MICRO_LEVEL]);
    plot.append(drawing("path", { class: "score", d: this.path(face.times, face.micro_scores) }));
    const marks = element("div", { className: "marks" }, ...events.map((event) => this.mark(event)));
    const found = events.length ? counted(events.length, "event") : "no event";
    return this.lane(`${who}Micro-expression score, 0 to 1: ${found}`, element("div", { className: "events" }, plot, marks));
  }
  mark(event) {
    const length = Math.max(event.offset_seconds - event.onset_seconds, 1e-3);
    const text = `Micro-expression${event.expression ? ` of ${event.expression}` : ""}: onset ${event.onset_seconds.toFixed(2)} s, apex ${event.apex_seconds.toFixed(2)} s, offset ${event.offset_seconds.toFixed(2)} s, score ${event.score.toFixed(2)}`;
    return this.seekButton(event.apex_seconds, "", {
      className: "event", title: text, "aria-label": text,
      style: { left: this.percent(event.onset_seconds), width: this.percent(length), "--apex": `${(100 * (event.apex_seconds - event.onset_seconds)) / length}%` },
    });
  }
  picture(picture, events) {
    const isApex = events.some((event) => Math.abs(event.apex_seconds - picture.seconds) < 0.01);
    const image = element("img", { src: `data:image/jpeg;base64,${picture.jpeg_base64}`, alt: `Face ${picture.track_id} at ${picture.seconds.toFixed(2)} s` });
    const button = element("button", { type: "button", className: isApex ? "apex" : "", onclick: () => this.seek(picture.seconds) }, image, `${isApex ? "◆ " : ""}${picture.seconds.toFixed(2)} s`);
    button.seconds = picture.seconds;
    return button;
  }
  zoom(factor, moment) {
    const now = parseFloat(this.inner.style.width || "100");
    this.inner.style.width = `${Math.min(Math.max(now * factor, 100), 6400)}%`;
    this.fit();
    this.scroll.scrollLeft = (moment / this.duration) * this.inner.clientWidth - this.scroll.clientWidth / 2;
  }
  show(moment) {
    this.cursor.style.left = this.percent(moment);
    this.axis.setAttribute("aria-valuenow", moment.toFixed(1));
    this.axis.setAttribute("aria-valuetext", `${moment.toFixed(1)} seconds`);
    const bars = this.lanes.querySelectorAll(".bars button");
    this.report.utterances.forEach((utterance, index) => bars[index].classList.toggle("current", isNow(utterance, moment)));
  }
}
