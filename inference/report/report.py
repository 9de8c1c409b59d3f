"""What an analysis returns: an `EmotionReport` and its parts, plain frozen values that print, save and round-trip.

Every time is in seconds on the video's own clock, every probability lies in [0, 1]. A field that was not measured is
None; an empty tuple means "measured, nothing found". An output whose weights were never trained is not shown at all:
its field is None and `OutputStatus` says "untrained".
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from microemo.processing.prosody import Prosody

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from microemo.inference.questions.answers import Answer

SCHEMA_VERSION = "3.1"
READABLE_VERSIONS = ("3.0", SCHEMA_VERSION)  # 3.1 only added fields

CURVE_ARRAYS = ("micro_scores", "boxes", "detection_scores", "head_pose", "gaze")  # of a `FaceCurve`, one value a time

# The pairs are the JSON schema's constraints.
Probability = Annotated[float, ("minimum", 0), ("maximum", 1)]
Seconds = Annotated[float, ("minimum", 0)]
Signed = Annotated[float, ("minimum", -1), ("maximum", 1)]
Status = Literal["trained", "untrained", "not_requested"]
ModalityName = Literal["frames", "faces", "voice", "words"]
EvidenceKind = Literal["face", "micro_expression", "voice", "words", "scene"]


# A list over several lines that holds numbers alone, and one that holds such lists. Strings of JSON have no line ends.
_NUMBERS = re.compile(r"\[\n[^\[\]{}\"]*\]")
_ROWS_OF_NUMBERS = re.compile(r"\[\n(?:[^\[\]{}\"]|\[[^\[\]{}\"\n]*\])*\]")


@dataclass(frozen=True)
class LabelScore:
    """A label and its probability."""

    label: str
    probability: Probability

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability of {self.label!r} must be in [0, 1], got {self.probability}")


@dataclass(frozen=True)
class EvidenceReport:
    """One finding of a stream, see `microemo.processing.evidence.Evidence`; text says it in words."""

    kind: EvidenceKind
    label: str
    start_seconds: Seconds
    end_seconds: Seconds
    text: str
    certainty: Probability | None = None
    apex_seconds: Seconds | None = None
    signs: tuple[str, ...] = ()
    pitch_semitones: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(EvidenceKind):
            raise ValueError(f"kind must be one of {get_args(EvidenceKind)}, got {self.kind!r}")


@dataclass(frozen=True)
class MicroExpression:
    """A brief facial movement of one person: 0.04 to 0.5 s from onset to offset, strongest at the apex.

    expression: which one comes with it and goes; None where expressions are untrained.
    """

    track_id: int
    onset_seconds: Seconds
    apex_seconds: Seconds
    offset_seconds: Seconds
    score: Probability
    expression: str | None = None
    action_units: tuple[LabelScore, ...] = ()

    def __post_init__(self) -> None:
        if not self.onset_seconds <= self.apex_seconds <= self.offset_seconds:
            raise ValueError(
                "a micro-expression needs onset <= apex <= offset, "
                f"got {self.onset_seconds}, {self.apex_seconds}, {self.offset_seconds}"
            )


@dataclass(frozen=True)
class MacroExpression:
    """A facial expression of one person that lasts: 0.5 s or more from onset to offset.

    probability: its mean from onset to offset. apex_seconds: where it is first as strong as it gets.
    """

    track_id: int
    onset_seconds: Seconds
    apex_seconds: Seconds
    offset_seconds: Seconds
    probability: Probability
    expression: str

    def __post_init__(self) -> None:
        if not self.onset_seconds <= self.apex_seconds <= self.offset_seconds:
            raise ValueError(
                "a macro-expression needs onset <= apex <= offset, "
                f"got {self.onset_seconds}, {self.apex_seconds}, {self.offset_seconds}"
            )


@dataclass(frozen=True)
class Modality:
    """One stream of the video: whether it was used, and a note (why not, or what of it was used)."""

    name: ModalityName
    used: bool
    note: str = ""


@dataclass(frozen=True)
class OutputStatus:
    """Which outputs come from trained weights; only those are shown.

    "not_requested" stands for an output that the mode left out.
    """

    face_expressions: Status
    micro_expressions: Status
    emotions: Status
    explanations: Status
    voice: Status = "untrained"


@dataclass(frozen=True)
class ExpressionCurve:
    """The probability of one facial expression at each of its face curve's times."""

    label: str
    probabilities: tuple[Probability, ...]


@dataclass(frozen=True)
class ActionUnitCurve:
    """A unit of the Facial Action Coding System at each of its face curve's times, such as AU12, "lip corner puller".

    intensities: above the face's own rest, None where the face was not measured.
    """

    label: str
    name: str
    intensities: tuple[Probability | None, ...]


@dataclass(frozen=True)
class FaceCurve:
    """What one person's face shows over time, where it is, and where it is turned and looks.

    micro_scores: None where micro-expressions are untrained. boxes: left, top, right, bottom at each time, in pixels
    of the displayed picture; None where they are not known. detection_scores: how sure the detector is of the face.
    head_pose: pitch, yaw, roll, and gaze: yaw, pitch of the eyes within the head, in degrees as in
    `microemo.processing.head_pose`; None at times at which the face was not measured, None where it never was.
    """

    track_id: int
    times: tuple[Seconds, ...]
    expressions: tuple[ExpressionCurve, ...] | None
    micro_scores: tuple[Probability, ...] | None
    boxes: tuple[tuple[int, ...], ...] | None = None
    detection_scores: tuple[Probability, ...] | None = None
    action_units: tuple[ActionUnitCurve, ...] | None = None
    head_pose: tuple[tuple[float, ...] | None, ...] | None = None
    gaze: tuple[tuple[float, ...] | None, ...] | None = None

    def __post_init__(self) -> None:
        curves: dict[str, tuple | None] = {curve.label: curve.probabilities for curve in self.expressions or ()}
        curves |= {unit.label: unit.intensities for unit in self.action_units or ()}
        curves |= {name: getattr(self, name) for name in CURVE_ARRAYS}
        for name, values in curves.items():
            if values is not None and len(values) != len(self.times):
                raise ValueError(
                    f"face curve {self.track_id}: {name} has {len(values)} values for {len(self.times)} times"
                )


@dataclass(frozen=True)
class VoiceReport:
    """How an utterance sounds: its emotions, which add up to 1, strongest first, and its prosody in numbers.

    emotions: None where untrained.
    """

    emotions: tuple[LabelScore, ...] | None
    prosody: Prosody


@dataclass(frozen=True)
class UtteranceReport:
    """One utterance: who said what and when, and what face, voice and words show.

    language: of `text`, as a code such as "zh"; language_probability: where it was heard, not given. english: the
    words in English where `text` is in another language and they are known; emotions and explanations use these.
    voice: None where no speech is heard (`modalities` says why).
    track_id: the attended person's face track. expressions: mean closed-set facial expressions, strongest first.
    emotions: multi-label, strongest first. open_emotions: the explanation's own emotion words. description: its
    sentences that findings back; unsupported_sentences: how many others were taken out. raw_answer: the explanation
    as generated, its times on the video's clock. evidence: what was found; the language model was told the same.
    """

    start_seconds: Seconds
    end_seconds: Seconds
    text: str
    language: str | None = None
    language_probability: Probability | None = None
    english: str | None = None
    speaker: str | None = None
    track_id: int | None = None
    expressions: tuple[LabelScore, ...] | None = None
    micro_expressions: tuple[MicroExpression, ...] | None = None
    emotions: tuple[LabelScore, ...] | None = None
    valence: Signed | None = None
    arousal: Signed | None = None
    open_emotions: tuple[str, ...] | None = None
    description: str | None = None
    raw_answer: str | None = None
    evidence: tuple[EvidenceReport, ...] = ()
    voice: VoiceReport | None = None
    unsupported_sentences: int | None = None


@dataclass(frozen=True)
class ClipSummary:
    """The same for the whole clip: means over utterances, weighted by duration, and every facial expression.

    macro_expressions, micro_expressions: of every attended person, in order of time.
    """

    expressions: tuple[LabelScore, ...] | None = None
    micro_expressions: tuple[MicroExpression, ...] | None = None
    emotions: tuple[LabelScore, ...] | None = None
    valence: Signed | None = None
    arousal: Signed | None = None
    open_emotions: tuple[str, ...] | None = None
    description: str | None = None
    raw_answer: str | None = None
    unsupported_sentences: int | None = None
    macro_expressions: tuple[MacroExpression, ...] | None = None


@dataclass(frozen=True)
class ModelInfo:
    """Which weights and libraries produced the report."""

    model_id: str
    trained_parts: tuple[str, ...]
    device: str
    dtype: str
    microemo_version: str
    transformers_version: str
    torch_version: str


@dataclass(frozen=True)
class Settings:
    """How the analysis was asked for; `transcript` names the file, or "given" for one passed as objects."""

    mode: Literal["explain", "scores"]
    person: str
    language: str | None = None
    transcript: str | None = None


@dataclass(frozen=True)
class StageTiming:
    """Seconds of wall clock that one stage took, over all chunks."""

    stage: str
    seconds: Seconds


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of an aligned face at a moment that evidence or an apex names, as base64 JPEG."""

    track_id: int
    seconds: Seconds
    jpeg_base64: str


@dataclass(frozen=True)
class EmotionReport:
    """The result of analysing one video.

    `print(report)` shows the timeline, `report.save("clip.html")` writes it in the format of the name's ending (json,
    csv, faces.csv, srt, vtt, html, eaf, TextGrid), `to_pandas` and `faces_to_pandas` are tables.
    `EmotionReport.from_json(report.to_json())` gives an equal report back.
    """

    source: str
    duration_seconds: Seconds
    modalities: tuple[Modality, ...]
    status: OutputStatus
    utterances: tuple[UtteranceReport, ...]
    summary: ClipSummary
    face_curves: tuple[FaceCurve, ...]
    model: ModelInfo
    settings: Settings
    warnings: tuple[str, ...] = ()
    timings: tuple[StageTiming, ...] = ()
    thumbnails: tuple[Thumbnail, ...] = ()
    schema_version: str = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers, as in `report.schema.json`."""
        return asdict(self)

    def to_json(self, *, indent: int | None = None) -> str:
        """The whole report as JSON text, see `report.schema.json`. Indented, a list of numbers keeps to a line."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=indent)
        for lines in (_NUMBERS, _ROWS_OF_NUMBERS) if indent is not None else ():
            text = lines.sub(lambda match: re.sub(r"\s+", " ", match[0]).replace("[ ", "[").replace(" ]", "]"), text)
        return text

    @classmethod
    def from_json(cls, text: str) -> EmotionReport:
        """The report that `to_json` wrote.

        Raises `ValueError` naming the field where `text` is not such a report.
        """
        from microemo.inference.report.schema import decode_report  # it is built on this module's types

        try:
            data = json.loads(text)
        except RecursionError:
            raise ValueError("text is no report: its lists are nested too deeply") from None
        return decode_report(data)

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each utterance; needs the extra `tables`. `docs/tables.md` has the columns."""
        from microemo.inference.report.data_frames import utterances_frame  # pandas is optional

        return utterances_frame(self)

    def faces_to_pandas(self) -> pandas.DataFrame:
        """One row for each face and moment; needs the extra `tables`. `docs/tables.md` has the columns."""
        from microemo.inference.report.data_frames import faces_frame  # pandas is optional

        return faces_frame(self)

    def ask(self, question: str) -> Answer:
        """The answer to a question such as "How often does Anna smile while Ben speaks?", by counting events.

        Raises `UnparsedQuestion`, a `ValueError`, where only a model could answer it (`EmotionAnalyzer.ask`), and
        `ValueError` where the report does not hold what is asked.
        """
        from microemo.inference.questions.answers import answer_question  # it is built on this module's types

        return answer_question(self, question)

    def plot(self) -> Figure:
        """Its timeline as a matplotlib figure; `figure.savefig("clip.svg")` saves it.

        Needs the extra `plot`; `microemo.inference.plots` has others.
        """
        from microemo.inference.plots.timeline import plot_timeline  # matplotlib is optional

        return plot_timeline([self])

    def save(self, path: str | Path) -> Path:
        """Writes the report atomically; the name's ending picks the format. Returns the path."""
        from microemo.inference.report.export import save_report  # it is built on this module's types

        return save_report(self, path)

    def __str__(self) -> str:
        from microemo.inference.report.text_timeline import format_timeline  # it is built on this module's types

        return format_timeline(self)
