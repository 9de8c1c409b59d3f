"""What an analysis has found so far, in a file that grows chunk by chunk, so that it can be stopped and continued.

The lines after the job: the utterances, then a chunk each.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from microemo.inference.array_json import from_plain, to_plain
from microemo.inference.chunk_analysis import ChunkPerception
from microemo.inference.job_log import JobLog
from microemo.processing.clip_reading import ReadingState

FORMAT = 2  # raise when the findings of a chunk hold something new


class ResumeLog:
    """The journal of one job. A context manager; `findings` are those of the chunks that are done.

    Args:
        path: of the file; made where it is not there.
        job: what the findings depend on, in terms of JSON.

    Raises:
        ValueError: the file belongs to another job, is no journal, is damaged, or another process writes to it.
    """

    def __init__(self, path: str | Path, *, job: Mapping[str, Any]) -> None:
        self._log = JobLog(path, job={"format": FORMAT, **job})
        try:
            lines = list(self._log.read())
            spoken = from_plain(lines[0]["spoken"]) if lines else None
            self.findings: tuple[ChunkPerception, ...] = tuple(from_plain(line["findings"]) for line in lines[1:])
            detections = tuple(from_plain(line["detections"]) for line in lines[1:])
        except (ValueError, KeyError, TypeError, AttributeError, zlib.error, EOFError) as error:
            self._log.close()
            raise ValueError(f"{path} is damaged: {type(error).__name__} {error}") from error
        self.state = ReadingState(spoken=spoken, chunks_read=detections, on_transcribed=self._heard)

    def append(self, findings: ChunkPerception) -> None:
        """Keeps what the chunk that was read last shows."""
        self._log.append({"findings": to_plain(findings), "detections": to_plain(self.state.last_chunk)})

    def _heard(self) -> None:
        self._log.append({"spoken": to_plain(self.state.spoken)})

    def __enter__(self) -> ResumeLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self._log.close()
