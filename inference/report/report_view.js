// <microemo-report>: the whole view of one report. Set `media` (an address) and `report` (the parsed JSON); a newer
// report may be set at any time, the video plays on.
const OUTPUTS = { face_expressions: "face expressions", micro_expressions: "micro-expressions", emotions: "emotions", explanations: "explanations" };

class ReportView extends HTMLElement {
  #report = null;
  #moment = 0;
  constructor() {
    super();
    this.player = new Player((seconds) => this.show(seconds));
    this.timeline = new Timeline((seconds) => this.seek(seconds));
    this.cards = new Cards((seconds) => this.seek(seconds));
    this.head = element("header", { className: "head" });
    this.details = element("dl");
    this.attachShadow({ mode: "open" }).append(
      element("style", { textContent: STYLE }), this.head,
      element("div", { className: "main" }, element("div", { className: "stage" }, this.player.root, this.toolbar()), this.cards.root, this.timeline.root),
      element("p", { className: "hint", textContent: "Click anywhere on the timeline to go there. Keys: space plays, ← → a tenth of a second, Page up and down five seconds, n and p the next and previous utterance, c captions." }),
      element("details", {}, element("summary", { textContent: "Model, settings and timings" }), this.details));
  }
  connectedCallback() {
    // In a page of its own the keys work everywhere; inside another page only while the view has the focus.
    (this.hasAttribute("standalone") ? document : this.shadowRoot).addEventListener("keydown", (event) => this.onKey(event));
  }
  set media(address) {
    this.player.media = address;
  }
  get report() {
    return this.#report;
  }
  set report(report) {
    const isFirst = !this.#report || this.#report.name !== report.name;
    this.#report = report;
    this.drawHead();
    this.drawDetails();
    for (const part of [this.player, this.timeline, this.cards]) part.draw(report);
    this.show(isFirst ? (report.utterances[0] || { start_seconds: 0 }).start_seconds : this.#moment);
    if (isFirst) this.player.seek(this.#moment);
  }
  get moment() {
    return this.#moment;
  }
  show(seconds) {
    if (!this.#report) return;
    this.#moment = Math.min(Math.max(seconds, 0), this.timeline.duration);
    this.clock.textContent = `${clock(this.#moment)} / ${clock(this.timeline.duration)}`;
    this.player.showBox(this.#moment);
    this.timeline.show(this.#moment);
    this.cards.show(this.#moment);
  }
  seek(seconds) {
    this.show(seconds);
    this.player.seek(this.#moment);
  }
  toolbar() {
    const button = (text, label, act) => element("button", { type: "button", textContent: text, title: label, "aria-label": label, onclick: act });
    this.play = button("▶ Play", "Play or pause", () => this.player.toggle());
    this.play.id = "play";
    this.player.video.addEventListener("play", () => { this.play.textContent = "❚❚ Pause"; });
    this.player.video.addEventListener("pause", () => { this.play.textContent = "▶ Play"; });
    this.clock = element("output", { id: "clock", "aria-live": "off" });
    return element("div", { className: "toolbar" }, this.play,
      button("‹", "Previous utterance", () => this.step(-1)), button("›", "Next utterance", () => this.step(1)), this.clock,
      element("span", { className: "spring" }), button("CC", "Captions on or off", () => this.player.toggleCaptions()),
      button("−", "Show more of the timeline", () => this.timeline.zoom(0.5, this.#moment)), button("+", "Zoom into the timeline", () => this.timeline.zoom(2, this.#moment)));
  }
  drawHead() {
    const report = this.#report;
    const facts = [`${report.duration_seconds.toFixed(1)} s`, counted(report.utterances.length, "utterance"), counted(report.face_curves.length, "face"), report.model.model_id];
    const streams = report.modalities.map((one) => element("li", { className: one.used ? "" : "off", textContent: `${one.used ? "✓" : "✗"} ${one.name}${one.note ? `: ${one.note}` : ""}` }));
    const hidden = Object.entries(report.status).filter(([, state]) => state !== "trained");
    const outputs = hidden.map(([name, state]) => element("li", { className: "off", textContent: `${OUTPUTS[name]}: ${state.replace("_", " ")}, not shown` }));
    const warnings = report.warnings.map((warning) => element("li", { textContent: `⚠ ${warning}` }));
    this.head.replaceChildren(
      element("h2", { id: "name", textContent: report.name }), element("p", { id: "facts", textContent: facts.join(" · ") }),
      element("ul", { className: "streams", "aria-label": "Streams of the video, and outputs that are not shown" }, ...streams, ...outputs),
      element("ul", { id: "warnings", "aria-label": "Warnings" }, ...warnings));
  }
  drawDetails() {
    const { model, settings, timings } = this.#report;
    const rows = [...Object.entries(model), ...Object.entries(settings).filter(([, value]) => value !== null), ...timings.map((one) => [`time: ${one.stage}`, `${one.seconds.toFixed(1)} s`])];
    this.details.replaceChildren(...rows.flatMap(([name, value]) => [
      element("dt", { textContent: name.replaceAll("_", " ") }),
      element("dd", { textContent: Array.isArray(value) ? value.join(", ") || "none" : String(value) }),
    ]));
  }
  step(direction) {
    const starts = this.#report.utterances.map((utterance) => utterance.start_seconds);
    const target = direction > 0 ? starts.find((start) => start > this.#moment + 0.05) : starts.filter((start) => start < this.#moment - 0.05).pop();
    if (target !== undefined) this.seek(target);
  }
  onKey(event) {
    const target = event.composedPath()[0];
    if (!this.#report || event.ctrlKey || event.metaKey || event.altKey || target.matches?.("input, textarea, select")) return;
    // Space and the arrows keep their own meaning on buttons, in the player and in scrolling regions.
    if (event.key === " " && target.matches?.("button, summary, a, video")) return;
    if (event.key.startsWith("Arrow") && target === this.player.video) return;
    const keys = {
      ArrowLeft: () => this.seek(this.#moment - 0.1), ArrowRight: () => this.seek(this.#moment + 0.1),
      PageUp: () => this.seek(this.#moment - 5), PageDown: () => this.seek(this.#moment + 5),
      n: () => this.step(1), p: () => this.step(-1), c: () => this.player.toggleCaptions(), " ": () => this.player.toggle(),
      ...(target === this.timeline.axis ? { Home: () => this.seek(0), End: () => this.seek(this.timeline.duration) } : {}),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }
}
if (!customElements.get("microemo-report")) customElements.define("microemo-report", ReportView);
