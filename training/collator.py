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
from microemo.processing.clip import Clip
from microemo.processing.clip_tensors import IGNORE_INDEX, pad_rows
from microemo.processing.prompt_text import with_utterances
from microemo.processing.reading_settings import ReadingSettings
from microemo.training.answers import turn_of, turn_without
from microemo.training.clip_features import ClipLoader, ReadExample
from microemo.training.emotion_targets import emotion_labels, label_ids, valence_arousal_labels
from microemo.training.example import EmotionTargets, Example, Turn
from microemo.training.face_labels import action_unit_labels, expression_labels, micro_labels
from microemo.training.face_stretches import draw_stretch, mirrored
from microemo.training.segment_words import video_words, voice_words
from microemo.training.stream_dropout import FACE_RATE, StreamDropout, every_second_crop, hidden_channels, hide_streams
from microemo.training.voice_masks import check_voice_masks, hide_parts
from microemo.training.voice_variants import check_voice_speed, other_speaker

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

    with -100 wherever something is not known. Clips may lack streams, each its own. For the word alignment there are

    | `video_word_labels`, `audio_word_labels` | (B, S, K) long | see `segment_words` |
    | `time_shifts` | (B,) float | seconds, drawn anew each time, by which times and the words for them are moved |

    Args:
        processor: of the model.
        config: whose label sets the heads have; microemo-mini's by default. Faces are left out where it has no local
            branch.
        clips: reads the files; by default with the processor's reading settings.
        dropout: how often streams are hidden. The answer is then told without them; if it cannot be, it is not learnt.
        unreadable: "raise", or "skip" examples whose files cannot be read, with a warning.
        segment_words: whether the tokens' words are wanted as well.
        latest_seconds: up to where a clip is moved for them; 0: not at all.
        voice_speed: how much faster or slower recordings without pictures are played, drawn each time; see
            `voice_variants`. voice_masks: how much of them is hidden, see `voice_masks`; with pictures too.
        stretch_seconds: only so much of each face is given, another part each time, and half of them mirrored; None:
            all, as it is.
    """

    def __init__(
        self,
        processor: MicroEmoProcessor,
        *,
        config: MicroEmoConfig | None = None,
        clips: ClipLoader | None = None,
        dropout: StreamDropout | None = None,
        unreadable: str = "raise",
        segment_words: bool = False,
        latest_seconds: float = 0.0,
        stretch_seconds: float | None = None,
        voice_speed: float = 0.0,
        voice_masks: float = 0.0,
    ) -> None:
        if unreadable not in UNREADABLE_POLICIES:
            raise ValueError(f"unreadable ({unreadable!r}) must be one of {', '.join(UNREADABLE_POLICIES)}")
        check_voice_speed(voice_speed)
        check_voice_masks(voice_masks)
        config = config or MicroEmoConfig()
        self.processor = processor
        self.clips = clips or ClipLoader(ReadingSettings(**processor.reading_settings))
        self.dropout = dropout
        self.unreadable = unreadable
        self.segment_words, self.latest_seconds = segment_words, latest_seconds
        self.stretch_seconds = stretch_seconds
        self.voice_speed, self.voice_masks = voice_speed, voice_masks
        self.uses_faces = config.use_local_branch
        self.emotion_names = tuple(config.emotion_id2label.values())
        self.expression_ids = label_ids(config.expression_id2label)
        self.unit_names = tuple(config.action_unit_id2label.values())

    def __call__(self, rows: Sequence[Example | Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """The batch of some examples."""
        read = self._read([row if isinstance(row, Example) else Example.from_row(row) for row in rows])
        read = [replace(entry, clip=other_speaker(entry.clip, spread=self.voice_speed)) for entry in read]
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
            turns = [
                turn_without(turn, hidden=hidden_channels(clip, now))
                for now, clip, turn in zip(hidden, clips, turns, strict=True)
            ]
            clips = hidden
        batch = self._inputs(clips, turns)
        if "input_features" in batch:
            batch["input_features"] = hide_parts(
                batch["input_features"], audio_mask=batch["audio_mask"], share=self.voice_masks
            )
        return {
            **batch,
            **face_track_ids(clips),
            **self._emotion_labels(read, clips),
            **self._face_labels(read, clips),
            **(self._word_labels(read, clips) if self.segment_words else {}),
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

    def _inputs(self, clips: Sequence[Clip], turns: Sequence[Turn | None]) -> dict[str, torch.Tensor]:
        if not any(turns):
            inputs = dict(self.processor.from_clip(clips, padding_side="right"))
            labels = torch.full_like(inputs["input_ids"], IGNORE_INDEX)
            return {**inputs, "labels": labels}
        asked = [turn or NO_TURN for turn in turns]
        inputs = dict(
            self.processor.from_clip(
                clips,
                question=[turn.question for turn in asked],
                answer=[turn.answer for turn in asked],
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

    def _word_labels(self, read: Sequence[ReadExample], clips: Sequence[Clip]) -> dict[str, torch.Tensor]:
        """What the streams' tokens shall say, and by how much the clips are moved in time."""
        room = torch.tensor([self.latest_seconds - (clip.end_seconds - clip.start_seconds) for clip in clips])
        shifts = torch.rand(len(clips)) * room.clamp(min=0.0)
        seen = [
            video_words(entry.example.timeline, clip=clip, shift_seconds=shift)
            for entry, clip, shift in zip(read, clips, shifts.tolist(), strict=True)
        ]
        count = self.processor.audio_tokens_per_segment
        heard = [
            voice_words(clip, targets=self._targets(entry), count=count)
            for entry, clip in zip(read, clips, strict=True)
        ]
        return {
            "video_word_labels": self._word_ids(seen, count=self.processor.video_tokens_per_segment),
            "audio_word_labels": self._word_ids(heard, count=count),
            "time_shifts": shifts,
        }

    def _word_ids(self, words: Sequence[Sequence[Sequence[str | None]]], *, count: int) -> torch.Tensor:
        """(B, S, count) long, the first token of every word."""
        ids = torch.full((len(words), max(map(len, words)), count), IGNORE_INDEX)
        for row, segments in enumerate(words):
            for place, segment in enumerate(segments):
                for slot, word in enumerate(segment[:count]):
                    if word is not None:
                        ids[row, place, slot] = self.processor.tokenizer(word, add_special_tokens=False).input_ids[0]
        return ids


def _a_stretch(entry: ReadExample, *, seconds: float) -> Clip:
    clip = draw_stretch(entry.clip, timeline=entry.example.timeline, seconds=seconds)
    return mirrored(clip) if torch.rand(()) < 0.5 else clip


def face_track_ids(clips: Sequence[Clip]) -> dict[str, torch.Tensor]:
    """(B, F) long, whose face each crop shows; nothing where no clip of the batch shows a face."""
    rows = [np.zeros(0, np.int64) if clip.face_track_ids is None else clip.face_track_ids for clip in clips]
    if not any(len(row) for row in rows):
        return {}
    return {"face_track_ids": pad_rows([torch.as_tensor(np.asarray(row), dtype=torch.long) for row in rows])}
