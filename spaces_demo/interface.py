"""The page: what stands on it and which event does what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from microemo.inference.report.view import NOTICE
from microemo.spaces_demo.appearance import resource
from microemo.spaces_demo.examples import EXAMPLES
from microemo.spaces_demo.page_state import PageState
from microemo.spaces_demo.private_files import PrivateFiles
from microemo.spaces_demo.session import Session
from microemo.spaces_demo.settings import DemoSettings
from microemo.spaces_demo.uploads_only import uploads_only

KEPT_SECONDS = 1800  # an upload that nobody analyses
MODEL_QUEUE = "model"  # one queue for all events that need the model
CONSENT = (
    "I may use this recording and its people agreed. I will not use the result at work, in education or for diagnosis."
)
CONSENT_MISSING = "Nothing was started: this box has to be ticked first."
PROMISE = (
    "Your files serve this one answer and are then deleted from the server, also after an error. The video that plays "
    "below is your browser's own copy."
)
STILL_CHECKED = (
    "The clip is still being checked. Please click again in a moment; if that does not help, choose the clip again."
)
PEOPLE = [("Whoever speaks", "speaker"), ("The largest face", "largest")]
MODES = [("Scores and explanations", "explain"), ("Scores alone (faster)", "scores")]


@dataclass(frozen=True)
class Inputs:
    """What a visitor fills in."""

    video: gr.Video
    transcript: gr.File
    mode: gr.Dropdown
    person: gr.Dropdown
    consent: gr.Checkbox
    consent_missing: gr.HTML
    button: gr.Button


def build(session: Session, *, settings: DemoSettings) -> gr.Blocks:
    """The page of `session`."""
    cleaning = (KEPT_SECONDS // 3, KEPT_SECONDS)  # how often, and from which age on
    with gr.Blocks(
        title="MicroEmo: what face, voice and words show, and when",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=cleaning,
    ) as page:
        gr.HTML(resource("intro.html"), elem_id="intro")
        with gr.Row(elem_id="examples"):
            gr.HTML("<p>Try one:</p>", elem_id="try")
            tries = [gr.Button(one.title, icon=str(one.picture), size="sm") for one in EXAMPLES]
        inputs = _inputs(settings)
        view = gr.HTML(
            PageState().as_value(),
            html_template="<div class='place'></div>",
            js_on_load=resource("page.js"),
            apply_default_css=False,
            elem_id="result",
        )
        gr.HTML(f"<p>{NOTICE}</p>", elem_id="notice")
        _connect(session, settings, inputs=inputs, tries=tries, view=view)
    return page.queue(max_size=settings.max_waiting, default_concurrency_limit=settings.concurrency)


def _inputs(settings: DemoSettings) -> Inputs:
    with gr.Row(elem_id="inputs"):
        with gr.Column(scale=5, min_width=300):
            video = uploads_only(
                gr.Video(
                    label=f"Or your own clip: {settings.limits.in_words()}",
                    sources=["upload", "webcam"],
                    include_audio=True,
                    webcam_options=gr.WebcamOptions(mirror=False),
                    height=306,
                    elem_id="clip",
                )
            )
        with gr.Column(scale=4, min_width=300):
            with gr.Row():
                mode = gr.Dropdown(MODES, value="explain", label="What to show", elem_id="mode", min_width=180)
                person = gr.Dropdown(
                    PEOPLE,
                    value="speaker",
                    label="Whose face (or its number)",
                    allow_custom_value=True,
                    elem_id="person",
                    min_width=180,
                )
            with gr.Accordion("Add a transcript (else speech is recognised: English)", open=False):
                transcript = uploads_only(gr.File(label="SRT, VTT, TSV, CSV, JSON", elem_id="transcript", height=110))
            consent = gr.Checkbox(label=CONSENT, elem_id="consent")
            missing = gr.HTML(
                f"<p role='alert'>{CONSENT_MISSING}</p>", elem_id="consent-missing", visible=False, padding=False
            )
            button = gr.Button("Analyse", variant="primary", elem_id="analyse")
            gr.HTML(f"<p>{PROMISE}</p>", elem_id="promise")
    return Inputs(video, transcript, mode, person, consent, missing, button)


def _connect(
    session: Session, settings: DemoSettings, *, inputs: Inputs, tries: list[gr.Button], view: gr.HTML
) -> None:
    """Ties the events of the page to the session."""
    taken = gr.State(None, time_to_live=KEPT_SECONDS, delete_callback=_forget)
    media = gr.State(None)
    queued: dict[str, Any] = {"concurrency_id": MODEL_QUEUE, "concurrency_limit": settings.concurrency}
    shown: dict[str, Any] = {**queued, "show_progress": "minimal", "api_visibility": "private"}
    aside: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    # Queued, though it takes no time: of events without a queue, Gradio 6.31 shows no error.
    asked: dict[str, Any] = {**aside, "queue": True, "concurrency_limit": None}
    words, person, consent = inputs.transcript, inputs.person, inputs.consent

    gr.on(
        [inputs.video.upload, inputs.video.stop_recording],
        partial(_receive, session),
        [inputs.video, taken],
        [taken, media, inputs.video, view],
        **aside,
    )
    inputs.video.clear(_forget, [taken], [taken], **aside)
    words.upload(partial(_receive_words, session), [words], [words, view], **aside)
    # Beside the box, and for as long as it is missing: the message of `_check` goes away by itself.
    inputs.button.click(_consent_missing, [consent], [inputs.consent_missing], **aside)
    consent.change(_consent_given, [consent], [inputs.consent_missing], **aside)
    inputs.button.click(partial(_check, session), [taken, inputs.video, consent, person], None, **asked).success(
        session.analyse, [taken, words, inputs.mode, person, consent, media], [view], **shown
    ).success(lambda: (None, None, None), None, [taken, inputs.video, words], **aside)
    for one, example in zip(tries, EXAMPLES, strict=True):
        one.click(partial(session.analyse_example, example.name), [inputs.mode], [view], **shown)
    # A text for the mode: a wrong choice reaches the session, which then deletes the files, instead of failing before.
    mode = gr.Textbox("scores", visible=False)
    told = gr.Textbox(visible=False)
    gr.on([], session.report_json, [inputs.video, words, mode, person, consent], [told], api_name="analyze", **queued)


def _receive(session: Session, path: str, before: PrivateFiles | None) -> tuple[Any, ...]:
    """A fresh clip: the new values of taken, media, video and view."""
    _forget(before)
    try:
        taken = session.receive(path)
    except ValueError as error:
        return None, None, None, PageState(problem=str(error)).as_value()
    return taken, path, gr.skip(), PageState(media=path).as_value()


def _receive_words(session: Session, path: str) -> tuple[Any, ...]:
    """A fresh transcript: the new values of transcript and view."""
    try:
        session.receive_words(path)
    except ValueError as error:
        return None, PageState(problem=str(error)).as_value()
    return gr.skip(), gr.skip()


def _check(session: Session, taken: PrivateFiles | None, video: str | None, consent: bool, person: str) -> None:
    """Raises what the page shows as a message when something is missing; the visitor's files stay.

    Args:
        video: what the player shows; it is there before the clip has been checked and taken.
    """
    if taken is None and video is not None:
        raise gr.Error(STILL_CHECKED, print_exception=False)
    try:
        session.check(taken, consent=consent, person=person)
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _consent_missing(consent: bool) -> dict[str, Any]:
    return gr.update(visible=not consent)


def _consent_given(consent: bool) -> dict[str, Any]:
    return gr.update(visible=False) if consent else gr.skip()


def _forget(files: PrivateFiles | None) -> None:
    if files is not None:
        files.delete()
