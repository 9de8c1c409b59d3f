"""Converts a batch of clips, or questions about one clip, to tensors through a processor's chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers.feature_extraction_utils import BatchFeature

from .clip import Clip
from .clip_tensors import face_tensors, labels_outside_answers, relative_times
from .evidence import Evidence
from .placeholder_expansion import count_token, count_windows
from .prompt_text import clip_conversation, one_text_per_clip, sanitize_text
from .video_processing_microemo import frame_metadata


def clip_inputs(
    processor: Any,
    clips: Sequence[Clip],
    *,
    question: str | Sequence[str] | None,
    answer: str | Sequence[str] | None,
    evidence: Sequence[Sequence[Sequence[Evidence]] | None],
    soft_tokens: bool,
    chat_template: str | None,
    padding_side: str | None,
    return_tensors: str,
) -> BatchFeature:
    """Returns the model's inputs; see `MicroEmoProcessor.from_clip`."""
    if not clips:
        raise ValueError("clip is an empty list, at least one Clip is needed")
    if answer is not None and question is None:
        raise ValueError("answer was given without a question")
    questions = one_text_per_clip(question, name="question", count=len(clips))
    answers = one_text_per_clip(answer, name="answer", count=len(clips))
    _check_sampling_rates(clips, rate=processor.feature_extractor.sampling_rate)
    if len(evidence) != len(clips):
        raise ValueError(f"evidence has {len(evidence)} entries for {len(clips)} clips")
    fitted = [
        processor.fit_clip(clip, evidence=clip_evidence, soft_tokens=soft_tokens)
        for clip, clip_evidence in zip(clips, evidence, strict=True)
    ]
    with_frames = [clip for clip in clips if soft_tokens and clip.frames is not None and len(clip.frames)]
    inputs = processor.apply_chat_template(
        [
            clip_conversation(
                clip,
                evidence=clip_evidence,
                soft_tokens=soft_tokens,
                question=sanitize_lines(processor, q),
                answer=sanitize_lines(processor, a),
            )
            for clip, clip_evidence, q, a in zip(fitted, evidence, questions, answers, strict=True)
        ],
        chat_template=chat_template,
        tokenize=True,
        return_dict=True,
        return_tensors=return_tensors,
        add_generation_prompt=question is not None and answer is None,
        return_assistant_tokens_mask=answer is not None,
        shared_prefix=question is None,
        processor_kwargs={
            "padding": True,
            "padding_side": padding_side or ("left" if answer is None else "right"),
            "do_sample_frames": False,
            "video_metadata": [frame_metadata(relative_times(clip.frame_times, clip)) for clip in with_frames] or None,
        },
    )
    if answer is not None:
        inputs["labels"] = labels_outside_answers(inputs["input_ids"], inputs.pop("assistant_masks"))
    inputs.update(face_tensors(fitted, preprocess=processor.video_processor.preprocess_faces))
    return inputs.convert_to_tensors(return_tensors)


def question_suffixes(processor: Any, questions: Sequence[str]) -> list[list[int]]:
    """Token ids of each question, from the end of the shared prefix to the start of the answer."""
    last = {"type": "utterance", "start": 0.0, "end": 1.0}  # stands for the end of any prefix
    suffixes = []
    for question in questions:
        content = [last, {"type": "text", "text": sanitize_lines(processor, question)}]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        suffix = prompt[prompt.rindex(processor.utterance_end_token) :]
        # Tokenised together with the prefix's last token: some tokenizers treat the start of a text differently.
        suffixes.append(processor.tokenizer(suffix, add_special_tokens=False)["input_ids"][1:])
    return suffixes


def prefix_ids(
    processor: Any, clip: Clip, *, evidence: Sequence[Sequence[Evidence]] | None = None, soft_tokens: bool = True
) -> list[int]:
    """Token ids of a clip's shared prefix, without processing its frames and audio."""
    conversation = clip_conversation(clip, evidence=evidence, soft_tokens=soft_tokens)
    prompt = processor.apply_chat_template(conversation, shared_prefix=True)
    frames = len(clip.frames) if clip.frames is not None else 0
    segments = processor.count_segments(prompt, windows=count_windows(frames, stride=processor.window_stride))
    for token, tokens in (
        (processor.video_token, processor.video_tokens_per_segment),
        (processor.audio_token, processor.audio_tokens_per_segment),
    ):
        count = count_token(prompt, token)
        if count:
            prompt = prompt.replace(token, token * (tokens * segments // count))
    return processor.tokenizer(prompt, add_special_tokens=False)["input_ids"]


def sanitize_lines(processor: Any, text: str | None) -> str | None:
    """A question or an answer without control tokens; line breaks are kept."""
    return None if text is None else sanitize_text(text, special_tokens=processor.control_tokens, keep_newlines=True)


def _check_sampling_rates(clips: Sequence[Clip], *, rate: int) -> None:
    for clip in clips:
        if clip.waveform is not None and clip.sampling_rate != rate:
            raise ValueError(f"{clip.source} was read at {clip.sampling_rate} Hz, the audio tower needs {rate} Hz")
