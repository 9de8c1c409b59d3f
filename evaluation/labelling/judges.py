"""Judges: models, single streams of a model, and files of predictions.

mini                    microemo-mini; also microemo-mini
runs/mine/model         a model of this package
mini#voice              one stream of a model: face, voice or words
owner/model             any vision-language model of transformers
file:predictions.jsonl  labels by clip name, as `microemo evaluate --predictions` reads them
NAME=...                any of these under a name of its own
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from microemo.data.example import Example, LabelledUtterance, Turn
from microemo.evaluation.answerers import Answerer, VisionLanguageAnswerer, is_microemo
from microemo.evaluation.clip_labels import ClipLabels, read_clip_labels
from microemo.evaluation.labelling.votes import Vote
from microemo.evaluation.metrics.multi_label import Thresholds
from microemo.evaluation.model_runs import model_fingerprint
from microemo.evaluation.scored_utterances import open_labels
from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.evidence_prompt import ANSWER_FORM
from microemo.inference.report.report import EmotionReport, EvidenceReport
from microemo.inference.request import Mode
from microemo.inference.stage_timer import Progress
from microemo.processing.emotion_parsing import parse_emotions

MINI_NAMES = ("mini", "microemo-mini")
FILE_MARK, STREAM_MARK = "file:", "#"
KINDS_OF_STREAM: Mapping[str, tuple[str, ...]] = {
    "face": ("face", "micro_expression"),
    "voice": ("voice",),
    "words": ("words",),
}
SHARE_OF_STRONGEST = 0.5  # of a stream's labels, those at least this strong beside the strongest are named
QUESTION = f"Which emotions does the person in the video show? {ANSWER_FORM}"


@dataclass(frozen=True)
class Opinion:
    """A judge's vote on one clip, and the utterances that it heard, for the training file."""

    vote: Vote
    utterances: tuple[LabelledUtterance, ...] = ()


class Judge(Protocol):
    """Judges clips by their path. identity: changes where the same clip may be judged otherwise."""

    name: str
    identity: str

    def __call__(self, video: Path) -> Opinion:
        """The opinion; raises `ValueError` for a clip that cannot be read."""


@dataclass(frozen=True)
class JudgeChoice:
    """One judge of `--judges`. place: folder, id or file; "" for microemo-mini. stream: "" for all of a model."""

    name: str
    place: str
    stream: str = ""
    is_file: bool = False

    @classmethod
    def parse(cls, text: str) -> JudgeChoice:
        """The choice that one entry means; raises `ValueError` for a stream or file that does not exist."""
        name, separator, rest = text.partition("=")
        if not separator:
            name, rest = text, text
        if not name.strip() or not rest.strip():
            raise ValueError(f"--judges ({text!r}) must be mini, a model, MODEL#STREAM or file:PATH, maybe with NAME=")
        if rest.startswith(FILE_MARK):
            path = rest.removeprefix(FILE_MARK)
            if not Path(path).is_file():
                raise ValueError(f"--judges ({text!r}): there is no file {path}")
            return cls(Path(path).stem if not separator else name, path, is_file=True)
        place, marked, stream = rest.partition(STREAM_MARK)
        if marked and stream not in KINDS_OF_STREAM:
            raise ValueError(f"--judges ({text!r}): the stream must be one of {', '.join(KINDS_OF_STREAM)}")
        return cls(name, "" if place in MINI_NAMES else place, stream)


def load_judges(
    choices: Sequence[JudgeChoice],
    *,
    mode: Mode = "scores",
    device: str | None = None,
    dtype: str | None = None,
    progress: Progress | None = None,
) -> list[Judge]:
    """The judges in their order; a model that several of them name is loaded once and sees each clip once.

    Raises `ValueError` for one name twice.
    """
    names = [choice.name for choice in choices]
    if len(set(names)) < len(names):
        raise ValueError(f"--judges must have different names (NAME=...), got {names}")
    reports: dict[str, ReportCache] = {}
    judges: list[Judge] = []
    for choice in choices:
        if choice.is_file:
            judges.append(FileJudge(choice.name, choice.place))
        elif not choice.place or is_microemo(choice.place):
            if choice.place not in reports:
                analyzer = EmotionAnalyzer.from_pretrained(
                    choice.place or None, device=device, dtype=dtype, progress=progress
                )
                reports[choice.place] = ReportCache(analyzer, mode=mode)
            judges.append(ModelJudge(choice.name, reports[choice.place], stream=choice.stream))
        elif choice.stream:
            raise ValueError(f"--judges: {choice.place} is no model of this package, so it has no stream to judge by")
        else:
            answerer = VisionLanguageAnswerer.from_pretrained(choice.place, device=device, dtype=dtype)
            judges.append(AskedJudge(choice.name, answerer))
    return judges


class ReportCache:
    """An analyzer that keeps its last report, since several judges look at the same clip in turn."""

    def __init__(self, analyzer: EmotionAnalyzer, *, mode: Mode) -> None:
        self.analyze: Callable[..., EmotionReport] = analyzer
        self.mode: Mode = mode
        self.identity = f"{model_fingerprint(analyzer)} {mode}"
        self._last: tuple[Path, EmotionReport] | None = None

    def __call__(self, video: Path) -> EmotionReport:
        """The report of a clip."""
        if self._last is None or self._last[0] != video:
            self._last = (video, self.analyze(video, mode=self.mode))
        return self._last[1]


class ModelJudge:
    """A model of this package: the labels of its whole report, or what one stream shows."""

    def __init__(self, name: str, reports: ReportCache, *, stream: str = "") -> None:
        self.name, self.reports, self.stream = name, reports, stream
        self.identity = f"{reports.identity} {stream}"

    def __call__(self, video: Path) -> Opinion:
        report = self.reports(video)
        utterances = tuple(
            LabelledUtterance(said.english or said.text, said.start_seconds, said.end_seconds, said.speaker)
            for said in report.utterances
        )
        if self.stream:
            findings = [found for said in report.utterances for found in said.evidence]
            return Opinion(Vote(self.name, stream_labels(findings, stream=self.stream)), utterances)
        labels = open_labels(report.summary, thresholds=Thresholds())
        if labels is None:
            raise ValueError(f"judge {self.name}: neither emotions nor explanations of the model are trained")
        return Opinion(Vote(self.name, labels, description=report.summary.description or ""), utterances)


class AskedJudge:
    """A vision-language model of another family, asked in words; an answer without the form names nothing."""

    def __init__(self, name: str, answerer: Answerer) -> None:
        self.name, self.answerer, self.identity = name, answerer, answerer.identity

    def __call__(self, video: Path) -> Opinion:
        answer = self.answerer(Example(video.stem, video=str(video), turn=Turn(QUESTION, "")))
        parsed = parse_emotions(answer)
        return Opinion(Vote(self.name, parsed.labels, description=parsed.description))


class FileJudge:
    """Labels that somebody or something gave before, by the clip's file name without ending."""

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.labels: dict[str, ClipLabels] = read_clip_labels(path)
        self.identity = repr(sorted(self.labels.items()))

    def __call__(self, video: Path) -> Opinion:
        given = self.labels.get(video.stem)
        if given is None:
            return Opinion(Vote(self.name, error="the file does not name the clip"))
        labels = given.labels if given.labels is not None else filter(None, (given.emotion,))
        return Opinion(Vote(self.name, tuple(labels)))


def stream_labels(findings: Sequence[EvidenceReport], *, stream: str) -> tuple[str, ...]:
    """What a stream shows of a clip: its labels by certainty times seconds, the strongest and those near to it."""
    strengths: dict[str, float] = {}
    for found in findings:
        if found.kind in KINDS_OF_STREAM[stream] and found.label:
            seconds = found.end_seconds - found.start_seconds
            strengths[found.label] = strengths.get(found.label, 0.0) + (found.certainty or 0.0) * seconds
    ranked = sorted(strengths, key=lambda label: -strengths[label])
    return tuple(label for label in ranked if strengths[label] >= SHARE_OF_STRONGEST * strengths[ranked[0]])
