"""What the page's events do: take a clip, analyse it, show news of it, delete it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from microemo.inference.analyzer import Mode
from microemo.spaces_demo.examples import EXAMPLES
from microemo.spaces_demo.jobs import Failed, Grown, Job, News
from microemo.spaces_demo.limits import Limits, check_person, check_transcript, check_video
from microemo.spaces_demo.page_state import PageState, page_states
from microemo.spaces_demo.private_files import PrivateFiles, take

logger = logging.getLogger(__name__)
NO_CLIP = "Please choose or record a clip first."
NO_CONSENT = "Please confirm the statement above the button first."
Runner = Callable[[Job], Iterator[News]]


class Session:
    """The demo's answers to its events; it keeps nothing of a visitor between them but the files they uploaded."""

    def __init__(self, run: Runner, *, limits: Limits) -> None:
        self.run = run
        self.limits = limits

    def receive(self, video: str | None) -> tuple[PrivateFiles | None, str | None]:
        """A fresh upload: the visitor's own copy of it, or None and what is wrong with it; then it is gone."""
        if video is None:
            return None, None
        try:
            taken = take([video])
        except ValueError as error:
            return None, str(error)
        problem = _problem(check_video, taken.files[0], limits=self.limits)
        if problem is not None:
            taken.delete()
            return None, problem
        return taken, None

    def analyse(
        self,
        taken: PrivateFiles | None,
        transcript: str | None,
        mode: Mode,
        person: str,
        consent: bool,
        media: str | None,
    ) -> Iterator[dict[str, Any]]:
        """Yields the page's values from the first step to the complete report; the visitor's files are gone then."""
        words: PrivateFiles | None = None
        try:
            if taken is None:
                raise ValueError(NO_CLIP)
            if not consent:
                raise ValueError(NO_CONSENT)
            words = None if transcript is None else take([transcript])
            job = self._job(taken.files[0], words, mode=mode, person=person)
            for state in page_states(self.run(job), job=job, media=media):
                yield state.as_value()
        except (ValueError, OSError) as error:
            yield PageState(problem=str(error)).as_value()
        finally:
            for files in (taken, words):
                if files is not None:
                    files.delete()

    def analyse_example(self, name: str, mode: Mode) -> Iterator[dict[str, Any]]:
        """As `analyse`, for an example; it needs no consent and stays."""
        example = next(example for example in EXAMPLES if example.name == name)
        job = Job(example.video, mode=mode)
        for state in page_states(self.run(job), job=job, media=str(example.video)):
            yield state.as_value()

    def report_json(self, video: str | None, transcript: str | None, mode: Mode, person: str, consent: bool) -> str:
        """The report of a clip as JSON text: the demo's API. Raises `ValueError` with what is wrong."""
        taken, problem = self.receive(video)
        if problem is not None:
            raise ValueError(problem)
        words: PrivateFiles | None = None
        try:
            if taken is None:
                raise ValueError(NO_CLIP)
            if not consent:
                raise ValueError("consent must be true: see the statement on the page")
            words = None if transcript is None else take([transcript])
            return _last_report(self.run(self._job(taken.files[0], words, mode=mode, person=person)))
        finally:
            for files in (taken, words):
                if files is not None:
                    files.delete()

    def _job(self, video: Path, words: PrivateFiles | None, *, mode: Mode, person: str) -> Job:
        transcript = None if words is None else words.files[0]
        if transcript is not None:
            check_transcript(transcript, limits=self.limits)
        check_person(person)
        return Job(video, transcript=transcript, mode=mode, person=person.strip())


def _problem(check: Callable[..., None], path: Path, *, limits: Limits) -> str | None:
    """What a check says of a file; None where it is content."""
    try:
        check(path, limits=limits)
    except ValueError as error:
        return str(error)
    except Exception:  # whatever a broken file does to its reader
        logger.exception("a file could not be checked")
        return f"{path.name} cannot be read."
    return None


def _last_report(told: Iterator[News]) -> str:
    report = None
    for news in told:
        if isinstance(news, Failed):
            raise ValueError(news.message)
        if isinstance(news, Grown):
            report = news.report
    if report is None:
        raise ValueError("the analysis gave no report")
    return report.to_json()
