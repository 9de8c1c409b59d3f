"""One analysis: what is asked for, and the news of it that go to the visitor."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from microemo.inference.analyzer import EmotionAnalyzer, Mode
from microemo.inference.report import EmotionReport

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A clip to analyse; person is "speaker", "largest" or the number of a face."""

    video: Path
    transcript: Path | None = None
    mode: Mode = "explain"
    person: str = "speaker"


@dataclass(frozen=True)
class Stage:
    """A step of the work: `done` of `total`."""

    name: str
    done: int
    total: int


@dataclass(frozen=True)
class Grown:
    """The report so far; the last one is complete."""

    report: EmotionReport


@dataclass(frozen=True)
class Failed:
    """The analysis ended without a report; `message` is for the visitor."""

    message: str


@dataclass(frozen=True)
class Finished:
    """The last report was the complete one."""


News = Stage | Grown | Failed | Finished


def work(job: Job, *, analyzer: EmotionAnalyzer, tell: Callable[[News], None]) -> None:
    """Analyses `job` and tells all news of it, `Finished` or `Failed` last; raises nothing."""
    try:
        for report in analyzer.growing_reports(
            job.video,
            transcript=job.transcript,
            mode=job.mode,
            person=job.person,
            progress=lambda name, done, total: tell(Stage(name, done, total)),
        ):
            tell(Grown(with_file_names(report)))
    except (ValueError, FileNotFoundError) as error:  # what the package says of input that cannot be used
        tell(Failed(str(error).replace(f"{job.video.parent}/", "")))
    except Exception:
        logger.exception("analysis failed")
        tell(Failed("The analysis failed inside; that is a fault of this program, not of your file."))
    else:
        tell(Finished())


def with_file_names(report: EmotionReport) -> EmotionReport:
    """The report with names in place of the server's paths."""
    transcript = report.settings.transcript
    settings = replace(report.settings, transcript=None if transcript is None else Path(transcript).name)
    return replace(report, source=Path(report.source).name, settings=settings)
