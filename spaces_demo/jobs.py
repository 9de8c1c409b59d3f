"""One analysis: what is asked for, and the news of it that go to the visitor."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from microemo.inference.analyzer import EmotionAnalyzer, Mode
from microemo.inference.report.report import EmotionReport
from microemo.inference.request import AnalysisRequest

logger = logging.getLogger(__name__)
FAULT = "The analysis failed inside; that is a fault of this program, not of your file."


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


def work(job: Job, *, loaded: EmotionAnalyzer, tell: Callable[[News], None]) -> None:
    """Analyses `job` with `loaded` and tells all news of it, `Finished` or `Failed` last; raises nothing."""
    try:
        request = AnalysisRequest(transcript=job.transcript, mode=job.mode, person=job.person)
        news = loaded.iter_reports(
            job.video, request, progress=lambda name, done, total: tell(Stage(name, done, total))
        )
        for report in news:
            tell(Grown(without_folder(report, folder=job.video.parent)))
    except (ValueError, FileNotFoundError) as error:  # what the package says of input that cannot be used
        tell(Failed(str(error).replace(f"{job.video.parent}/", "")))
    except Exception:
        logger.exception("analysis failed")
        tell(Failed(FAULT))
    else:
        tell(Finished())


def without_folder(report: EmotionReport, *, folder: Path) -> EmotionReport:
    """The report with names in place of the server's paths, wherever they stand."""
    return EmotionReport.from_json(report.to_json().replace(json.dumps(f"{folder}/", ensure_ascii=False)[1:-1], ""))
