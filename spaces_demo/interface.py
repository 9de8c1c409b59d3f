"""The page: what stands on it and which event does what."""

from __future__ import annotations

from functools import partial
from importlib.resources import files
from typing import Any

import gradio as gr

from microemo.inference.report_view import NOTICE, element_script
from microemo.spaces_demo.examples import EXAMPLES
from microemo.spaces_demo.page_state import PageState
from microemo.spaces_demo.private_files import PrivateFiles
from microemo.spaces_demo.session import Session
from microemo.spaces_demo.settings import DemoSettings

KEPT_SECONDS = 1800  # an upload that nobody analyses
MODEL_QUEUE = "model"  # one queue for all events that need the model
CONSENT = (
    "I may use this recording and its people agreed. I will not use the result at work, in education or for diagnosis."
)
PROMISE = (
    "Your files serve this one answer and are then deleted from the server, also after an error. The video that plays "
    "below is your browser's own copy."
)
PEOPLE = [("Whoever speaks", "speaker"), ("The largest face", "largest")]
MODES = [("Scores and explanations", "explain"), ("Scores alone (faster)", "scores")]
TITLE = "MicroEmo"


def build(session: Session, *, settings: DemoSettings) -> gr.Blocks:
    """The page of `session`."""
    with gr.Blocks(title=f"{TITLE}: who felt what, when, and why", analytics_enabled=False, fill_width=True,
                   delete_cache=(KEPT_SECONDS // 3, KEPT_SECONDS)) as page:  # fmt: skip
        gr.HTML(_resource("intro.html"), elem_id="intro", padding=False)
        taken = gr.State(None, time_to_live=KEPT_SECONDS, delete_callback=_forget)
        media = gr.State(None)
        with gr.Row(elem_id="examples"):
            gr.HTML("<p>Try one:</p>", elem_id="try")
            tries = [gr.Button(one.title, icon=str(one.picture), size="sm") for one in EXAMPLES]
        with gr.Row(elem_id="inputs"):
            with gr.Column(scale=5, min_width=300):
                video = gr.Video(
                    label=f"Or your own clip: {settings.limits.in_words()}",
                    sources=["upload", "webcam"],
                    include_audio=True,
                    webcam_options=gr.WebcamOptions(mirror=False),
                    height=306,
                    elem_id="clip",
                )
            with gr.Column(scale=4, min_width=300):
                with gr.Row():
                    mode = gr.Dropdown(MODES, value="explain", label="What to show", elem_id="mode", min_width=180)
                    person = gr.Dropdown(PEOPLE, value="speaker", label="Whose face (or its number)", min_width=180,
                                         allow_custom_value=True, elem_id="person")  # fmt: skip
                with gr.Accordion("Add a transcript (else speech is recognised: English)", open=False):
                    transcript = gr.File(label="SRT, VTT, TSV, CSV, JSON", elem_id="transcript", height=110)
                consent = gr.Checkbox(label=CONSENT, elem_id="consent")
                button = gr.Button("Analyse", variant="primary", elem_id="analyse")
                gr.HTML(f"<p>{PROMISE}</p>", elem_id="promise")
        view = gr.HTML(
            PageState().as_value(),
            html_template="<div class='place'></div>",
            js_on_load=_resource("page.js"),
            apply_default_css=False,
            elem_id="result",
        )
        gr.HTML(f"<p>{NOTICE}</p>", elem_id="notice")
        _connect(session, settings, view=view, video=video, transcript=transcript, mode=mode, person=person,
                 consent=consent, button=button, tries=tries, taken=taken, media=media)  # fmt: skip
    return page.queue(max_size=settings.max_waiting, default_concurrency_limit=settings.concurrency)


def _connect(session: Session, settings: DemoSettings, *, view: gr.HTML, video: gr.Video, transcript: gr.File,
             mode: gr.Radio, person: gr.Dropdown, consent: gr.Checkbox, button: gr.Button, tries: list[gr.Button],
             taken: gr.State, media: gr.State) -> None:  # fmt: skip
    """Ties the events of the page to the session."""
    waiting: dict[str, Any] = {
        "concurrency_id": MODEL_QUEUE,
        "concurrency_limit": settings.concurrency,
        "show_progress": "minimal",
        "api_visibility": "private",
    }

    def receive(path: str | None, before: PrivateFiles | None) -> tuple[Any, ...]:
        _forget(before)
        files, problem = session.receive(path)
        state = PageState(problem=problem, media=path if files else None)
        return files, (path if files else None), (gr.skip() if files else None), state.as_value()

    gr.on([video.upload, video.stop_recording], receive, [video, taken], [taken, media, video, view], queue=False,
          show_progress="hidden", api_visibility="private")  # fmt: skip
    video.clear(lambda files: (_forget(files), None)[1:], [taken], [taken], queue=False, api_visibility="private")
    button.click(session.analyse, [taken, transcript, mode, person, consent, media], [view], **waiting).then(
        lambda: (None, None, None), None, [taken, video, transcript], queue=False, api_visibility="private"
    )
    for one, example in zip(tries, EXAMPLES, strict=True):
        one.click(partial(session.analyse_example, example.name), [mode], [view], **waiting)
    gr.on([], session.report_json, [video, transcript, mode, person, consent], [gr.Textbox(visible=False)],
          api_name="analyze", concurrency_id=MODEL_QUEUE, concurrency_limit=settings.concurrency)  # fmt: skip


def head() -> str:
    """What the page's head needs: the view's element."""
    return f"<script>{element_script()}</script>"


def style() -> str:
    """The page's style."""
    return _resource("page.css")


def theme() -> gr.themes.Base:
    """Colours of the view, and the fonts that the visitor's machine has: nothing is fetched from elsewhere."""
    fonts = ["system-ui", "sans-serif"]
    base = gr.themes.Base(primary_hue="blue", neutral_hue="slate", radius_size="lg", font=fonts,
                          font_mono=["ui-monospace", "monospace"])  # fmt: skip
    return base.set(
        body_background_fill="#f6f7f9",
        body_background_fill_dark="#14171a",
        background_fill_primary_dark="#1d2125",
        background_fill_secondary_dark="#1d2125",
        block_background_fill_dark="#1d2125",
        block_label_background_fill_dark="#1d2125",
        border_color_primary_dark="#373e46",
        checkbox_border_radius="4px",
        block_border_color_dark="#373e46",
        input_background_fill_dark="#14171a",
        body_text_color_subdued="#59636e",
        body_text_color_subdued_dark="#a3adb8",
        button_primary_background_fill="#0b5cad",
        button_primary_background_fill_hover="#094d92",
        button_primary_background_fill_dark="#1f6fc0",
        button_secondary_background_fill="white",
        button_secondary_background_fill_hover="#eef1f5",
        button_secondary_background_fill_dark="#1d2125",
        button_secondary_background_fill_hover_dark="#2a2f35",
        button_secondary_border_color="#d5dae0",
        button_secondary_border_color_dark="#373e46",
    )


def _forget(files: PrivateFiles | None) -> None:
    if files is not None:
        files.delete()


def _resource(name: str) -> str:
    return (files("microemo.spaces_demo") / name).read_text(encoding="utf-8")
