// The video with the report's captions and the box of the attended face.
const UNSEEN_SECONDS = 0.25; // a face last seen longer ago than this has no box

class Player {
  // `follow` is called with the time in seconds whenever the video stands at another one.
  constructor(follow) {
    this.follow = follow;
    this.report = null;
    this.wanted = 0; // where to stand once the video is there
    this.video = element("video", { controls: true, playsInline: true, preload: "auto", id: "media" });
    this.box = drawing("svg", { class: "box", "aria-hidden": "true" });
    this.unseen = element("p", { className: "note", hidden: true, textContent: "This browser plays the sound of the file, but not its pictures: they are in a format that it does not know." });
    this.file = element("input", { type: "file", accept: "video/*,audio/*" });
    this.pick = element("label", { className: "pick", hidden: true }, "The video is not where it was. Choose the file: ", this.file);
    this.root = element("div", { className: "player" }, element("div", { className: "screen" }, this.video, this.box), this.unseen, this.pick);
    this.connect();
  }
  connect() {
    const { video } = this;
    const every = () => {
      this.follow(video.currentTime);
      if (!video.paused) requestAnimationFrame(every);
    };
    video.addEventListener("play", every);
    video.addEventListener("seeked", () => this.follow(video.currentTime));
    video.addEventListener("error", () => this.lost(true));
    video.addEventListener("loadedmetadata", () => {
      this.lost(false);
      this.root.classList.toggle("sound", video.videoWidth === 0);
      this.box.setAttribute("viewBox", `0 0 ${video.videoWidth} ${video.videoHeight}`);
      this.lookForPictures();
      video.currentTime = this.wanted;
    });
    this.file.addEventListener("change", () => { this.media = URL.createObjectURL(this.file.files[0]); });
  }
  set media(address) {
    if (address) this.video.src = address;
    else this.lost(true);
  }
  lost(isLost) {
    this.pick.hidden = !isLost;
    this.video.parentElement.hidden = isLost;
  }
  lookForPictures() {
    const expected = this.report && this.report.modalities.some((one) => one.name === "frames" && one.used);
    this.unseen.hidden = this.video.videoWidth > 0 || !expected || this.video.readyState === 0;
  }
  draw(report) {
    this.report = report;
    this.lookForPictures();
    this.caption(report.captions || "");
  }
  caption(webVtt) {
    const before = this.video.querySelector("track");
    if (before && before.dataset.text === webVtt) return;
    const isShown = !before || before.track.mode === "showing";
    if (before) {
      URL.revokeObjectURL(before.src);
      before.remove();
    }
    if (!webVtt) return;
    const track = element("track", { kind: "captions", label: "What was found", srclang: "en", src: URL.createObjectURL(new Blob([webVtt], { type: "text/vtt" })) });
    track.dataset.text = webVtt;
    this.video.append(track);
    track.track.mode = isShown ? "showing" : "disabled";
  }
  get isCaptioned() {
    const track = this.video.textTracks[0];
    return Boolean(track && track.mode === "showing");
  }
  toggleCaptions() {
    const track = this.video.textTracks[0];
    if (track) track.mode = this.isCaptioned ? "disabled" : "showing";
  }
  toggle() {
    if (this.video.paused) this.video.play().catch(() => {});
    else this.video.pause();
  }
  seek(seconds) {
    this.wanted = seconds;
    if (this.video.readyState > 0) this.video.currentTime = seconds;
  }
  showBox(moment) {
    this.box.replaceChildren();
    if (!this.report || !this.video.videoWidth) return;
    const speaking = this.report.utterances.find((one) => isNow(one, moment));
    for (const face of this.report.face_curves) {
      const index = nearest(face.times, moment);
      const isSeen = face.boxes && index >= 0 && Math.abs(face.times[index] - moment) <= UNSEEN_SECONDS;
      if (isSeen && (!speaking || speaking.track_id === face.track_id)) this.box.append(...this.outline(face, index));
    }
  }
  outline(face, index) {
    const [left, top, right, bottom] = face.boxes[index];
    const at = (curve) => curve.probabilities[index];
    const strongest = (face.expressions || []).reduce((best, curve) => (best && at(best) >= at(curve) ? best : curve), null);
    const letter = Math.max(this.video.videoHeight, this.video.videoWidth / 2) / 22;
    const style = `--family: ${colourOf(strongest && strongest.label)}`;
    const frame = { x: left, y: top, width: right - left, height: bottom - top, rx: letter / 3 };
    const text = drawing("text", { x: left + letter / 3, y: Math.max(top - letter * 0.4, letter), "font-size": letter });
    text.textContent = strongest ? `${strongest.label} ${at(strongest).toFixed(2)}` : `face ${face.track_id}`;
    return [drawing("rect", { ...frame, class: "under" }), drawing("rect", { ...frame, style }), text];
  }
}
