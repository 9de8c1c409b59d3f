// Runs in Gradio's page: hands the values of the analysis to <microemo-report> and offers the finished report's files.
const LARGEST_EMBEDDED_BYTES = 24 * 1024 * 1024; // as in the package's own page
const TYPES = { ".json": "application/json", ".csv": "text/csv", ".faces.csv": "text/csv", ".srt": "application/x-subrip", ".vtt": "text/vtt", ".html": "text/html" };
const place = element.querySelector(".place");
const make = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const problem = make("div", { className: "problem", hidden: true, role: "alert" });
const steps = make("ol", { className: "steps", hidden: true, ariaLabel: "Progress", ariaLive: "polite" });
const downloads = make("div", { className: "downloads", hidden: true });
let view = null;
let video = { address: null, blob: null };

place.replaceChildren(problem, steps, downloads);

// The server deletes the video after the answer, so the browser keeps a copy of its own from the start.
async function keep(address) {
  if (!address || address === video.address) return;
  video = { address, blob: null };
  const mine = video;
  const root = (window.gradio_config && window.gradio_config.root) || "";
  const answer = await fetch(`${root}/gradio_api/file=${encodeURI(address)}`);
  if (!answer.ok) return; // the view then offers to choose the file by hand
  mine.blob = await answer.blob();
  if (mine === video && view) view.media = URL.createObjectURL(mine.blob);
}
function drawSteps(list) {
  if (steps.hidden && list.length) place.scrollIntoView({ behavior: "smooth", block: "start" });
  steps.hidden = !list.length;
  steps.replaceChildren(...list.map((step) => {
    const item = make("li", { className: step.state, textContent: `${step.state === "done" ? "✓ " : ""}${step.name}` });
    item.style.setProperty("--share", step.share);
    return item;
  }));
}
function drawReport(report) {
  if (!report) {
    if (view) view.remove();
    view = null;
    return;
  }
  if (!view) {
    view = document.createElement("microemo-report");
    follow();
    place.append(view);
    if (video.blob) view.media = URL.createObjectURL(video.blob);
  }
  view.report = report;
}
const asText = (blob) => new Promise((resolve) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.readAsDataURL(blob);
});
async function page(text) {
  if (!video.blob || video.blob.size > LARGEST_EMBEDDED_BYTES) return text;
  const address = await asText(video.blob);
  return text.replace('data-media=""', () => `data-media="${address}"`);
}
function drawDownloads(files, name) {
  downloads.querySelectorAll("a").forEach((link) => URL.revokeObjectURL(link.href));
  downloads.hidden = !files;
  downloads.replaceChildren();
  if (!files) return;
  downloads.append("Save this report:");
  const stem = name.replace(/\.[^.]*$/, "") || "report";
  for (const [ending, text] of Object.entries(files)) {
    const link = make("a", { textContent: ending.slice(1).toUpperCase(), download: `${stem}${ending}` });
    const offer = (whole) => { link.href = URL.createObjectURL(new Blob([whole], { type: TYPES[ending] })); };
    if (ending === ".html") page(text).then(offer);
    else offer(text);
    downloads.append(link);
  }
}
function draw() {
  const value = props.value || {};
  problem.hidden = !value.problem;
  problem.textContent = value.problem || "";
  drawSteps(value.steps || []);
  keep(value.media);
  drawReport(value.report);
  drawDownloads(value.files, value.report ? value.report.name : "");
}
// The view has the page's theme, whatever the system's is.
function follow() {
  if (view) view.setAttribute("theme", document.body.classList.contains("dark") ? "dark" : "light");
}
new MutationObserver(follow).observe(document.body, { attributes: true, attributeFilter: ["class"] });
watch("value", draw);
draw();
