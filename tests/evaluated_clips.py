"""Hand-made evaluated clips: reference labels and reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from microemo.data.example import EmotionTargets, Example, FaceEvent, FaceTimeline, LabelledUtterance
from microemo.evaluation.prediction_store import EvaluatedClip
from microemo.inference.report.report import (
    ClipSummary,
    EmotionReport,
    LabelScore,
    MicroExpression,
    Modality,
    ModelInfo,
    OutputStatus,
    Settings,
    UtteranceReport,
)

TRAINED = OutputStatus("trained", "trained", "trained", "trained")
MODEL = ModelInfo("tiny", ("face_tower",), "cpu", "float32", "0.1.0", "5.23.0", "2.14.1")


def scores(probabilities: Mapping[str, float]) -> tuple[LabelScore, ...]:
    """Label scores, strongest first."""
    return tuple(LabelScore(*item) for item in sorted(probabilities.items(), key=lambda item: -item[1]))


def utterance(
    start: float, *, answer: str | None = None, labels: Sequence[str] | None = None, **said
) -> UtteranceReport:
    """An utterance of a second. answer: the description of an explanation that parses, with its labels."""
    if answer is not None:
        labels = labels or ("happy",)
        raw = f"Emotions: {', '.join(labels)}.\nReason: {answer}"
        said |= {"description": answer, "raw_answer": raw, "open_emotions": tuple(labels)}
    return UtteranceReport(start_seconds=start, end_seconds=start + 1, text="words", **said)


def micro(onset: float, *, apex: float, offset: float, expression: str | None = None) -> MicroExpression:
    return MicroExpression(0, onset, apex, offset, score=0.9, expression=expression)


def report(
    *utterances: UtteranceReport,
    spotted: Sequence[MicroExpression] | None = None,
    status: OutputStatus = TRAINED,
    has_face: bool = True,
    **summary,
) -> EmotionReport:
    return EmotionReport(
        source="clip.mp4",
        duration_seconds=5.0,
        modalities=(Modality("faces", has_face),),
        status=status,
        utterances=utterances,
        summary=ClipSummary(micro_expressions=None if spotted is None else tuple(spotted), **summary),
        face_curves=(),
        model=MODEL,
        settings=Settings("explain", "speaker", None, "given"),
    )


def event(onset: float, *, apex: float, offset: float, emotion: str = "fear", kind: str = "micro") -> FaceEvent:
    return FaceEvent(kind, emotion, onset, apex, offset)


def evaluated(
    said: EmotionReport, *targets: EmotionTargets, events: Sequence[FaceEvent] | None = None, name: str = "clip"
) -> EvaluatedClip:
    """A clip with the targets of its utterances, and the events of its timeline where that is known."""
    example = Example(
        name,
        video="clip.mp4",
        utterances=tuple(LabelledUtterance("words", targets=each) for each in targets[:1]),
        timeline=None if events is None else FaceTimeline(events=tuple(events)),
    )
    return EvaluatedClip(example, targets, said)
