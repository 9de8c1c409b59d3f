"""Results of one job in a file that grows line by line, so that the job can be stopped and continued.

One JSON object a line, the job first. A line is written in one go and reaches the disk before the next step begins;
one that a kill cut short is dropped when the file is opened again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

DIGEST_DIGITS = 16
BEGINNING = b'{"job": '


class JobLog:
    """The file of one job. A context manager.

    Args:
        path: of the file; made where it is not there.
        job: what the results depend on, in terms of JSON.

    Raises:
        ValueError: the file belongs to another job, is damaged, no journal, or in use.
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
            self._open(job)
        except BaseException:
            self._unlock()
            raise

    def _open(self, job: Mapping[str, Any]) -> None:
        self._drop_cut_line()
        first = next(self._lines(), None)
        if first is not None:
            written = first.get("job") if isinstance(first, Mapping) else None
            if not isinstance(written, Mapping):
                raise ValueError(f"{self.path} is damaged: its job is {written!r}")
            if changed := job_difference(written, job):
                raise ValueError(f"{self.path} is the journal of another analysis, which differs in {changed}")
        self._file = self.path.open("a", encoding="utf-8")
        if first is None:
            self.append({"job": job})

    def append(self, line: Mapping[str, Any]) -> None:
        """Keeps a result."""
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def read(self) -> Iterator[dict[str, Any]]:
        """Yields the results so far, one at a time."""
        lines = self._lines()
        next(lines)
        yield from lines

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise ValueError(f"{self.path} is damaged: {error}") from error

    def _drop_cut_line(self) -> None:
        """Cuts off what follows the last line that was written to its end."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            if file.read(len(BEGINNING)) not in (BEGINNING, b""):
                raise ValueError(f"{self.path} is no journal of an analysis")
            file.seek(0)
            whole = sum(len(line) for line in file if line.endswith(b"\n"))
        if whole < self.path.stat().st_size:
            os.truncate(self.path, whole)

    def __enter__(self) -> JobLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets others write to the file."""
        try:
            self._file.close()
        finally:
            self._unlock()

    def _unlock(self) -> None:
        Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()


def job_difference(written: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """In what two jobs differ, such as "mode ('scores', now 'explain')"; empty where they are the same."""
    wanted = json.loads(json.dumps(wanted))
    changed = [name for name in sorted({*written, *wanted}) if written.get(name) != wanted.get(name)]
    return ", ".join(f"{name} ({written.get(name)!r}, now {wanted.get(name)!r})" for name in changed)


def job_digest(job: Any) -> str:
    """A hash of what is plain data, whatever the order of its keys."""
    text = json.dumps(job, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]
