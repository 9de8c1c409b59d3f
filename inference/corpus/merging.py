"""The tables of all shards as one, in which each clip of the manifest stands once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from microemo.inference.corpus.manifest import NAMED, Manifest
from microemo.inference.corpus.shards import Outcome, count_outcome
from microemo.inference.corpus.tables import clips_file, read_clips, read_job, write_flat_tables
from microemo.inference.job_log import job_difference


def merge_parts(manifest: Manifest, parts: Sequence[str | Path], *, out: str | Path) -> Outcome:
    """Writes the table `out`, its rows in the order of the ids, and the flat tables beside it.

    A few hundred clips are in memory at a time. `out` appears when all is checked, or not at all.

    Args:
        parts: tables of shards, in any order.

    Raises:
        ValueError: parts of different analyses or of another manifest, a clip that is missing, twice or foreign.
    """
    if not parts:
        raise ValueError("parts must be tables of clips, got none")
    paths = [Path(part) for part in parts]
    job = _shared_job(paths, manifest=manifest)
    ids = {path: _ids(path) for path in paths}
    _check_ids(manifest, ids)
    # A shard is a run of rows in the order of ids, so whole tables follow each other.
    paths.sort(key=lambda path: tuple(ids[path][:1]))
    if np.any(np.diff(np.concatenate([ids[path] for path in paths])) <= 0):
        raise ValueError("parts must be runs of the manifest's rows; these overlap, as tables of different cuts do")
    with clips_file(Path(out), job=job) as append:
        for path in paths:
            for clips in read_clips(path):
                append(clips)
    write_flat_tables(Path(out))
    return count_outcome(Path(out))


def _shared_job(paths: Sequence[Path], *, manifest: Manifest) -> dict[str, Any]:
    """What all parts were made from, without the shard."""
    jobs = [{**read_job(path), "shard": "1/1"} for path in paths]
    for path, job in zip(paths, jobs, strict=True):
        if changed := job_difference(jobs[0], job):
            raise ValueError(f"{paths[0]} and {path} are tables of different analyses: {changed}")
    if jobs[0].get("manifest") != manifest.digest():
        raise ValueError(f"{paths[0]} is a table of another manifest")
    return jobs[0]


def _ids(path: Path) -> np.ndarray:
    """(N,) int64."""
    pieces = [clips["id"].to_numpy() for clips in read_clips(path, columns=["id"])]
    return np.concatenate([np.zeros(0, np.int64), *pieces])


def _check_ids(manifest: Manifest, ids: Mapping[Path, np.ndarray]) -> None:
    """Raises `ValueError` where a clip of the manifest is not in exactly one part."""
    wanted = manifest.table["id"].to_numpy()
    found, counts = np.unique(np.concatenate(list(ids.values())), return_counts=True)
    problems = {
        "missing": np.setdiff1d(wanted, found),
        "there more than once": found[counts > 1],
        "not in the manifest": np.setdiff1d(found, wanted),
    }
    for problem, wrong in problems.items():
        if len(wrong):
            named = ", ".join(map(str, wrong[:NAMED].tolist()))
            raise ValueError(
                f"{len(wrong)} of {len(wanted)} clips are {problem}: {named}{' ...' if len(wrong) > NAMED else ''}"
            )
