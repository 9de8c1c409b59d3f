"""The review of labels on a web page: one clip at a time, every action on a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from microemo.data.readers.media_folders import AUDIO_SUFFIXES
from microemo.evaluation.labelling.review_queue import ReviewItem, ReviewQueue
from microemo.spaces_demo import appearance

KEYS = "**A** accept · **E** edit, then **Enter** accepts · **R** reject · **S** skip · **B** back · **Space** play"
FINISHED = "All clips have been looked at. **B** goes back."
# A key outside of the text field presses its button; Escape leaves the field.
KEYS_SCRIPT = """
<script>
const KEYS = {a: "review-accept", r: "review-reject", s: "review-skip", b: "review-back"};
document.addEventListener("keydown", (event) => {
  const field = document.querySelector("#review-labels input, #review-labels textarea");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^(INPUT|TEXTAREA)$/.test(event.target.tagName)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = event.key.toLowerCase();
  if (key === "e" && field) { event.preventDefault(); field.focus(); field.select(); return; }
  if (key === " ") {
    const media = document.querySelector("#review-video video, #review-sound audio");
    if (media) { event.preventDefault(); media.paused ? media.play() : media.pause(); }
    return;
  }
  const button = KEYS[key] && document.getElementById(KEYS[key]);
  if (button) { event.preventDefault(); button.click(); }
});
</script>
"""


def build_review(queue: ReviewQueue) -> gr.Blocks:
    """The page of a queue."""
    with gr.Blocks(title="MicroEmo: review of labels", analytics_enabled=False) as page:
        state = gr.Markdown()
        video = gr.Video(elem_id="review-video", autoplay=True, interactive=False, show_label=False)
        sound = gr.Audio(elem_id="review-sound", interactive=False, show_label=False)
        votes = gr.Markdown()
        labels = gr.Textbox(label="Labels, between commas", elem_id="review-labels", max_lines=1)
        with gr.Row():
            accept = gr.Button("Accept (A)", elem_id="review-accept", variant="primary")
            reject = gr.Button("Reject (R)", elem_id="review-reject")
            skip = gr.Button("Skip (S)", elem_id="review-skip")
            back = gr.Button("Back (B)", elem_id="review-back")
        gr.Markdown(KEYS)
        shown = [state, video, sound, votes, labels]
        page.load(lambda: _view(queue), outputs=shown)
        accepting: Callable[[str], list[Any]] = lambda text: _done(queue, lambda: queue.accept(text))  # noqa: E731
        accept.click(accepting, inputs=labels, outputs=shown)
        labels.submit(accepting, inputs=labels, outputs=shown)
        for button, action in ((reject, queue.reject), (skip, queue.skip), (back, queue.back)):
            button.click(lambda action=action: _done(queue, action), outputs=shown)
    return page


def launch_review(
    queue: ReviewQueue,
    *,
    host: str | None = None,
    port: int | None = None,
    open_browser: bool = False,
    wait: bool = True,
) -> tuple[gr.Blocks, str]:
    """Serves the page; returns it and its address, after the end where `wait`."""
    page = build_review(queue)
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        inbrowser=open_browser,
        prevent_thread_lock=not wait,
        allowed_paths=sorted({str(folder) for folder in _folders(queue)}),
        theme=appearance.theme(),
        head=KEYS_SCRIPT,
        show_error=True,
        ssr_mode=False,
        run_history=False,
    )
    return page, address


def _folders(queue: ReviewQueue) -> list[Any]:
    """Where the clips lie: what the page may show."""
    records = queue.files.review.values()
    return [(queue.root / (record.get("video") or record["audio"])).resolve().parent for record in records]


def _done(queue: ReviewQueue, action: Callable[[], None]) -> list[Any]:
    """The page after an action; what cannot be done is said, and the clip stays."""
    try:
        action()
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from error
    return _view(queue)


def _view(queue: ReviewQueue) -> list[Any]:
    """Values of state, video, sound, votes and labels."""
    item, count = queue.item, len(queue.names)
    if item is None:
        state = f"{queue.done} of {count} decided. {FINISHED}"
        return [state, gr.update(value=None, visible=False), gr.update(value=None, visible=False), "", ""]
    is_sound = item.media.suffix.lower() in AUDIO_SUFFIXES
    media = str(item.media.resolve())
    return [
        f"**{item.name}**, {queue.position + 1} of {count}; {queue.done} decided",
        gr.update(value=None if is_sound else media, visible=not is_sound),
        gr.update(value=media if is_sound else None, visible=is_sound),
        _votes(item),
        item.suggestion,
    ]


def _votes(item: ReviewItem) -> str:
    record = item.record
    lines = [f"Why it is here: {record.get('reason', '')}", "", "| judge | says |", "|---|---|"]
    for vote in record["votes"]:
        lines.append(f"| {vote['judge']} | {', '.join(vote['labels']) or vote.get('error') or 'nothing'} |")
    lines += ["", *(f"> {said['text']}" for said in record["utterances"] if said["text"])]
    return "\n".join(lines)
