"""Tokenized examples of the language part: prompt with evidence, precomputed soft tokens, and targets.

Shapes: N tokens, U utterances, E emotions, S segments, K tokens per segment, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from microemo import MicroEmoProcessor
from microemo.data.emotion_targets import emotion_labels
from microemo.data.example import Example, LabelledUtterance
from microemo.data.readers.public_corpora import in_turn
from microemo.outputs import MicroEmoStreamOutput
from microemo.processing.clip import Clip, Utterance
from microemo.processing.clip_tensors import IGNORE_INDEX
from microemo.processing.evidence import Evidence
from microemo.training.language.answers import clip_answer, utterance_answer
from microemo.training.language.co_judgement import co_judge, emotion_targets

PIXEL = np.zeros((1, 1, 1, 3), np.uint8)  # placeholder for frames whose soft tokens are precomputed
SAMPLE = np.zeros(1, np.float32)


@dataclass(frozen=True)
class LanguageExample:
    """One tokenized example.

    Args:
        input_ids: (N,) long.
        labels: (N,) long, -100 outside of the answer.
        emotions: (U, E), affect: (U, 2); -100 where unknown.
        video, audio: (S * K, D) soft tokens; None if the prompt has no placeholders for them.
    """

    input_ids: torch.Tensor
    labels: torch.Tensor
    emotions: torch.Tensor
    affect: torch.Tensor
    video: torch.Tensor | None = None
    audio: torch.Tensor | None = None


def words_clip(example: Example, *, processor: MicroEmoProcessor) -> Clip:
    """The utterances of an example as a clip without video and audio."""
    spoken = tuple(_utterance(each) for each in in_turn(example.utterances))
    return processor.fit_clip(Clip(example.example_id, 0.0, spoken[-1].end_seconds, spoken))


def words_example(
    example: Example,
    *,
    processor: MicroEmoProcessor,
    names: Sequence[str],
    evidence: Sequence[Sequence[Evidence]] | None = None,
) -> LanguageExample:
    """A text-only example with human labels and no question. evidence: of the words, for the prompt."""
    clip = words_clip(example, processor=processor)
    ids = processor.prompt_inputs(clip, evidence=evidence)["input_ids"][0]
    targets = np.stack([emotion_labels(each.targets, names=names) for each in example.utterances])
    affect = torch.full((len(targets), 2), float(IGNORE_INDEX))
    return LanguageExample(ids, torch.full_like(ids, IGNORE_INDEX), torch.from_numpy(targets), affect)


def evidence_example(
    clip: Clip,
    evidence: Sequence[Sequence[Evidence]],
    *,
    processor: MicroEmoProcessor,
    names: Sequence[str],
    rng: np.random.Generator,
    shows_evidence: bool = True,
    video: np.ndarray | None = None,
    audio: np.ndarray | None = None,
) -> LanguageExample:
    """A question about the clip or one of its utterances, with the target answer for the evidence.

    Args:
        shows_evidence: False leaves the evidence out of the prompt, so that only the soft tokens carry it.
    """
    with_placeholders = replace(
        clip,
        frames=None if video is None else PIXEL,
        frame_times=None if video is None else np.zeros(1),
        waveform=None if audio is None else SAMPLE,
    )
    prompt_evidence = evidence if shows_evidence else None
    prefix = processor.prompt_inputs(with_placeholders, evidence=prompt_evidence)["input_ids"][0]
    index = int(rng.integers(len(clip.utterances) + 1))
    question = processor.default_questions(processor.fit_clip(with_placeholders, evidence=prompt_evidence))[index]
    if index == 0:
        answer = clip_answer(evidence, offset=clip.start_seconds, rng=rng)
    else:
        utterance = clip.utterances[index - 1]
        span = utterance.start_seconds, utterance.end_seconds
        answer = utterance_answer(evidence[index - 1], span=span, offset=clip.start_seconds, rng=rng)
    question_ids = processor.question_inputs([question])["input_ids"][0]
    encoded = processor.tokenizer(f"{answer}<|im_end|>", add_special_tokens=False, return_tensors="pt")
    answer_ids = encoded["input_ids"][0]
    ids = torch.cat([prefix, question_ids, answer_ids])
    labels = torch.cat([torch.full_like(ids[: -len(answer_ids)], IGNORE_INDEX), answer_ids])
    judgements = [co_judge(findings) for findings in evidence]
    emotions = [
        emotion_targets(judgement, findings, names=names)
        for judgement, findings in zip(judgements, evidence, strict=True)
    ]
    affect = [judgement.valence_arousal for judgement in judgements]
    return LanguageExample(
        ids,
        labels,
        torch.from_numpy(np.stack(emotions)),
        torch.tensor(affect, dtype=torch.float32),
        None if video is None else torch.from_numpy(video),
        None if audio is None else torch.from_numpy(audio),
    )


def save_examples(examples: Sequence[LanguageExample], *, path: Path) -> None:
    """Saves examples as plain tensors, so that they load with `weights_only=True`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")  # an interrupted run leaves no incomplete file
    entries = [{name: value for name, value in vars(each).items() if value is not None} for each in examples]
    torch.save(entries, partial)
    partial.replace(path)


def load_examples(path: Path) -> list[LanguageExample]:
    """Loads the examples of `save_examples`."""
    return [LanguageExample(**entry) for entry in torch.load(path, weights_only=True)]


class LanguageCollator:
    """Collates `LanguageExample`s for `MicroEmoForConditionalGeneration`, padded on the right."""

    def __init__(self, *, pad_token_id: int) -> None:
        self.pad_token_id = pad_token_id

    def __call__(self, examples: Sequence[LanguageExample]) -> dict[str, Any]:
        """Returns the batch, without streams that no example has."""
        lengths = torch.tensor([len(each.input_ids) for each in examples])
        counts = torch.tensor([len(each.emotions) for each in examples])
        ids = pad_sequence([each.input_ids for each in examples], batch_first=True, padding_value=self.pad_token_id)
        utterances = torch.arange(int(counts.max())).expand(len(examples), -1) < counts.unsqueeze(1)
        batch = {
            "input_ids": ids,
            "attention_mask": (torch.arange(ids.shape[1]) < lengths.unsqueeze(1)).long(),
            "labels": _padded([each.labels for each in examples]),
            "emotion_labels": _padded([each.emotions for each in examples]),
            "valence_arousal_labels": _padded([each.affect for each in examples]),
            "utterance_times": torch.zeros(*utterances.shape, 2),
            "utterance_mask": utterances,
        }
        streams = {name: [getattr(each, name) for each in examples] for name in ("video", "audio")}
        features = {
            name: MicroEmoStreamOutput(pooler_output=_tokens(rows))
            for name, rows in streams.items()
            if any(row is not None for row in rows)
        }
        return {**batch, **({"mm_encoder_outputs": features} if features else {})}


def _utterance(spoken: LabelledUtterance) -> Utterance:
    return Utterance(spoken.start_seconds or 0.0, spoken.end_seconds or 0.1, spoken.text, spoken.speaker)


def _padded(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    return pad_sequence(list(rows), batch_first=True, padding_value=IGNORE_INDEX)


def _tokens(rows: Sequence[torch.Tensor | None]) -> tuple[torch.Tensor, ...]:
    width = next(row.shape[-1] for row in rows if row is not None)
    return tuple(torch.zeros(0, width) if row is None else row for row in rows)
