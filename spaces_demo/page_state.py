"""What the page shows at a moment: named steps, the report so far, downloads, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from microemo.inference.report.export import WRITERS
from microemo.inference.report.html import to_html
from microemo.inference.report.report import EmotionReport
from microemo.inference.report.view import view_data
from microemo.spaces_demo.jobs import Failed, Finished, Grown, Job, News, Stage

StepState = Literal["todo", "now", "done"]
# The analyzer's stages by their names, in order.
STEPS = {
    "speech": "Listening to the words",
    "frames": "Reading frames",
    "faces": "Finding faces",
    "model": "Face, voice and words",
    "explanations": "Explaining",
}


@dataclass(frozen=True)
class Step:
    """A named step of the work and how far it is: 0 to 1."""

    name: str
    state: StepState = "todo"
    share: float = 0.0


@dataclass(frozen=True)
class PageState:
    """The value of the page's view. `files` are the finished report in every format, by ending."""

    steps: tuple[Step, ...] = ()
    report: dict[str, Any] | None = None
    files: dict[str, str] | None = None
    problem: str | None = None
    media: str | None = None

    def as_value(self) -> dict[str, Any]:
        """Plain dicts and lists, for the browser."""
        return asdict(self)


def page_states(told: Iterable[News], *, job: Job, media: str | None = None) -> Iterator[PageState]:
    """Yields the page for each piece of news.

    Args:
        media: where the browser finds the video.
    """
    names = _steps_of(job)
    state = PageState(steps=tuple(Step(label) for label in names.values()), media=media)
    yield state
    report: EmotionReport | None = None
    for news in told:
        if isinstance(news, Stage):
            if news.name not in names:
                continue
            state = replace(state, steps=_moved(state.steps, place=list(names).index(news.name), stage=news))
        elif isinstance(news, Grown):
            report = news.report
            state = replace(state, report=view_data(report))
        elif isinstance(news, Failed):
            state = PageState(problem=news.message)
        elif isinstance(news, Finished) and report is not None:
            state = replace(state, steps=(), files=report_files(report))
        yield state


def report_files(report: EmotionReport) -> dict[str, str]:
    """The report in every format, by ending. The page holds no video: the browser has it and puts it in."""
    texts = {ending: WRITERS[ending](report) for ending in (".json", ".csv", ".faces.csv", ".srt", ".vtt")}
    return {**texts, ".html": to_html(report, media="")}


def _steps_of(job: Job) -> dict[str, str]:
    left_out = {"speech" if job.transcript is not None else "", "explanations" if job.mode == "scores" else ""}
    return {name: label for name, label in STEPS.items() if name not in left_out}


def _moved(steps: tuple[Step, ...], *, place: int, stage: Stage) -> tuple[Step, ...]:
    """`stage` is at `place`: what stands before it is done, what comes after is still to do."""
    share = min(stage.done / stage.total, 1.0) if stage.total else 0.0
    now = Step(steps[place].name, "done" if share == 1 else "now", round(share, 2))
    before = tuple(replace(step, state="done", share=1.0) for step in steps[:place])
    after = tuple(Step(step.name) for step in steps[place + 1 :])
    return (*before, now, *after)
