"""A corpus on a Ray cluster: parts of the manifest go to actors that hold a model, each writes the part's table.

What travels through Ray are paths and counts. A part is a shard (`shards.py`) on a file system that all nodes see, so
that a worker, a node or the driver may be killed at any moment: what was analysed stands in a journal, and whoever
gets the part next goes on from there. Ray retries parts whose actor died; a second call of `run_on_ray` does the rest.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from microemo.inference.corpus.clip_analyst import ClipAnalyst, LoadAnalyzer
from microemo.inference.corpus.manifest import Manifest
from microemo.inference.corpus.merging import merge_parts
from microemo.inference.corpus.settings import CorpusSettings
from microemo.inference.corpus.shards import CLIPS_STAGE, Outcome, Shard, run_shard, shard_job
from microemo.inference.job_log import job_difference
from microemo.inference.report.export import write_atomically
from microemo.inference.stage_timer import Progress

try:
    import ray
    import ray.data
except ImportError as error:
    raise ImportError('a cluster needs Ray: pip install "microemo[ray]"') from error

JOB_FILE = "job.json"
PARTS_FOLDER = "parts"
TABLE_FILE = "corpus.parquet"
PART_COLUMNS = ("part_index", "part_count")  # which shard a row belongs to


@dataclass(frozen=True)
class RayPlan:
    """What of the cluster is used.

    address: as `ray.init` takes it; "auto" is the cluster that this machine belongs to, "local" starts one here.
    workers: actors, each with a model; None takes as many as the cluster has room for. cpus, gpus: for each; a part
    of a GPU is allowed. part_clips: clips of a part.
    """

    address: str = "auto"
    workers: int | None = None
    cpus: int = 1
    gpus: float = 0
    part_clips: int = 64

    def __post_init__(self) -> None:
        for name, least in {"workers": 1, "cpus": 1, "part_clips": 1, "gpus": 0}.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be >= {least}, got {value}")

    def resources(self) -> dict[str, Any]:
        """Of an actor, as Ray names them."""
        return {"num_cpus": self.cpus, **({"num_gpus": self.gpus} if self.gpus else {})}


def run_on_ray(
    manifest: Manifest,
    *,
    out: str | Path,
    load_analyzer: LoadAnalyzer,
    settings: CorpusSettings,
    plan: RayPlan | None = None,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Analyses all clips and writes `corpus.parquet` and its flat tables into the folder `out`.

    Args:
        out: a folder that all nodes see under this name; what a call before left there is gone on with.
        load_analyzer: importable on all nodes; see `ChildProcess`.
        time_limit: see `ClipAnalyst`.
        progress: called with (stage, done, total).

    Raises:
        ValueError: `out` belongs to another manifest, model, library or setting.
    """
    plan = plan or RayPlan()
    out = Path(out).absolute()
    if not ray.is_initialized():
        ray.init(address=plan.address, log_to_driver=False, logging_level=logging.WARNING)
    ray.data.DataContext.get_current().enable_progress_bars = False  # `progress` counts clips, not blocks
    describe = ray.remote(**plan.resources())(_describe)
    provenance = ray.get(describe.remote(load_analyzer, settings, plan.cpus))
    _claim(out, job={**provenance, "manifest": manifest.digest(), "part_clips": plan.part_clips})
    count = -(-len(manifest) // plan.part_clips)
    parts = {Shard(number, count): manifest.shard(number, count=count) for number in range(1, count + 1)}
    waiting = {shard: clips for shard, clips in parts.items() if not _part_path(out, shard).exists()}
    done = len(manifest) - sum(map(len, waiting.values()))
    if waiting:
        work = _Work(load_analyzer, settings, time_limit, plan.cpus, out, manifest.digest(), provenance)
        results = _dataset(waiting).map_batches(
            _PartAnalyst,
            batch_size=None,  # a block is a part
            batch_format="pyarrow",
            compute=_pool(plan, parts=len(waiting)),
            fn_constructor_args=(work,),
            **plan.resources(),
        )
        for batch in results.iter_batches(batch_size=None, batch_format="pyarrow"):
            done += int(np.asarray(batch["clips"]).sum())
            if progress is not None:
                progress(CLIPS_STAGE, done, len(manifest))
    return merge_parts(manifest, [_part_path(out, shard) for shard in parts], out=out / TABLE_FILE)


@dataclass(frozen=True)
class _Work:
    """What an actor is made of."""

    load_analyzer: LoadAnalyzer
    settings: CorpusSettings
    time_limit: float | None
    cpus: int
    out: Path
    manifest_digest: str
    provenance: dict[str, Any]


class _PartAnalyst:
    """An actor: analyses one part after the other with one model."""

    def __init__(self, work: _Work) -> None:
        _pin_threads(work.cpus)
        self._work = work
        self._analyst = ClipAnalyst(work.load_analyzer, settings=work.settings, time_limit=work.time_limit)

    def __call__(self, clips: pa.Table) -> pa.Table:
        """Writes the part's table; returns how many clips it holds."""
        work = self._work
        if changed := job_difference(work.provenance, self._analyst.provenance):
            raise ValueError(f"the nodes do not hold the same model and libraries: {changed}")
        shard = Shard(*(clips[column][0].as_py() for column in PART_COLUMNS))
        outcome = run_shard(
            Manifest(clips),
            out=_part_path(work.out, shard),
            job=shard_job(work.manifest_digest, provenance=work.provenance, shard=shard),
            analyze=self._analyst.analyze,
        )
        return pa.table({"clips": [outcome.clips], "errors": [outcome.errors]})


def _describe(load_analyzer: LoadAnalyzer, settings: CorpusSettings, cpus: int) -> dict[str, Any]:
    """What rows depend on, as a worker of the cluster sees it."""
    _pin_threads(cpus)
    with ClipAnalyst(load_analyzer, settings=settings) as analyst:
        return analyst.provenance


def _pin_threads(cpus: int) -> None:
    """For the process that this one starts: more threads than processors only get in each other's way."""
    os.environ["OMP_NUM_THREADS"] = str(cpus)


def _claim(out: Path, *, job: Mapping[str, Any]) -> None:
    """Makes the folder that of `job`; raises `ValueError` where it is that of another one."""
    path = out / JOB_FILE
    if not path.exists():
        write_atomically(path, json.dumps(job, indent=1, sort_keys=True) + "\n")
    elif changed := job_difference(json.loads(path.read_text(encoding="utf-8")), job):
        raise ValueError(f"{out} holds another analysis, which differs in {changed}; take another folder")


def _part_path(out: Path, shard: Shard) -> Path:
    return out / PARTS_FOLDER / f"part-{shard.index:06}-of-{shard.count:06}.parquet"


def _dataset(parts: Mapping[Shard, Manifest]) -> ray.data.Dataset:
    """A block of rows for each part."""
    blocks = []
    for shard, clips in parts.items():
        block = clips.table
        for name, number in zip(PART_COLUMNS, (shard.index, shard.count), strict=True):
            block = block.append_column(name, pa.array([number] * len(clips), pa.int64()))
        blocks.append(block)
    return ray.data.from_arrow(blocks)


def _pool(plan: RayPlan, *, parts: int) -> ray.data.ActorPoolStrategy:
    """As many actors as there is room and work for; a part waits for an actor that is free."""
    total = ray.cluster_resources()
    room = total.get("GPU", 0) / plan.gpus if plan.gpus else total.get("CPU", 0) / plan.cpus
    workers = max(1, min(plan.workers or int(room), parts))
    return ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1)
