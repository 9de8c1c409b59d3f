"""What an analysis has found so far, in a file that grows window by window, so that it can be stopped and continued.

One JSON object a line: the job, the utterances, then a window each. A line is written in one go and reaches the disk
before the next window begins; one that a kill cut short is dropped when the file is opened again.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from microemo.inference.array_json import from_plain, to_plain
from microemo.inference.chunk_analysis import WindowFindings
from microemo.processing.clip_reading import ReadingState

FORMAT = 1


class AnalysisJournal:
    """The journal of one job. A context manager; `findings` are those of the windows that are done.

    Args:
        path: of the file; made where it is not there.
        job: what the findings depend on, in terms of JSON.

    Raises:
        ValueError: the file belongs to another job, is no journal, is damaged, or another process writes to it.
    """

    def __init__(self, path: str | Path, *, job: Mapping[str, Any]) -> None:
        self.path = Path(path).expanduser()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise ValueError(f"{self.path} is in use by another analysis, which writes to it") from None
        try:
            self._open({"format": FORMAT, **job})
        except BaseException:
            self._lock.release()
            raise

    def _open(self, job: Mapping[str, Any]) -> None:
        lines = self._whole_lines()
        self._check(lines[:1], job=job)
        try:
            spoken = from_plain(lines[1]["spoken"]) if len(lines) > 1 else None
            self.findings: tuple[WindowFindings, ...] = tuple(from_plain(line["findings"]) for line in lines[2:])
            detections = tuple(from_plain(line["detections"]) for line in lines[2:])
        except (ValueError, KeyError, TypeError, AttributeError, zlib.error, EOFError) as error:
            raise ValueError(f"{self.path} is damaged: {type(error).__name__} {error}") from error
        self.state = ReadingState(spoken=spoken, windows_read=detections, when_heard=self._heard)
        self._file = self.path.open("a", encoding="utf-8")
        if not lines:
            self._write({"job": job})

    def append(self, findings: WindowFindings) -> None:
        """Keeps what the window that was read last shows."""
        self._write({"findings": to_plain(findings), "detections": to_plain(self.state.last_window)})

    def _heard(self) -> None:
        self._write({"spoken": to_plain(self.state.spoken)})

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _whole_lines(self) -> list[dict[str, Any]]:
        """The lines that were written to their end; what follows them is cut off."""
        if not self.path.exists():
            return []
        data = self.path.read_bytes()
        end = data.rfind(b"\n") + 1
        if data and not data.startswith(b'{"job": '):
            raise ValueError(f"{self.path} is no journal of an analysis")
        try:
            lines = [json.loads(line) for line in data[:end].splitlines()]
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.path} is damaged: {error}") from error
        if end < len(data):
            os.truncate(self.path, end)
        return lines

    def _check(self, first: list[dict[str, Any]], *, job: Mapping[str, Any]) -> None:
        if not first:
            return
        written = first[0]["job"]  # `_whole_lines` has looked at the beginning
        if not isinstance(written, Mapping):
            raise ValueError(f"{self.path} is damaged: its job is {written!r}")
        wanted = json.loads(json.dumps(job))
        changed = [name for name in sorted({*written, *wanted}) if written.get(name) != wanted.get(name)]
        if changed:
            details = ", ".join(f"{name} ({written.get(name)!r}, now {wanted.get(name)!r})" for name in changed)
            raise ValueError(f"{self.path} is the journal of another analysis, which differs in {details}")

    def __enter__(self) -> AnalysisJournal:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._file.close()
        finally:
            Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock.release()
