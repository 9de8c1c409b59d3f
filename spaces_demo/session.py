"""What the page's events do: take a clip, analyse it, show news of it, delete it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from microemo.data.package_weights import WeightDownloadError
from microemo.inference.analyzer import Mode
from microemo.spaces_demo.examples import EXAMPLES
from microemo.spaces_demo.jobs import FAULT, Failed, Grown, Job, News
from microemo.spaces_demo.limits import Limits, check_person, check_transcript, check_video
from microemo.spaces_demo.page_state import PageState, page_states
from microemo.spaces_demo.private_files import PrivateFiles, add, new_folder
from microemo.spaces_demo.server_files import ServerFiles

logger = logging.getLogger(__name__)
NO_CLIP = "Please choose or record a clip first."
NO_EXAMPLE = "This example cannot be downloaded now. The others need no download."
NO_CONSENT = "Please confirm the statement above the button first."
Runner = Callable[[Job], Iterator[News]]


class Session:
    """The demo's answers to its events. It keeps nothing of a visitor: their files pass through its arguments.

    Args:
        run: analyses a job.
        files: where the web server stores uploads, and where requests keep their copies.
    """

    def __init__(self, run: Runner, *, limits: Limits, files: ServerFiles) -> None:
        self.run = run
        self.limits = limits
        self.files = files

    def receive(self, video: str) -> PrivateFiles:
        """The visitor's own copy of a fresh upload.

        Raises `ValueError`, in words for the visitor, for a file that the demo does not take; it is deleted then.
        """
        return self._looked_at(video, check=check_video)

    def receive_words(self, transcript: str) -> None:
        """Looks at a fresh transcript. Raises `ValueError` for one that cannot be used; it is deleted then."""
        replace(self._looked_at(transcript, check=check_transcript), stored=()).delete()

    def _looked_at(self, path: str, *, check: Callable[..., None]) -> PrivateFiles:
        taken = new_folder(self.files.requests)
        try:
            taken = add(taken, path, uploads=self.files.uploads)
            check(taken.files[0], limits=self.limits)
        except ValueError:
            taken.delete()
            raise
        except Exception as error:  # whatever a broken file does to its reader
            taken.delete()
            logger.exception("a file could not be checked")
            raise ValueError(f"{Path(path).name} cannot be read.") from error
        return taken

    def check(self, taken: PrivateFiles | None, *, consent: bool, person: str) -> None:
        """Raises `ValueError`, in words for the visitor, while something is missing."""
        if taken is None:
            raise ValueError(NO_CLIP)
        if not consent:
            raise ValueError(NO_CONSENT)
        check_person(person)

    def analyse(
        self,
        taken: PrivateFiles | None,
        transcript: str | None,
        mode: Mode,
        person: str,
        consent: bool,
        media: str | None,
    ) -> Iterator[dict[str, Any]]:
        """Yields the page's values from the first step to the complete report; the visitor's files are gone then.

        Args:
            taken: as `receive` gave it; None before any upload.
            media: where the browser finds the video.
        """
        try:
            for state in self._states(taken, transcript, mode=mode, person=person, consent=consent, media=media):
                yield state.as_value()
        except ValueError as error:
            yield PageState(problem=str(error)).as_value()
        except Exception:
            logger.exception("a request failed")
            yield PageState(problem=FAULT).as_value()

    def analyse_example(self, name: str, mode: Mode) -> Iterator[dict[str, Any]]:
        """As `analyse`, for an example; it needs no consent and stays."""
        example = next(example for example in EXAMPLES if example.name == name)
        try:
            video = example.fetch()
        except WeightDownloadError:
            logger.exception("an example could not be fetched")
            yield PageState(problem=NO_EXAMPLE).as_value()
            return
        job = Job(video, mode=mode)
        for state in page_states(self.run(job), job=job, media=str(video)):
            yield state.as_value()

    def report_json(self, video: str | None, transcript: str | None, mode: Mode, person: str, consent: bool) -> str:
        """The report of a clip as JSON text: the demo for programs. Raises `ValueError` with what is wrong."""
        if video is None:
            raise ValueError(NO_CLIP)
        taken = self.receive(video)
        try:
            job, taken = self._job(taken, transcript, mode=mode, person=person, consent=consent)
            return _last_report(self.run(job))
        finally:
            taken.delete()

    def _states(
        self,
        taken: PrivateFiles | None,
        transcript: str | None,
        *,
        mode: Mode,
        person: str,
        consent: bool,
        media: str | None,
    ) -> Iterator[PageState]:
        if taken is None:
            raise ValueError(NO_CLIP)
        try:
            job, taken = self._job(taken, transcript, mode=mode, person=person, consent=consent)
            yield from page_states(self.run(job), job=job, media=media)
        finally:
            taken.delete()

    def _job(
        self, taken: PrivateFiles, transcript: str | None, *, mode: Mode, person: str, consent: bool
    ) -> tuple[Job, PrivateFiles]:
        """The job that is asked for, and the files that it needs."""
        if transcript is not None:
            taken = add(taken, transcript, uploads=self.files.uploads)
        try:
            self.check(taken, consent=consent, person=person)
            if mode not in get_args(Mode):
                raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, got {mode!r}")
            video, *words = taken.files
            for path in words:
                check_transcript(path, limits=self.limits)
        except BaseException:
            taken.delete()
            raise
        return Job(video, transcript=words[0] if words else None, mode=mode, person=person.strip()), taken


def _last_report(told: Iterator[News]) -> str:
    report = None
    for news in told:
        if isinstance(news, Failed):
            raise ValueError(news.message)
        if isinstance(news, Grown):
            report = news.report
    if report is None:
        raise ValueError(FAULT)
    return report.to_json()
