"""Composes training dialogues from separately perceived words, faces and voices, as labelled video is scarce.

Each utterance combines the words of a corpus, the face of a photograph and the voice of a recording, in agreement or
in conflict, as evidence with times. Streams are missing at random. Micro-expressions get the action units of the
prototypes, as photographs contain none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from microemo.data.action_units import PROTOTYPES
from microemo.processing.clip import Clip, Utterance
from microemo.processing.evidence import (
    MAX_SIGNS,
    MIN_PROBABILITY,
    MIN_UNIT_INTENSITY,
    NO_FACE,
    SIGNS_OF_EXPRESSION,
    Evidence,
    words_evidence,
)
from microemo.training.language.co_judgement import FAMILIES, family_of
from microemo.training.language.sources import FaceSource, VoiceSource

UTTERANCE_COUNTS, UTTERANCE_SHARES = (1, 2, 3, 4), (0.5, 0.25, 0.15, 0.1)
SEEN, HEARD, SAID = 0.85, 0.8, 0.92  # shares of clips with a face, a voice and words
AGREEING = 0.6  # share of streams drawn from the utterance's family
NEUTRAL_STREAMS = 0.25  # share of neutral streams; the remaining ones are drawn from any family
WHOLE_UTTERANCE = 0.6  # share of expressions that span the whole utterance
MICRO_SHARE = 0.35  # of utterances with a face
PAUSE_SECONDS = (0.1, 1.5)
SECONDS_A_WORD = (0.25, 0.45)
SHORTEST_SECONDS, LONGEST_SECONDS = 0.8, 12.0
NAMES = ("Anna", "Ben", "Chloe", "David", "Eileen", "Speaker 1", "Speaker 2", "Speaker 3", "Maria", "Tom")


@dataclass(frozen=True)
class WordsSource:
    """A text and the emotion probabilities (E,) that the language model gives it without other streams."""

    text: str
    probabilities: np.ndarray


@dataclass(frozen=True)
class ComposedClip:
    """A dialogue, the evidence of each utterance, and the recording of each voice (None without one)."""

    clip: Clip
    evidence: tuple[tuple[Evidence, ...], ...]
    voices: tuple[VoiceSource | None, ...]


class Composer:
    """Composes random dialogues; the same generator state gives the same dialogue."""

    def __init__(
        self,
        *,
        faces: Sequence[FaceSource],
        voices: Sequence[VoiceSource],
        words: Sequence[WordsSource],
        expression_labels: Sequence[str],
        voice_labels: Sequence[str],
        word_labels: Sequence[str],
    ) -> None:
        self.faces, self.voices, self.words = faces, voices, words
        self.expression_labels, self.voice_labels, self.word_labels = expression_labels, voice_labels, word_labels
        self._faces_of = _by_family([expression_labels[int(face.expressions.argmax())] for face in faces])
        self._voices_of = _by_family([voice_labels[int(voice.probabilities.argmax())] for voice in voices])
        self._words_of = _by_family([word_labels[int(text.probabilities.argmax())] for text in words])

    def compose(self, rng: np.random.Generator) -> ComposedClip:
        """Composes one dialogue."""
        count = int(rng.choice(UTTERANCE_COUNTS, p=UTTERANCE_SHARES))
        has_face, has_voice, has_words = (bool(rng.random() < share) for share in (SEEN, HEARD, SAID))
        if not (has_face or has_voice or has_words):
            has_words = True
        names = rng.permutation(NAMES)[: 1 if rng.random() < 0.5 else 2]
        has_names, clock = rng.random() < 0.7, float(rng.uniform(0, 2))
        utterances, evidence, voices = [], [], []
        for _ in range(count):
            family = str(rng.choice(["neutral", *FAMILIES]))  # neutral twice as often
            text, emotions = self._draw_words(family, rng=rng) if has_words else ("", None)
            seconds = float(rng.uniform(*SECONDS_A_WORD)) * max(len(text.split()), 4)
            span = (round(clock, 2), round(clock + min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS), 2))
            face = self._draw_face(family, span, rng=rng) if has_face else []
            voice = self._draw_voice(family, rng=rng) if has_voice else None
            voice_findings = [] if voice is None else self._voice_evidence(voice, span)
            words = [] if emotions is None else words_evidence(emotions, span, labels=self.word_labels)
            speaker = str(names[int(rng.integers(len(names)))]) if has_names else None
            utterances.append(Utterance(*span, text=text, speaker=speaker))
            evidence.append((*face, *voice_findings, *words))
            voices.append(voice)
            clock = span[1] + float(rng.uniform(*PAUSE_SECONDS))
        clip = Clip("composed", 0.0, round(clock, 2), tuple(utterances))
        return ComposedClip(clip, tuple(evidence), tuple(voices))

    def _draw_words(self, family: str, *, rng: np.random.Generator) -> tuple[str, np.ndarray]:
        source = self.words[_draw(self._words_of, family, rng=rng)]
        return source.text, source.probabilities

    def _draw_voice(self, family: str, *, rng: np.random.Generator) -> VoiceSource:
        return self.voices[_draw(self._voices_of, family, rng=rng)]

    def _voice_evidence(self, voice: VoiceSource, span: tuple[float, float]) -> list[Evidence]:
        order: Sequence[int] = np.argsort(-voice.probabilities, kind="stable")[:2].tolist()
        findings = [
            Evidence("voice", self.voice_labels[column], *span, certainty=round(float(voice.probabilities[column]), 3))
            for rank, column in enumerate(order)
            if rank == 0 or voice.probabilities[column] >= MIN_PROBABILITY
        ]
        first = findings[0]
        return [
            Evidence(
                "voice",
                first.label,
                *span,
                certainty=first.certainty,
                signs=voice.manner,
                pitch_semitones=voice.pitch_semitones,
            ),
            *findings[1:],
        ]

    def _draw_face(self, family: str, span: tuple[float, float], *, rng: np.random.Generator) -> list[Evidence]:
        if rng.random() < 0.05:
            return [Evidence("scene", NO_FACE, *span)]
        face = self.faces[_draw(self._faces_of, family, rng=rng)]
        findings = self._expression_evidence(face, span, rng=rng)
        if span[1] - span[0] >= 1.0 and rng.random() < MICRO_SHARE:
            findings.append(self._micro_evidence(span, rng=rng))
        if span[1] - span[0] >= 2.0 and rng.random() < 0.05:
            start = float(rng.uniform(span[0], span[1] - 1.0))
            findings.append(Evidence("scene", NO_FACE, round(start, 2), round(start + 0.9, 2)))
        return findings

    def _expression_evidence(
        self, face: FaceSource, span: tuple[float, float], *, rng: np.random.Generator
    ) -> list[Evidence]:
        """Evidence of a constant face, as the detector would report it: a macro-expression or mean probabilities."""
        order: Sequence[int] = np.argsort(-face.expressions, kind="stable")[:2].tolist()
        label, certainty = self.expression_labels[order[0]], round(float(face.expressions[order[0]]), 3)
        if label == "neutral" or certainty < 0.5:
            return [
                Evidence(
                    "face", self.expression_labels[column], *span, certainty=round(float(face.expressions[column]), 3)
                )
                for rank, column in enumerate(order)
                if rank == 0 or face.expressions[column] >= MIN_PROBABILITY
            ]
        times = span
        if span[1] - span[0] >= 1.2 and rng.random() >= WHOLE_UTTERANCE:
            cut = float(rng.uniform(span[0] + 0.5, span[1] - 0.5))
            times = (cut, span[1]) if rng.random() < 0.5 else (span[0], cut)
        expected = {f"AU{number}" for number in SIGNS_OF_EXPRESSION.get(label, ())}
        strong = sorted(
            ((value, unit) for unit, value in face.units.items() if unit in expected and value >= MIN_UNIT_INTENSITY),
            reverse=True,
        )
        signs = tuple(unit for _, unit in strong[:MAX_SIGNS])
        return [Evidence("face", label, round(times[0], 2), round(times[1], 2), certainty=certainty, signs=signs)]

    def _micro_evidence(self, span: tuple[float, float], *, rng: np.random.Generator) -> Evidence:
        label = str(rng.choice(sorted(PROTOTYPES)))
        prototype = PROTOTYPES[label][int(rng.integers(len(PROTOTYPES[label])))]
        apex = float(rng.uniform(span[0] + 0.2, span[1] - 0.2))
        half = float(rng.uniform(0.06, 0.2))
        units = sorted(prototype, key=lambda unit: -prototype[unit])[: int(rng.integers(0, MAX_SIGNS + 1))]
        return Evidence(
            "micro_expression",
            label,
            round(apex - half, 2),
            round(apex + half, 2),
            certainty=round(float(rng.uniform(0.55, 0.95)), 2),
            apex_seconds=round(apex, 2),
            signs=tuple(f"AU{unit}" for unit in units),
        )


def _by_family(labels: Sequence[str]) -> dict[str, np.ndarray]:
    families = np.array([family_of(label) or "neutral" for label in labels])
    return {family: np.flatnonzero(families == family) for family in np.unique(families).tolist()}


def _draw(sources: dict[str, np.ndarray], family: str, *, rng: np.random.Generator) -> int:
    """Draws a source: of the family with probability `AGREEING`, else a neutral one or one of any family."""
    chance = rng.random()
    if chance >= AGREEING:
        family = "neutral" if chance < AGREEING + NEUTRAL_STREAMS else str(rng.choice(sorted(sources)))
    if family not in sources:  # faces and voices have no label for affection: use joy or neutral
        family = "joy" if family == "affection" and rng.random() < 0.5 else "neutral"
    candidates = sources[family] if family in sources else next(iter(sources.values()))
    return int(candidates[int(rng.integers(len(candidates)))])
