"""Examples -> a batch for the model, with the targets of the language model and of both heads.

B clips, U utterances, E emotions, F face crops, A action units, N tokens.
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
from microemo.training.clip_evidence import ClipEvidence, ClipFindings, without_streams
from microemo.training.objectives.face_clips import draw_stretch, mirrored
from microemo.training.objectives.face_labels import action_unit_labels, expression_labels, micro_labels

logger = logging.get_logger(__name__)

NO_TURN = Turn("", "")  # of a clip without an answer in a batch where others have one; its labels are masked
UNREADABLE_POLICIES = ("raise", "skip")


class MicroEmoDataCollator:
    """For `Trainer(data_collator=...)`: rows of `load_examples`, or examples, to the model's inputs and labels.

    The batch holds what `MicroEmoProcessor.from_clip` gives, padded on the right, and

    | name | shape | |
    |---|---|---|
    | `labels` | (B, N) long | the tokens of the answers, by the chat template's generation marks |
    | `emotion_labels` | (B, U, E) float | see `emotion_targets` |
    | `valence_arousal_labels` | (B, U, 2) float | in -1..1 |
    | `micro_labels`, `expression_labels`, `action_unit_labels` | (B, F), (B, F), (B, F, A) | with faces alone |

    with -100 wherever something is not known. Clips may lack streams, each its own.

    Args:
        processor: of the model.
        config: whose label sets the heads have; microemo-mini's by default. Faces are left out where it has no local
            branch.
        clips: reads the files; by default with the processor's reading settings.
        dropout: how often streams are hidden. The answer, which may speak of them, is then not learnt.
        unreadable: "raise", or "skip" examples whose files cannot be read, with a warning.
        stretch_seconds: only so much of each face is given, another part each time, and half of them mirrored; None:
            all, as it is.
        perceiver: the model whose perception is written into the prompts as at inference; None writes no evidence.
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
        self.evidence = None if perceiver is None else ClipEvidence(perceiver, processor=processor)
        self.uses_faces = config.use_local_branch
        self.emotion_names = tuple(config.emotion_id2label.values())
        self.expression_ids = label_ids(config.expression_id2label)
        self.unit_names = tuple(config.action_unit_id2label.values())

    def __call__(self, rows: Sequence[Example | Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """The batch of some examples."""
        read = self._read([row if isinstance(row, Example) else Example.from_row(row) for row in rows])
        evidence = [None if self.evidence is None else self.evidence(entry.clip) for entry in read]
        read = [replace(entry, clip=self.processor.fit_clip(entry.clip)) for entry in read]
        turns = [turn_of(entry.example, clip=entry.clip) for entry in read]
        if self.stretch_seconds is not None:
            read = [replace(entry, clip=_a_stretch(entry, seconds=self.stretch_seconds)) for entry in read]
        clips = [entry.clip for entry in read]
        if self.dropout is not None:
            drawn = [self.dropout.draw() for _ in clips]
            clips = [
                every_second_crop(clip) if FACE_RATE in names else clip
                for clip, names in zip(clips, drawn, strict=True)
            ]
            hidden = [hide_streams(clip, hidden=names - {FACE_RATE}) for clip, names in zip(clips, drawn, strict=True)]
            turns = [turn if now is clip else None for now, clip, turn in zip(hidden, clips, turns, strict=True)]
            evidence = [
                None if found is None else without_streams(found, hidden=names if now is not clip else ())
                for now, clip, names, found in zip(hidden, clips, drawn, evidence, strict=True)
            ]
            clips = hidden
        return {
            **self._inputs(clips, turns, evidence),
            **face_track_ids(clips),
            **self._emotion_labels(read, clips),
            **self._face_labels(read, clips),
        }

    def _read(self, examples: Sequence[Example]) -> list[ReadExample]:
        read = []
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
            read.append(ReadExample(example, clip, targets))
        if not read:
            raise ValueError(f"none of {len(examples)} examples of a batch could be read")
        return read

    def _inputs(
        self, clips: Sequence[Clip], turns: Sequence[Turn | None], evidence: Sequence[ClipFindings | None]
    ) -> dict[str, torch.Tensor]:
        if not any(turns):
            inputs = dict(self.processor.from_clip(clips, evidence=evidence, padding_side="right"))
            labels = torch.full_like(inputs["input_ids"], IGNORE_INDEX)
            return {**inputs, "labels": labels}
        asked = [turn or NO_TURN for turn in turns]
        inputs = dict(
            self.processor.from_clip(
                clips,
                question=[turn.question for turn in asked],
                answer=[turn.answer for turn in asked],
                evidence=evidence,
                padding_side="right",
            )
        )
        inputs["labels"][torch.tensor([turn is None for turn in turns])] = IGNORE_INDEX
        return inputs

    def _emotion_labels(self, read: Sequence[ReadExample], clips: Sequence[Clip]) -> dict[str, torch.Tensor]:
        count = max(len(clip.utterances) for clip in clips)
        emotions = np.full((len(read), count, len(self.emotion_names)), IGNORE_INDEX, np.float32)
        affect = np.full((len(read), count, 2), IGNORE_INDEX, np.float32)
        for row, entry in enumerate(read):
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

    def _face_labels(self, read: Sequence[ReadExample], clips: Sequence[Clip]) -> dict[str, torch.Tensor]:
        """Targets at the crops' times; nothing where no clip of the batch shows a face."""
        times = [np.zeros(0) if clip.face_times is None else np.asarray(clip.face_times) for clip in clips]
        count = max(len(row) for row in times)
        if count == 0:
            return {}
        micro = np.full((len(read), count), IGNORE_INDEX, np.float32)
        expressions = np.full((len(read), count), IGNORE_INDEX, np.int64)
        units = np.full((len(read), count, len(self.unit_names)), IGNORE_INDEX, np.float32)
        for row, (entry, seen) in enumerate(zip(read, times, strict=True)):
            timeline, faces = entry.example.timeline, slice(len(seen))
            micro[row, faces] = micro_labels(timeline, times=seen)
            expressions[row, faces] = expression_labels(timeline, times=seen, label_ids=self.expression_ids)
            units[row, faces] = action_unit_labels(timeline, times=seen, unit_names=self.unit_names)
        return {
            "micro_labels": torch.from_numpy(micro),
            "expression_labels": torch.from_numpy(expressions),
            "action_unit_labels": torch.from_numpy(units),
        }


def _a_stretch(entry: ReadExample, *, seconds: float) -> Clip:
    clip = draw_stretch(entry.clip, timeline=entry.example.timeline, seconds=seconds)
    return mirrored(clip) if torch.rand(()) < 0.5 else clip


def face_track_ids(clips: Sequence[Clip]) -> dict[str, torch.Tensor]:
    """(B, F) long, whose face each crop shows; nothing where no clip of the batch shows a face."""
    rows = [np.zeros(0, np.int64) if clip.face_track_ids is None else clip.face_track_ids for clip in clips]
    if not any(len(row) for row in rows):
        return {}
    return {"face_track_ids": pad_rows([torch.as_tensor(np.asarray(row), dtype=torch.long) for row in rows])}
