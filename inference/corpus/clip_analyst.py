"""A loaded model in a process of its own that turns clips into rows: a codec that crashes or hangs costs one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microemo.inference.child_process import ChildProcess, ProcessDied, TimeLimit
from microemo.inference.corpus.manifest import ClipEntry
from microemo.inference.corpus.rows import error_row, report_row
from microemo.inference.corpus.settings import CorpusSettings, row_provenance
from microemo.inference.job_log import job_digest

if TYPE_CHECKING:
    from microemo.inference.analyzer import EmotionAnalyzer

LoadAnalyzer = Callable[[], "EmotionAnalyzer"]
BEGINNING = "opening"  # the stage before an analysis reports its first one
ATTEMPTS = 2  # a process may also be ended by somebody else, or for want of memory
LIMIT_SECONDS = 300.0  # for any clip, and
LIMIT_RATE = 20.0  # more for each second that it lasts
UNKNOWN_SECONDS = 180.0  # that a clip counts as lasting where its header tells nothing


@dataclass(frozen=True)
class Stage:
    """News: what is done now."""

    name: str


@dataclass(frozen=True)
class _Loaded:
    """What the process works with."""

    analyzer: EmotionAnalyzer
    settings: CorpusSettings
    provenance: dict[str, Any]
    fingerprint: str


class ClipAnalyst:
    """Analyses one clip after the other with one loading of the model.

    Args:
        load_analyzer: called in the process, so it must be importable there; see `ChildProcess`.
        time_limit: seconds for a clip; None takes `LIMIT_SECONDS` and `LIMIT_RATE` times its duration.
    """

    def __init__(
        self, load_analyzer: LoadAnalyzer, *, settings: CorpusSettings, time_limit: float | None = None
    ) -> None:
        if time_limit is not None and not time_limit > 0:
            raise ValueError(f"time_limit must be > 0 seconds, got {time_limit:g}")
        self._time_limit = time_limit
        self._child = ChildProcess(partial(_load, load_analyzer, settings), _work)
        self._provenance: dict[str, Any] | None = None

    @property
    def provenance(self) -> dict[str, Any]:
        """What the rows depend on, see `row_provenance`; raises `LoadingError` where there is no model."""
        if self._provenance is None:
            (self._provenance,) = self._child.run(None, max_seconds=LIMIT_SECONDS)
        return self._provenance

    @property
    def pid(self) -> int:
        """Of the process that is there now."""
        return self._child.pid

    def analyze(self, entry: ClipEntry) -> dict[str, Any]:
        """The clip's row, of a report or of an error; raises `LoadingError` where there is no model."""
        fingerprint = job_digest(self.provenance)
        limit = self._time_limit or LIMIT_SECONDS + LIMIT_RATE * (entry.duration_seconds or UNKNOWN_SECONDS)
        failed: Exception = ProcessDied()
        for _ in range(ATTEMPTS):
            stage: str = BEGINNING
            row: dict[str, Any] = {}
            try:
                for news in self._child.run(entry, max_seconds=limit):
                    if isinstance(news, Stage):
                        stage = news.name
                    else:
                        row = news
                return row
            except TimeLimit as error:
                failed = error
                break
            except ProcessDied as error:
                failed = error
        return _failed(entry, error=failed, stage=stage, fingerprint=fingerprint)

    def stop(self) -> None:
        """Ends the process."""
        self._child.stop()

    def __enter__(self) -> ClipAnalyst:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def _load(load_analyzer: LoadAnalyzer, settings: CorpusSettings) -> _Loaded:
    analyzer = load_analyzer()
    provenance = row_provenance(analyzer, settings=settings)
    return _Loaded(analyzer, settings, provenance, job_digest(provenance))


def _work(entry: ClipEntry | None, *, loaded: _Loaded, tell: Callable[[Any], None]) -> None:
    """Tells the stages and the row of a clip; None asks what rows depend on."""
    if entry is None:
        tell(loaded.provenance)
        return
    stage = BEGINNING

    def progress(name: str, done: int, total: int) -> None:
        nonlocal stage
        if name != stage:
            stage = name
            tell(Stage(name))

    try:
        _check_unchanged(entry)
        report = loaded.analyzer(
            entry.path, transcript=entry.transcript, progress=progress, **loaded.settings.call_arguments()
        )
        tell(report_row(report, clip_id=entry.id, path=entry.path, fingerprint=loaded.fingerprint))
    except Exception as error:
        tell(_failed(entry, error=error, stage=stage, fingerprint=loaded.fingerprint))


def _check_unchanged(entry: ClipEntry) -> None:
    size = Path(entry.path).stat().st_size
    if entry.bytes is not None and size != entry.bytes:
        raise ValueError(f"{entry.path} has {size} bytes, but had {entry.bytes} when the manifest was made")


def _failed(entry: ClipEntry, *, error: Exception, stage: str, fingerprint: str) -> dict[str, Any]:
    return error_row(
        clip_id=entry.id,
        path=entry.path,
        fingerprint=fingerprint,
        stage=stage,
        error_class=type(error).__name__,
        message=str(error),
    )
