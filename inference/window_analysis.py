"""One clip, or one window of a long one, through the model: what each stream shows, as plain arrays.

F face crops, U utterances, E emotions, X expressions, A action units.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch

from microemo import MicroEmoForConditionalGeneration
from microemo.processing.facial_events import FaceScores, FaceTimeline, detect_events
from microemo.generation_cache import CACHE_NAME, cache_bytes
from microemo.inference.asked_scopes import AskedScope, answer_rules, asked_scopes
from microemo.inference.face_curves import strongest_moments
from microemo.inference.report import Thumbnail
from microemo.inference.stage_clock import Progress
from microemo.inference.trained_outputs import TrainedOutputs
from microemo.prefix_generation import MicroEmoPrefix
from microemo.processing.clip import Clip
from microemo.processing.emotion_parsing import ParsedEmotions
from microemo.processing.processing_microemo import MicroEmoProcessor
from microemo.processing.prompt_text import prompt_words, with_utterances
from microemo.processing.prosody import VoiceTrace, trace_voices

FACE_KEYS = ("face_times", "face_mask", "face_track_ids")
ACTION_KEYS = ("face_actions", "relative_face_actions", "face_actions_mask")
AUDIO_KEYS = ("audio_mask", "frame_times", "frame_mask", "utterance_times", "utterance_mask")
CAST_INPUTS = ("pixel_values_videos", "face_pixel_values", "input_features")  # times keep float32 in every dtype
# A step of generation reads all weights whatever the number of answers, so many are written at once: as many as their
# caches leave room for, within these bounds.
FEWEST_AT_ONCE, MOST_AT_ONCE = 8, 24
CACHES_BYTES = 1 << 30
ANSWER_TOKENS = 256
PICTURES_A_FACE = 3  # for each window
JPEG_QUALITY = 85


@dataclass(frozen=True)
class WindowFindings:
    """What a window shows. `clip` is the window without its pictures and sound, `used` says which of them it had.

    faces, timelines: of each attended person, on the video's clock; () without a face.
    voice_emotions (U, V) probabilities of what each utterance sounds of, voice_traces its pitch and loudness; None
    without sound. emotions (U, E) probabilities, valence_arousal (U, 2) in [-1, 1], answers: the clip's, then each
    utterance's as far as they are written; None where untrained or not asked for.
    """

    clip: Clip
    used: frozenset[str]
    faces: tuple[FaceScores, ...] = ()
    timelines: tuple[FaceTimeline, ...] = ()
    emotions: np.ndarray | None = None
    valence_arousal: np.ndarray | None = None
    answers: tuple[ParsedEmotions, ...] | None = None
    thumbnails: tuple[Thumbnail, ...] = ()
    voice_emotions: np.ndarray | None = None
    voice_traces: tuple[VoiceTrace, ...] | None = None


@torch.no_grad()
def window_steps(
    clip: Clip,
    *,
    model: MicroEmoForConditionalGeneration,
    processor: MicroEmoProcessor,
    outputs: TrainedOutputs,
    progress: Progress,
) -> Iterator[WindowFindings]:
    """Yields what is known of a clip, each time more: the faces, the emotions, each batch of explanations.

    The last findings hold all of it. What costs least comes first, and nothing is computed twice.
    """
    clip = with_utterances(clip)
    fitted = processor.fit_clip(clip)
    inputs: dict[str, Any] = _inputs(fitted, model=model, processor=processor)
    progress("model", 0, 1)
    features: Any = None
    scores: tuple[FaceScores, ...] = ()
    if outputs.face and "face_pixel_values" in inputs:
        where = {name: inputs[name] for name in FACE_KEYS}
        features = model.get_face_features(inputs.pop("face_pixel_values"), **where, **_present(inputs, ACTION_KEYS))
        (scores,) = model.model.face_scores(features, *where.values())
    faces = _face_scores(clip, scores, outputs=outputs)
    timelines = tuple(detect_events(each, neutral=model.config.neutral_expression) for each in faces)
    if features is not None:
        of_window = tuple(line.shifted(-clip.start_seconds) for line in timelines)
        inputs["mm_encoder_outputs"] = {"face": features, "timelines": (of_window,)}
    voice_logits: Any = None
    if outputs.voice and "input_features" in inputs:
        heard: Any = model.get_audio_features(inputs.pop("input_features"), **_present(inputs, AUDIO_KEYS))
        voice_logits = heard.voice_logits[0, 1:]  # the first segment is the clip
        inputs.setdefault("mm_encoder_outputs", {})["audio"] = heard
    findings = WindowFindings(
        clip=_without_media(clip, warnings=fitted.warnings),
        used=_used_streams(clip),
        faces=faces,
        timelines=timelines,
        thumbnails=_thumbnails(clip, timelines),
        voice_emotions=None if voice_logits is None else _array(voice_logits.float().softmax(-1)),
        voice_traces=_voice_traces(clip),
    )
    yield findings
    if outputs.language_model:
        prefix = model.encode_prefix(**inputs)
        emotion: Any = prefix.output  # every clip has an utterance, so its logits are there
        if outputs.emotions:
            findings = replace(
                findings,
                emotions=_array(emotion.emotion_logits[0].float().sigmoid()),
                valence_arousal=_array(emotion.valence_arousal[0]),
            )
            yield findings
    progress("model", 1, 1)
    if outputs.explanations:
        labels = tuple(model.config.expression_id2label.values())
        scopes = asked_scopes(fitted, timelines=timelines, labels=labels)
        for answers in _growing_answers(
            fitted, prefix, scopes=scopes, model=model, processor=processor, progress=progress
        ):
            yield replace(findings, answers=answers)


def _inputs(
    clip: Clip, *, model: MicroEmoForConditionalGeneration, processor: MicroEmoProcessor
) -> dict[str, torch.Tensor]:
    tensors = processor.from_clip(clip)
    moved = {name: value.to(model.device) for name, value in tensors.items()}
    return {name: value.to(model.dtype) if name in CAST_INPUTS else value for name, value in moved.items()}


def _present(inputs: dict[str, torch.Tensor], names: Sequence[str]) -> dict[str, torch.Tensor]:
    return {name: inputs[name] for name in names if name in inputs}


def _voice_traces(clip: Clip) -> tuple[VoiceTrace, ...] | None:
    """Pitch and loudness of each utterance; None without sound."""
    if clip.waveform is None:
        return None
    spans = [
        (each.start_seconds - clip.start_seconds, each.end_seconds - clip.start_seconds) for each in clip.utterances
    ]
    return trace_voices(clip.waveform, sampling_rate=clip.sampling_rate, spans=spans)


def _growing_answers(
    clip: Clip,
    prefix: MicroEmoPrefix,
    *,
    scopes: Sequence[AskedScope],
    model: MicroEmoForConditionalGeneration,
    processor: MicroEmoProcessor,
    progress: Progress,
) -> Iterator[tuple[ParsedEmotions, ...]]:
    """Yields the answers so far to the questions about the clip and each utterance: from one prefill, greedily."""
    questions = processor.default_questions(clip)
    at_once = questions_at_once(len(questions), prefix=prefix)
    answers: list[ParsedEmotions] = []
    progress("explanations", 0, len(questions))
    for first in range(0, len(questions), at_once):
        batch = processor.question_inputs(questions[first : first + at_once])
        rows = zip(batch["input_ids"], batch["attention_mask"], strict=True)
        question_ids = [ids[mask.bool()] for ids, mask in rows]
        sequences = model.generate_from_prefix(
            prefix,
            question_ids,
            max_new_tokens=ANSWER_TOKENS,
            do_sample=False,
            logits_processor=answer_rules(scopes[first : first + at_once], tokenizer=processor.tokenizer)
            if model.config.use_answer_rules
            else None,
        )
        written = processor.tokenizer.batch_decode(sequences, skip_special_tokens=True)
        answers += [processor.parse_emotions(text.strip()) for text in written]
        progress("explanations", len(answers), len(questions))
        yield tuple(answers)


def questions_at_once(count: int, *, prefix: MicroEmoPrefix) -> int:
    """How many of so many questions are answered in one batch; all batches are about as large."""
    each = cache_bytes(prefix.output[CACHE_NAME])
    most = min(max(CACHES_BYTES // max(each, 1), FEWEST_AT_ONCE), MOST_AT_ONCE)
    return math.ceil(count / math.ceil(count / most))


def _face_scores(clip: Clip, scores: Sequence[FaceScores], *, outputs: TrainedOutputs) -> tuple[FaceScores, ...]:
    """When each attended person was seen, to the bit as the clip says, and what the trained outputs say of them."""
    if clip.face_times is None or clip.face_track_ids is None:
        return ()
    times, ids = np.asarray(clip.face_times, dtype=np.float64), np.asarray(clip.face_track_ids)
    by_track = {each.track_id: each for each in scores}
    faces = []
    for track_id in np.unique(ids).tolist():
        own = by_track.get(track_id, FaceScores(track_id, times[ids == track_id]))
        micro = outputs.micro_expressions
        faces.append(
            FaceScores(
                track_id,
                times[ids == track_id],
                expressions=own.expressions if outputs.expressions else None,
                micro=own.micro if micro else None,
                motion=own.motion if micro and outputs.expressions else None,
                action_units=own.action_units if micro else None,
            )
        )
    return tuple(faces)


def _thumbnails(clip: Clip, timelines: Sequence[FaceTimeline]) -> tuple[Thumbnail, ...]:
    """Pictures of the moments that matter: where an expression is strongest, and each micro-expression's apex.

    Every face has at least one, so that a reader knows who it is.
    """
    thumbnails: list[Thumbnail] = []
    if clip.face_crops is None or clip.face_times is None or clip.face_track_ids is None:
        return ()
    by_track = {line.track_id: line for line in timelines}
    for track_id in np.unique(clip.face_track_ids).tolist():
        rows = np.flatnonzero(clip.face_track_ids == track_id)
        times, line = np.asarray(clip.face_times)[rows], by_track.get(track_id)
        moments: set[float] = set()
        if line is not None:
            moments.update(strongest_moments(line, count=PICTURES_A_FACE))
            moments.update(event.apex_seconds for event in line.micro_expressions or ())
        for moment in sorted(moments or {float(times[len(times) // 2])}):
            place = int(np.argmin(np.abs(times - moment)))
            picture = _jpeg(clip.face_crops[rows[place]])
            thumbnails.append(Thumbnail(track_id, round(float(times[place]), 3), picture))
    return tuple(thumbnails)


def _jpeg(picture: np.ndarray) -> str:
    """Base64 JPEG of a picture (h, w, 3) uint8 RGB."""
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return base64.b64encode(encoded.tobytes()).decode("ascii")


def _used_streams(clip: Clip) -> frozenset[str]:
    present = {
        "frames": clip.frames is not None,
        "faces": clip.face_crops is not None,
        "voice": clip.waveform is not None,
        "words": any(prompt_words(utterance).strip() for utterance in clip.utterances),
    }
    return frozenset(name for name, is_present in present.items() if is_present)


def _without_media(clip: Clip, *, warnings: tuple[str, ...]) -> Clip:
    """The clip without what is large, so that the windows of a long video do not pile up in memory."""
    return replace(clip.without_faces(), frames=None, frame_times=None, waveform=None, warnings=warnings)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.float().cpu().numpy().astype(np.float64)
