"""Questions about an example and the reference answers for the language model."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from microemo.data.example import NO_QUESTION, EmotionTargets, Example, Turn, writable_labels
from microemo.processing.clip import Clip
from microemo.processing.emotion_parsing import format_emotions
from microemo.processing.prompt_text import default_questions

# Separate questions for incomplete answers: a model trained to answer the full question with labels only would stop
# giving reasons.
LABELS_QUESTION = "Which emotions are shown? Name them only."
DESCRIPTION_QUESTION = "Infer the emotional state and give your reasons."
QUESTION_CHOICES = ("all", "one", "clip", "none")


def turn_of(example: Example, *, clip: Clip) -> Turn | None:
    """Returns the question and answer of an example; None without a question or without an answer.

    Args:
        clip: the clip of the example, with the times that the questions refer to.
    """
    if example.turn is not None:
        return example.turn
    if example.question_index == NO_QUESTION:
        return None
    index = example.question_index
    if index is None:
        index = next(iter(answered_questions(example)), 0)
    targets = example.targets if index == 0 else example.utterances[index - 1].targets
    answer = _answer(targets)
    if not answer:
        return None
    if not targets.description:
        return Turn(LABELS_QUESTION, answer)
    if not writable_labels(targets.open_labels):
        return Turn(DESCRIPTION_QUESTION, answer)
    questions = default_questions(clip)
    if index >= len(questions):
        raise ValueError(f"question {index} of {example.example_id!r}: the clip has {len(clip.utterances)} utterances")
    return Turn(questions[index], answer)


def spread_questions(examples: Iterable[Example], *, choice: str = "all") -> Iterator[Example]:
    """Yields every example once for each of its questions, or once if it has no answer.

    Args:
        choice: "all" questions with an answer, "one" of them (deterministic per example), the one about the whole
            "clip", or "none" to train only the heads.
    """
    if choice not in QUESTION_CHOICES:
        raise ValueError(f"choice ({choice!r}) must be one of {', '.join(QUESTION_CHOICES)}")
    for example in examples:
        answered = answered_questions(example)
        if choice == "none":
            yield replace(example, turn=None, question_index=NO_QUESTION)
        elif example.turn is not None or not answered:
            yield example
        elif choice == "one":
            index = zlib.crc32(example.example_id.encode()) % len(answered)
            yield replace(example, question_index=answered[index])
        else:
            questions = answered if choice == "all" else answered[:1]
            yield from (replace(example, question_index=index) for index in questions)


def answered_questions(example: Example) -> tuple[int, ...]:
    """Returns the indices of the questions with an answer: 0 about the clip, u about utterance u."""
    targets = (example.targets, *(utterance.targets for utterance in example.utterances))
    return tuple(number for number, entry in enumerate(targets) if _answer(entry))


def _answer(targets: EmotionTargets) -> str:
    labels = writable_labels(targets.open_labels)
    return format_emotions(labels, targets.description) if labels else targets.description
