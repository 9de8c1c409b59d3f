"""How far judges agree over all clips: Krippendorff's alpha, and the overlap of each two judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from microemo.evaluation.labelling.votes import Vote

try:
    import krippendorff
except ImportError:
    krippendorff = None  # type: ignore[assignment]


@dataclass(frozen=True)
class JudgeAgreement:
    """None where the figure is not defined: fewer than two judges on a clip, or one value alone.

    main_family: alpha of the strongest label's family, nominal. families: mean over the families of the alpha of
    naming it or not. pairs: two judges -> mean overlap of their families.
    """

    main_family: float | None
    families: float | None
    pairs: dict[tuple[str, str], float]


def judge_agreement(votes: Sequence[Sequence[Vote]]) -> JudgeAgreement:
    """The agreement over clips; a judge that named no family of a clip has not judged it."""
    if krippendorff is None:
        raise ImportError("agreement of judges needs the krippendorff package: pip install microemo[label]")
    judges = list(dict.fromkeys(vote.judge for clip in votes for vote in clip))
    by_judge = [{vote.judge: tuple(vote.families) for vote in clip if vote.families} for clip in votes]
    names = sorted({family for clip in by_judge for families in clip.values() for family in families})
    main = np.full((len(judges), len(votes)), np.nan)
    named = np.full((len(names), len(judges), len(votes)), np.nan)
    for column, clip in enumerate(by_judge):
        for row, judge in enumerate(judges):
            if judge in clip:
                main[row, column] = names.index(clip[judge][0])
                named[:, row, column] = [name in clip[judge] for name in names]
    alphas = [alpha for values in named if (alpha := _alpha(values)) is not None]
    pairs = {}
    for one, other in combinations(judges, 2):
        both = [(set(clip[one]), set(clip[other])) for clip in by_judge if one in clip and other in clip]
        if both:
            pairs[one, other] = float(np.mean([len(a & b) / len(a | b) for a, b in both]))
    return JudgeAgreement(_alpha(main), float(np.mean(alphas)) if alphas else None, pairs)


def _alpha(values: np.ndarray) -> float | None:
    """values (judges, clips), NaN where a judge has not judged; None where no clip has two or all values are one."""
    compared = values[:, (~np.isnan(values)).sum(axis=0) > 1]
    if len(np.unique(compared[~np.isnan(compared)])) < 2:
        return None
    return float(krippendorff.alpha(reliability_data=compared, level_of_measurement="nominal"))
