"""A labelling run: every judge on every clip, the decisions, and the figures of agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from microemo.evaluation.labelling.agreement import JudgeAgreement
from microemo.evaluation.labelling.judges import Judge, Opinion
from microemo.evaluation.labelling.label_files import JudgedClip, OpinionStore
from microemo.evaluation.labelling.votes import Rules, Vote, decide
from microemo.inference.stage_timer import Progress, ignore_progress
from microemo.processing.crop_cache import content_hash


def judge_clips(
    clips: Sequence[Path],
    judges: Sequence[Judge],
    *,
    rules: Rules,
    store: OpinionStore,
    progress: Progress | None = None,
) -> list[JudgedClip]:
    """Every clip with the opinions of all judges; one that a judge cannot read counts as not judged by it."""
    unknown = sorted(set(rules.weights or {}) - {judge.name for judge in judges})
    if unknown:
        raise ValueError(f"--weights names {unknown}; the judges are {[judge.name for judge in judges]}")
    if rules.min_judges > len(judges):
        raise ValueError(f"--min-judges ({rules.min_judges}) must be at most the number of judges, {len(judges)}")
    progress = progress or ignore_progress
    judged = []
    for number, clip in enumerate(clips):
        progress("clips", number, len(clips))
        content = content_hash(clip)
        opinions = [_opinion(judge, clip, content=content, store=store) for judge in judges]
        votes = tuple(opinion.vote for opinion in opinions)
        heard = next((opinion.utterances for opinion in opinions if opinion.utterances), ())
        judged.append(JudgedClip(clip, votes, heard, decide(votes, rules=rules)))
    progress("clips", len(clips), len(clips))
    return judged


def _opinion(judge: Judge, clip: Path, *, content: str, store: OpinionStore) -> Opinion:
    key = (judge.name, judge.identity, clip.stem, content)
    known = store.get(*key)
    if known is not None:
        return known
    try:
        opinion = judge(clip)
    except (ValueError, OSError) as error:
        return Opinion(Vote(judge.name, error=str(error)))  # not kept: the file may be mended
    if not opinion.vote.error:
        store.add(*key, opinion=opinion)
    return opinion


def summary_lines(
    clips: Sequence[JudgedClip], agreement: JudgeAgreement, *, weights: Mapping[str, float]
) -> list[str]:
    """The run in figures, as Markdown."""
    kept = sum(clip.decision.is_kept for clip in clips)
    judges = [vote.judge for vote in clips[0].votes]
    lines = [
        f"{kept} of {len(clips)} clips kept, {len(clips) - kept} for a person",
        "",
        "| judge | weight | clips judged | agrees with the majority |",
        "|---|---:|---:|---:|",
    ]
    for place, judge in enumerate(judges):
        judged = [clip for clip in clips if clip.votes[place].families]
        decided = [clip for clip in judged if clip.decision.labels]
        hits = [set(clip.votes[place].families) >= _majority(clip) for clip in decided]
        share = f"{sum(hits) / len(hits):.2f}" if hits else "-"
        lines.append(f"| {judge} | {weights.get(judge, 1.0):g} | {len(judged)} | {share} |")
    lines += ["", "| agreement | |", "|---|---:|"]
    lines.append(f"| Krippendorff's alpha, main family | {_number(agreement.main_family)} |")
    lines.append(f"| Krippendorff's alpha, mean over families | {_number(agreement.families)} |")
    lines += [f"| overlap of {one} and {other} | {value:.2f} |" for (one, other), value in agreement.pairs.items()]
    return lines


def _majority(clip: JudgedClip) -> set[str]:
    return set(Vote("", clip.decision.labels).families)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
