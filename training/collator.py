"""Collates examples into model inputs and labels of the language model and of both heads.

Shapes: B clips, U utterances, E emotions, F face crops, A action units, N tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from transformers.utils import logging

from microemo import MicroEmoConfig, MicroEmoProcessor
from microemo.data.answers import turn_of
from microemo.data.clip_features import ClipLoader, ReadExample
from microemo.data.emotion_targets import emotion_labels, label_ids, valence_arousal_labels
from microemo.data.example import EmotionTargets, Example, Turn
from microemo.data.stream_dropout import FACE_RATE, StreamDropout, every_second_crop, hide_streams
from microemo.processing.clip import Clip
from microemo.processing.clip_tensors import IGNORE_INDEX, pad_rows
from microemo.processing.prompt_text import with_utterances
from microemo.processing.reading_settings import ReadingSettings
from microemo.training.clip_evidence import ClipEvidence, ClipPerceiver, without_streams
from microemo.training.objectives.face_clips import draw_face_clip, mirror_faces
from microemo.training.objectives.face_labels import action_unit_labels, expression_labels, micro_labels

logger = logging.get_logger(__name__)

NO_TURN = Turn("", "")  # for a clip without an answer in a batch where others have one; its labels are masked
UNREADABLE_POLICIES = ("raise", "skip")


class MicroEmoDataCollator:
    """Data collator for `Trainer`. Takes `Example` objects or rows of `load_examples`.

    The batch holds the inputs of `MicroEmoProcessor.from_clip`, padded on the right, and these labels:

    | name | shape | |
    |---|---|---|
    | `labels` | (B, N) long | answer tokens, from the chat template's generation marks |
    | `emotion_labels` | (B, U, E) float | see `emotion_targets` |
    | `valence_arousal_labels` | (B, U, 2) float | in -1..1 |
    | `micro_labels`, `expression_labels`, `action_unit_labels` | (B, F), (B, F), (B, F, A) | only with faces |

    Unknown labels are -100. Each clip may lack other streams.

    Args:
        processor: the model's processor.
        config: its label sets are those of the heads; defaults to microemo-mini's. Faces are dropped if it has no
            local branch.
        clips: reads the files; by default with the processor's reading settings.
        dropout: probabilities of hiding streams. The answer of such a clip is masked, as it may mention them.
        unreadable: "raise", or "skip" examples whose files cannot be read, with a warning.
        stretch_seconds: train on a random part of this length of each face timeline, half of them mirrored. None uses
            the whole timeline, never mirrored.
        perceiver: model whose evidence is written into the prompts, as at inference. None writes no evidence.
    """

    def __init__(
        self,
        processor: MicroEmoProcessor,
        *,
        config: MicroEmoConfig | None = None,
        clips: ClipLoader | None = None,
        dropout: StreamDropout | None = None,
        unreadable: str = "raise",
        stretch_seconds: float | None = None,
        perceiver: Any | None = None,
    ) -> None:
        if unreadable not in UNREADABLE_POLICIES:
            raise ValueError(f"unreadable ({unreadable!r}) must be one of {', '.join(UNREADABLE_POLICIES)}")
        config = config or MicroEmoConfig()
        self.processor = processor
        self.clips = clips or ClipLoader(ReadingSettings(**processor.reading_settings))
        self.dropout = dropout
        self.unreadable = unreadable
        self.stretch_seconds = stretch_seconds
        self.perceiver = None if perceiver is None else ClipPerceiver(perceiver, processor=processor)
        self.uses_faces = config.use_local_branch
        self.emotion_names = tuple(config.emotion_id2label.values())
        self.expression_ids = label_ids(config.expression_id2label)
        self.unit_names = tuple(config.action_unit_id2label.values())

    def __call__(self, rows: Sequence[Example | Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Returns the batch of the given examples."""
        entries = self._read([row if isinstance(row, Example) else Example.from_row(row) for row in rows])
        evidence = [None if self.perceiver is None else self.perceiver(entry.clip) for entry in entries]
        entries = [replace(entry, clip=self.processor.fit_clip(entry.clip)) for entry in entries]
        turns = [turn_of(entry.example, clip=entry.clip) for entry in entries]
        if self.stretch_seconds is not None:
            entries = [replace(entry, clip=_augmented_faces(entry, seconds=self.stretch_seconds)) for entry in entries]
        clips = [entry.clip for entry in entries]
        if self.dropout is not None:
            clips, turns, evidence = _drop_streams(self.dropout, clips, turns, evidence)
        return {
            **self._inputs(clips, turns, evidence),
            **face_track_ids(clips),
            **self._emotion_labels(entries, clips),
            **self._face_labels(entries, clips),
        }

    def _read(self, examples: Sequence[Example]) -> list[ReadExample]:
        entries = []
        for example in examples:
            try:
                entry = self.clips.load(example)
            except ValueError as error:
                if self.unreadable == "raise":
                    raise
                logger.warning(f"skipped: {error}")
                continue
            clip = with_utterances(entry.clip)
            if not self.uses_faces:
                clip = clip.without_faces()
            targets = entry.targets or (example.targets,) * len(clip.utterances)
            entries.append(ReadExample(example, clip, targets))
        if not entries:
            raise ValueError(f"none of {len(examples)} examples of a batch could be read")
        return entries

    def _inputs(
        self, clips: Sequence[Clip], turns: Sequence[Turn | None], evidence: Sequence[ClipEvidence | None]
    ) -> dict[str, torch.Tensor]:
        if not any(turns):
            inputs = dict(self.processor.from_clip(clips, evidence=evidence, padding_side="right"))
            labels = torch.full_like(inputs["input_ids"], IGNORE_INDEX)
            return {**inputs, "labels": labels}
        filled_turns = [turn or NO_TURN for turn in turns]
        inputs = dict(
            self.processor.from_clip(
                clips,
                question=[turn.question for turn in filled_turns],
                answer=[turn.answer for turn in filled_turns],
                evidence=evidence,
                padding_side="right",
            )
        )
        inputs["labels"][torch.tensor([turn is None for turn in turns])] = IGNORE_INDEX
        return inputs

    def _emotion_labels(self, entries: Sequence[ReadExample], clips: Sequence[Clip]) -> dict[str, torch.Tensor]:
        count = max(len(clip.utterances) for clip in clips)
        emotions = np.full((len(entries), count, len(self.emotion_names)), IGNORE_INDEX, np.float32)
        affect = np.full((len(entries), count, 2), IGNORE_INDEX, np.float32)
        for row, entry in enumerate(entries):
            for column, targets in enumerate(self._targets(entry)):
                emotions[row, column] = emotion_labels(targets, names=self.emotion_names)
                affect[row, column] = valence_arousal_labels(targets)
        return {"emotion_labels": torch.from_numpy(emotions), "valence_arousal_labels": torch.from_numpy(affect)}

    def _targets(self, entry: ReadExample) -> tuple[EmotionTargets, ...]:
        if len(entry.targets) != len(entry.clip.utterances):
            raise ValueError(
                f"example {entry.example.example_id!r} has targets of {len(entry.targets)} utterances, its clip has "
                f"{len(entry.clip.utterances)}"
            )
        return entry.targets

    def _face_labels(self, entries: Sequence[ReadExample], clips: Sequence[Clip]) -> dict[str, torch.Tensor]:
        """Labels at the times of the crops; empty if no clip of the batch has a face."""
        times = [np.zeros(0) if clip.face_times is None else np.asarray(clip.face_times) for clip in clips]
        count = max(len(row) for row in times)
        if count == 0:
            return {}
        micro = np.full((len(entries), count), IGNORE_INDEX, np.float32)
        expressions = np.full((len(entries), count), IGNORE_INDEX, np.int64)
        units = np.full((len(entries), count, len(self.unit_names)), IGNORE_INDEX, np.float32)
        for row, (entry, face_times) in enumerate(zip(entries, times, strict=True)):
            timeline, faces = entry.example.timeline, slice(len(face_times))
            micro[row, faces] = micro_labels(timeline, times=face_times)
            expressions[row, faces] = expression_labels(timeline, times=face_times, label_ids=self.expression_ids)
            units[row, faces] = action_unit_labels(timeline, times=face_times, unit_names=self.unit_names)
        return {
            "micro_labels": torch.from_numpy(micro),
            "expression_labels": torch.from_numpy(expressions),
            "action_unit_labels": torch.from_numpy(units),
        }


def _drop_streams(
    dropout: StreamDropout,
    clips: Sequence[Clip],
    turns: Sequence[Turn | None],
    evidence: Sequence[ClipEvidence | None],
) -> tuple[list[Clip], list[Turn | None], list[ClipEvidence | None]]:
    """Hides random streams of each clip; a clip with hidden streams loses its answer and their evidence."""
    new_clips, new_turns, new_evidence = [], [], []
    for clip, turn, entries in zip(clips, turns, evidence, strict=True):
        hidden = dropout.draw()
        if FACE_RATE in hidden:
            clip = every_second_crop(clip)
        new_clip = hide_streams(clip, hidden=hidden - {FACE_RATE})
        changed = new_clip is not clip
        new_clips.append(new_clip)
        new_turns.append(None if changed else turn)
        new_evidence.append(without_streams(entries, hidden=hidden) if changed and entries is not None else entries)
    return new_clips, new_turns, new_evidence


def _augmented_faces(entry: ReadExample, *, seconds: float) -> Clip:
    clip = draw_face_clip(entry.clip, timeline=entry.example.timeline, seconds=seconds)
    return mirror_faces(clip) if torch.rand(()) < 0.5 else clip


def face_track_ids(clips: Sequence[Clip]) -> dict[str, torch.Tensor]:
    """The track of each crop, (B, F) long; empty if no clip of the batch has a face."""
    rows = [np.zeros(0, np.int64) if clip.face_track_ids is None else clip.face_track_ids for clip in clips]
    if not any(len(row) for row in rows):
        return {}
    return {"face_track_ids": pad_rows([torch.as_tensor(np.asarray(row), dtype=torch.long) for row in rows])}
