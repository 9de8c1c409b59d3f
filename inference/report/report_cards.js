// The utterances as cards: words, emotions with probabilities, explanation, and its evidence as chips that seek.
const SIGNS = { face: "☺", micro_expression: "◆", voice: "♪", words: "❝", scene: "▣" };
const SHOWN_SCORES = 4;
const LEAST_SCORE = 0.1; // below it only the strongest label is shown

class Cards {
  constructor(seek) {
    this.seek = seek;
    this.root = element("section", { id: "utterances", className: "cards", "aria-label": "Utterances", tabIndex: 0 });
  }
  seekButton(seconds, text, properties = {}) {
    return element("button", { type: "button", textContent: text, onclick: () => this.seek(seconds), ...properties });
  }
  draw(report) {
    this.report = report;
    this.current = undefined; // nothing shown yet
    this.cards = report.utterances.map((utterance, index) => this.utterance(utterance, index));
    const summary = this.summary();
    this.root.replaceChildren(...(summary ? [summary] : []), ...this.cards);
  }
  summary() {
    const { summary, utterances } = this.report;
    const words = this.explanation(summary);
    if (utterances.length < 2 || !(words.length || summary.emotions || summary.expressions)) return null;
    return element("article", { className: "whole", style: { "--family": colourOf(leadingName(summary)) } }, element("h3", { textContent: "Whole clip" }), ...words, this.scores(summary));
  }
  utterance(utterance, index) {
    const face = utterance.track_id === null ? "no face" : `face ${utterance.track_id}`;
    const head = element("header", {},
      element("h3", {}, this.seekButton(utterance.start_seconds, span(utterance), { "aria-label": `Go to utterance ${index + 1}, ${span(utterance)}` })),
      utterance.speaker ? element("strong", { textContent: utterance.speaker }) : null,
      element("span", { className: "muted", textContent: face }));
    const words = utterance.text ? element("blockquote", { lang: utterance.language || "", dir: "auto", textContent: `“${utterance.text}”` }) : element("p", { className: "muted", textContent: "No words" });
    const english = utterance.english ? element("p", { className: "english", lang: "en", textContent: `English: “${utterance.english}”` }) : null;
    return element("article", { style: { "--family": colourOf(leadingName(utterance)) } }, head, words, english,
      ...this.explanation(utterance), this.scores(utterance), this.feeling(utterance), this.prosody(utterance.voice), ...(utterance.micro_expressions || []).map((event) => this.event(event)), this.evidence(utterance.evidence));
  }
  explanation(part) {
    const labels = part.open_emotions || [];
    const tags = labels.length ? element("ul", { className: "tags" }, ...labels.map((label) => element("li", { textContent: label, style: { "--family": colourOf(label) } }))) : null;
    const unsupported = part.unsupported_sentences ? element("p", { className: "muted", textContent: `${part.unsupported_sentences} sentence${part.unsupported_sentences === 1 ? "" : "s"} that nothing found backs left out` }) : null;
    return [tags, part.description ? element("p", { className: "description", textContent: part.description }) : null, unsupported].filter(Boolean);
  }
  feeling(part) {
    if (part.valence === null) return null;
    const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
    return element("p", { className: "feeling", textContent: `Valence ${signed(part.valence)} · arousal ${signed(part.arousal)}` });
  }
  prosody(voice) {
    if (!voice) return null;
    const number = (value, digits, unit, sign = "") => (value === null ? null : `${value < 0 ? "−" : sign}${Math.abs(value).toFixed(digits)} ${unit}`);
    const { pitch_hertz, pitch_semitones, pitch_range_semitones, loudness_decibels, syllables_per_second, pause_share } = voice.prosody;
    const parts = [number(pitch_hertz, 0, "Hz"), number(pitch_semitones, 1, "semitones", "+"), number(pitch_range_semitones, 1, "semitones range"), number(loudness_decibels, 1, "dB", "+"),
      number(syllables_per_second, 1, "syllables/s"), pause_share ? `pauses ${Math.round(100 * pause_share)} %` : null].filter(Boolean);
    return parts.length ? element("p", { className: "feeling", textContent: `${SIGNS.voice} ${parts.join(" · ")}` }) : null;
  }
  scores(part) {
    const voice = part.voice ? part.voice.emotions : null; // the summary has none
    const columns = [this.column("Emotions", part.emotions), this.column("Facial expression", part.expressions), this.column("Voice", voice)].filter(Boolean);
    return columns.length ? element("div", { className: "columns" }, ...columns) : null;
  }
  column(title, labels) {
    if (!labels) return null;
    const shown = labels.filter((label, index) => index === 0 || label.probability >= LEAST_SCORE).slice(0, SHOWN_SCORES);
    return element("div", { className: "scores" }, element("h4", { textContent: title }), ...shown.flatMap((label) => [
      element("span", { textContent: label.label }),
      element("div", { className: "track", "aria-hidden": "true" }, element("div", { style: { width: `${100 * label.probability}%`, "--family": colourOf(label.label) } })),
      element("span", { className: "number", textContent: label.probability.toFixed(2) }),
    ]));
  }
  event(event) {
    const picture = this.report.thumbnails.find((one) => one.track_id === event.track_id && Math.abs(one.seconds - event.apex_seconds) < 0.01);
    const units = event.action_units.map((unit) => unit.label).join(" + ");
    const milliseconds = Math.round(1000 * (event.offset_seconds - event.onset_seconds));
    const moments = ["onset", "apex", "offset"].map((name) => this.seekButton(event[`${name}_seconds`], `${name} ${event[`${name}_seconds`].toFixed(2)} s`, { className: "chip" }));
    const title = `${SIGNS.micro_expression} Micro-expression${event.expression ? ` of ${event.expression}` : ""}, ${milliseconds} ms, score ${event.score.toFixed(2)}${units ? `, ${units}` : ""}`;
    return element("div", { className: "found" },
      picture ? element("img", { src: `data:image/jpeg;base64,${picture.jpeg_base64}`, alt: `Face at the apex, ${event.apex_seconds.toFixed(2)} s` }) : null,
      element("div", {}, element("p", { textContent: title }), element("div", { className: "moments" }, ...moments)));
  }
  evidence(found) {
    if (!found.length) return null;
    return element("ul", { className: "evidence", "aria-label": "Evidence" }, ...found.map((one) => {
      const text = `${SIGNS[one.kind] || ""} ${one.text}`;
      const kind = one.kind.replace("_", "-");
      const seconds = one.apex_seconds ?? one.start_seconds;
      const chip = this.seekButton(seconds, text, { className: "chip", title: `${kind}: go to ${seconds.toFixed(2)} s` });
      chip.append(element("b", { textContent: `${seconds.toFixed(2)} s` }));
      return element("li", {}, chip);
    }));
  }
  show(moment) {
    const current = this.cards.find((card, index) => isNow(this.report.utterances[index], moment)) || null;
    if (current === this.current) return;
    const isFirst = this.current === undefined;
    this.current = current;
    this.cards.forEach((card) => card.classList.toggle("current", card === current));
    // Only the list itself may scroll, never the page under the reader.
    if (current && !isFirst && this.root.scrollHeight > this.root.clientHeight + 4) this.root.scrollTop = current.offsetTop - this.root.offsetTop - 8;
  }
}
