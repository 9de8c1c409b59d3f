"""Fixtures: a report made by hand that fills every field, analyzers of tiny random models, a video for them."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from synthetic_media import moving_squares, tone, write_video
from tiny_model import AUDIO_TOKENS, LLAMA, VIDEO_TOKENS, WHISPER, tiny_model
from tiny_processor import VOCAB_SIZE, tiny_processor

from microemo import MicroEmoForConditionalGeneration
from microemo.configuration_microemo import TRAINABLE_PARTS
from microemo.inference import chunk_analysis
from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.report.report import (
    ActionUnitCurve,
    ClipSummary,
    EmotionReport,
    EvidenceReport,
    ExpressionCurve,
    FaceCurve,
    LabelScore,
    MacroExpression,
    MicroExpression,
    Modality,
    ModelInfo,
    OutputStatus,
    Settings,
    StageTiming,
    Thumbnail,
    UtteranceReport,
    VoiceReport,
)
from microemo.processing.clip_reading import ClipReader
from microemo.processing.face_detection import FaceDetections
from microemo.processing.prosody import Prosody
from microemo.processing.reading_settings import ReadingSettings

EVENT = MicroExpression(
    track_id=1,
    onset_seconds=0.9,
    apex_seconds=1.0,
    offset_seconds=1.2,
    score=0.83,
    expression="happiness",
    action_units=(LabelScore("AU12", 0.9), LabelScore("AU6", 0.61)),
)
LASTING = MacroExpression(
    1, onset_seconds=1.1, apex_seconds=1.5, offset_seconds=2.8, probability=0.78, expression="happiness"
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
        raw_answer="Emotions: happy, relieved.\nReason: She smiles at 1.0 s and her voice grows lighter. She cries.",
        unsupported_sentences=1,
        evidence=(
            EvidenceReport("face", "happiness", 0.6, 2.9, "happiness 0.91 from 0.6 s on", 0.91, signs=("AU12",)),
            EvidenceReport("micro_expression", "fear", 0.9, 1.2, "flash of fear 0.83 at 1.0 s", 0.83, 1.0),
            EvidenceReport("voice", "joy", 0.4, 2.9, "joy 0.70; high", 0.7, signs=("high",), pitch_semitones=2.4),
        ),
        voice=VoiceReport(
            emotions=(LabelScore("joy", 0.7), LabelScore("calm", 0.25), LabelScore("fear", 0.05)),
            prosody=Prosody(
                pitch_hertz=211.0,
                pitch_semitones=2.4,
                pitch_range_semitones=6.1,
                loudness_decibels=-1.5,
                syllables_per_second=4.8,
                pause_share=0.12,
                longest_pause_seconds=0.3,
            ),
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
        status=OutputStatus("trained", "trained", "trained", "trained", voice="trained"),
        utterances=(first, second),
        summary=ClipSummary(
            expressions=expressions, micro_expressions=(EVENT,), emotions=emotions, macro_expressions=(LASTING,)
        ),
        face_curves=(_curve(),),
        model=ModelInfo("microemo-mini", ("face_tower",), "cpu", "float32", "0.1.0", "5.23.0", "2.14.1"),
        settings=Settings("explain", "speaker", "en", "clip.srt"),
        warnings=("faces are 0.25 s apart, farther than 0.2 s",),
        timings=(StageTiming("model", 1.5),),
        thumbnails=(Thumbnail(1, 1.0, _picture()),),
    )


def _curve() -> FaceCurve:
    """Anna, who smiles twice, blinks once at 1.5 s, looks up and to the right, and is not measured at first."""
    times = np.round(np.arange(0.4, 2.9, 0.1), 3)
    happiness = np.round(np.clip((times - 0.6), 0.05, 0.9), 4)
    curves = (
        ExpressionCurve("neutral", tuple((1 - happiness).round(4).tolist())),
        ExpressionCurve("happiness", tuple(happiness.tolist())),
    )
    micro = np.where(np.abs(times - 1.0) < 0.11, 0.83, 0.05)
    smiles = ((times >= 0.6) & (times <= 1.2)) | ((times >= 2.0) & (times <= 2.6))
    units = (("AU4", "brow lowerer", 0 * times), ("AU12", "lip corner puller", 0.5 * smiles))
    units = (*units, ("AU45", "blink", 0.7 * (times == 1.5)))
    return FaceCurve(
        1,
        tuple(times.tolist()),
        curves,
        tuple(micro.tolist()),
        boxes=((100, 50, 180, 150),) * len(times),
        detection_scores=(0.9,) * len(times),
        action_units=tuple(
            ActionUnitCurve(label, name, (None, *values[1:].round(2).tolist())) for label, name, values in units
        ),
        head_pose=(None, *[(4.0, -12.5, 1.0)] * (len(times) - 1)),
        gaze=(None, *[(8.0, 3.5)] * (len(times) - 1)),
    )


def _picture() -> str:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), (200, 150, 120), dtype=np.uint8)).save(stream, "JPEG")
    return base64.b64encode(stream.getvalue()).decode("ascii")


BOX = np.array([[30, 10, 90, 80]], dtype=np.float32)
LANDMARKS = np.array([[[45, 30], [75, 30], [60, 45], [48, 62], [72, 62]]], dtype=np.float32)
SPOKEN = [
    {"start": 0.2, "end": 1.2, "text": "Look at that!", "speaker": "Anna"},
    {"start": 1.5, "end": 2.8, "text": "Where?"},
]


def detect_one_face(frames: np.ndarray) -> list[FaceDetections]:
    """The same face in every frame."""
    return [FaceDetections(BOX, LANDMARKS, np.array([0.9], dtype=np.float32)) for _ in frames]


def make_reader(*, detector=detect_one_face, **settings) -> ClipReader:
    return ClipReader(ReadingSettings(**{"num_frames": 8, "face_size": 16, **settings}), detector=detector)


def make_processor():
    return tiny_processor(video_tokens_per_segment=VIDEO_TOKENS, audio_tokens_per_segment=AUDIO_TOKENS)


def make_model(*, trained_parts=TRAINABLE_PARTS, **changes) -> MicroEmoForConditionalGeneration:
    """A tiny model that fits `make_processor`."""
    processor = make_processor()
    return tiny_model(
        MicroEmoForConditionalGeneration,
        text_config={**LLAMA, "vocab_size": VOCAB_SIZE, "max_position_embeddings": 8192},
        audio_config={**WHISPER, "num_mel_bins": 16, "max_source_positions": 100},
        video_token_id=processor.video_token_id,
        audio_token_id=processor.audio_token_id,
        utterance_end_token_id=processor.utterance_end_token_id,
        trained_parts=list(trained_parts),
        **changes,
    )


@pytest.fixture(autouse=True)
def short_answers(monkeypatch):
    """A random model never ends an answer by itself."""
    monkeypatch.setattr(chunk_analysis, "ANSWER_TOKENS", 4)


@pytest.fixture
def make_analyzer():
    """Builds an analyzer: `make_analyzer(trained_parts=..., detector=..., max_chunk_seconds=...)`."""

    def build(*, trained_parts=TRAINABLE_PARTS, detector=detect_one_face, **settings) -> EmotionAnalyzer:
        reader = make_reader(detector=detector, **settings)
        return EmotionAnalyzer(
            make_model(trained_parts=trained_parts), make_processor(), reader=reader, model_id="tiny"
        )

    return build


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    """Three seconds of one unchanging face-less picture with a tone: what is seen depends on the detector alone."""
    frames = np.repeat(moving_squares(count=1), 75, axis=0)
    return write_video(tmp_path_factory.mktemp("media") / "clip.mp4", frames, waveform=tone(seconds=3.0))


@pytest.fixture
def detect_no_face():
    """A detector that finds nothing."""
    nothing = FaceDetections(BOX[:0], LANDMARKS[:0], np.zeros(0, dtype=np.float32))
    return lambda frames: [nothing for _ in frames]


@pytest.fixture
def spoken():
    """Two utterances of the video."""
    return [dict(entry) for entry in SPOKEN]
