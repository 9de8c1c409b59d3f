"""A report made by hand that fills every field, for the exports' tests."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from microemo.inference.report import (
    ClipSummary,
    EmotionReport,
    Evidence,
    ExpressionCurve,
    FaceCurve,
    LabelScore,
    MicroExpression,
    Modality,
    ModelInfo,
    OutputStatus,
    Settings,
    StageTiming,
    Thumbnail,
    UtteranceReport,
)

EVENT = MicroExpression(
    track_id=1,
    onset_seconds=0.9,
    apex_seconds=1.0,
    offset_seconds=1.2,
    score=0.83,
    action_units=(LabelScore("AU12", 0.9), LabelScore("AU6", 0.61)),
)


@pytest.fixture
def report() -> EmotionReport:
    expressions = (LabelScore("happiness", 0.72), LabelScore("neutral", 0.2), LabelScore("surprise", 0.08))
    emotions = (LabelScore("joy", 0.81), LabelScore("relief", 0.4), LabelScore("neutral", 0.02))
    first = UtteranceReport(
        start_seconds=0.4,
        end_seconds=2.9,
        text="You came back. I never thought that you would.",
        speaker="Anna",
        track_id=1,
        expressions=expressions,
        micro_expressions=(EVENT,),
        emotions=emotions,
        valence=0.6,
        arousal=0.3,
        open_emotions=("happy", "relieved"),
        description="She smiles at 1.0 s and her voice grows lighter.",
        raw_answer="Emotions: happy, relieved.\nReason: She smiles at 1.0 s and her voice grows lighter.",
        evidence=(
            Evidence("face", 1.6, "happiness rises from 0.10 to 0.91 between 0.6 and 1.6 s"),
            Evidence("voice", None, "lighter than before"),
        ),
    )
    second = UtteranceReport(start_seconds=3.1, end_seconds=4.5, text="Of course.", speaker="Ben")
    return EmotionReport(
        source="clip.mp4",
        duration_seconds=5.0,
        modalities=(
            Modality("frames", True),
            Modality("faces", True, "1 person"),
            Modality("voice", True),
            Modality("words", True, "transcript clip.srt"),
        ),
        status=OutputStatus("trained", "trained", "trained", "trained"),
        utterances=(first, second),
        summary=ClipSummary(expressions=expressions, micro_expressions=(EVENT,), emotions=emotions),
        face_curves=(_curve(),),
        model=ModelInfo("microemo-mini", ("face_tower",), "cpu", "float32", "0.1.0", "5.23.0", "2.14.1"),
        settings=Settings("explain", "speaker", "en", "clip.srt"),
        warnings=("faces are 0.25 s apart, farther than 0.2 s",),
        timings=(StageTiming("model", 1.5),),
        thumbnails=(Thumbnail(1, 1.0, _picture()),),
    )


def _curve() -> FaceCurve:
    times = np.round(np.arange(0.4, 2.9, 0.1), 3)
    happiness = np.round(np.clip((times - 0.6), 0.05, 0.9), 4)
    curves = (
        ExpressionCurve("neutral", tuple((1 - happiness).round(4).tolist())),
        ExpressionCurve("happiness", tuple(happiness.tolist())),
    )
    micro = np.where(np.abs(times - 1.0) < 0.11, 0.83, 0.05)
    return FaceCurve(1, tuple(times.tolist()), curves, tuple(micro.tolist()))


def _picture() -> str:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), (200, 150, 120), dtype=np.uint8)).save(stream, "JPEG")
    return base64.b64encode(stream.getvalue()).decode("ascii")
