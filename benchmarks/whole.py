"""The analysis as a user runs it: one call, with the seconds of its stages and the peak of memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.clips import ClipSpec, make_clip, spread_utterances
from benchmarks.measuring import Figure, peak_mib, timed
from microemo import EmotionAnalyzer
from microemo.configuration_microemo import TRAINABLE_PARTS
from microemo.inference.analyzer import Mode

WARM_UP_SECONDS = 3


def complete_analyzer(*, dtype: str | None = None) -> EmotionAnalyzer:
    """microemo-mini with every output switched on, trained or not: time does not ask whether an answer is right."""
    analyzer = EmotionAnalyzer.from_pretrained(dtype=dtype)
    analyzer.model.config.trained_parts = list(TRAINABLE_PARTS)
    return analyzer


def analyze(
    *,
    seconds: float,
    height: int = 360,
    people: int = 1,
    utterances: int | None = None,
    mode: Mode = "scores",
    folder: str,
) -> list[Figure]:
    """One clip; without a number of `utterances` its speech is recognised."""
    spec = ClipSpec(seconds, height, people)
    analyzer = complete_analyzer()
    analyzer(make_clip(ClipSpec(WARM_UP_SECONDS, height, people), folder=Path(folder)), mode="scores")
    path = make_clip(spec, folder=Path(folder))
    transcript = None if utterances is None else spread_utterances(utterances, seconds=seconds)
    report, wall, processor = timed(lambda: analyzer(path, transcript=transcript, mode=mode))
    stages = {timing.stage: round(timing.seconds, 2) for timing in report.timings}
    words = "speech recognised" if utterances is None else f"{utterances} utterances given"
    return [
        Figure(
            "whole",
            f"{spec.name}, {mode}, {words}",
            seconds=wall,
            cpu_seconds=processor,
            peak_mib=peak_mib(),
            facts={
                "times real time": round(wall / seconds, 3),
                "utterances": len(report.utterances),
                "crops": sum(len(curve.times) for curve in report.face_curves),
                **{f"{stage} (s)": value for stage, value in stages.items()},
            },
        )
    ]


def growth(figures: list[Figure], *, minutes: list[float]) -> Figure:
    """How time and memory of `analyze` grow with the length of the clip, by a straight line through all points."""
    used = np.array([figure.seconds or 0.0 for figure in figures])
    slope, offset = np.polyfit(minutes, used, 1)
    residual = np.sum((np.polyval([slope, offset], minutes) - used) ** 2)
    spread = np.sum((used - np.mean(used)) ** 2)
    first, last = figures[0].peak_mib or 0.0, figures[-1].peak_mib or 0.0
    return Figure(
        "growth",
        f"{minutes[0]:g} to {minutes[-1]:g} min",
        facts={
            "seconds a minute": round(float(slope), 2),
            "R2 of the line": round(float(1 - residual / spread), 4),
            "peak MiB": f"{first:.0f} -> {last:.0f}",
            "peak ratio": round(last / first, 3),
        },
    )
