"""One clip, or one chunk of a long one, through the model: what each stream shows, as plain arrays.

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
from microemo.generation_cache import CACHE_NAME, cache_bytes
from microemo.inference.explanation.time_shift import shift_times
from microemo.inference.report.face_curves import strongest_moments
from microemo.inference.report.report import Thumbnail
from microemo.inference.stage_timer import Progress
from microemo.inference.trained_outputs import TrainedOutputs
from microemo.prefix_generation import MicroEmoPrefix
from microemo.processing.clip import Clip, prompt_words
from microemo.processing.clip_perception import clip_perception, clip_prosody, clip_traces
from microemo.processing.emotion_parsing import ParsedEmotions
from microemo.processing.evidence import Evidence, Perception, face_scores, utterance_evidence
from microemo.processing.face_readings import FaceReadings
from microemo.processing.facial_events import FaceScores, FaceTimeline, detect_events
from microemo.processing.processing_microemo import MicroEmoProcessor
from microemo.processing.prompt_text import sanitize_text, with_utterances
from microemo.processing.prosody import VoiceTrace

UTTERANCE_KEYS = ("utterance_times", "utterance_mask")
# A step of generation reads all weights whatever the number of answers, so many are written at once: as many as their
# caches leave room for, within these bounds.
FEWEST_AT_ONCE, MOST_AT_ONCE = 8, 24
CACHES_BYTES = 1 << 30
ANSWER_TOKENS = 256
PICTURES_A_FACE = 3  # for each chunk
JPEG_QUALITY = 85


@dataclass(frozen=True)
class ChunkPerception:
    """What a chunk shows. `clip` is the chunk without its pictures and sound, `used` says which of them it had.

    faces, timelines: of each attended person, on the video's clock; () without a face. readings: what was measured of
    the crops of each of `faces`, () where nothing was. evidence: of each utterance,
    what perception found, which report, prompt and explanations share. voice_emotions (U, V) probabilities of what
    each utterance sounds of, voice_traces its pitch and loudness; None without sound. emotions (U, E) probabilities,
    valence_arousal (U, 2) in [-1, 1], answers: the clip's, then each utterance's as far as they are written; None
    where untrained or not asked for.
    """

    clip: Clip
    used: frozenset[str]
    faces: tuple[FaceScores, ...] = ()
    timelines: tuple[FaceTimeline, ...] = ()
    evidence: tuple[tuple[Evidence, ...], ...] = ()
    emotions: np.ndarray | None = None
    valence_arousal: np.ndarray | None = None
    answers: tuple[ParsedEmotions, ...] | None = None
    thumbnails: tuple[Thumbnail, ...] = ()
    voice_emotions: np.ndarray | None = None
    voice_traces: tuple[VoiceTrace, ...] | None = None
    readings: tuple[FaceReadings, ...] = ()

    def readings_of(self, track_id: int) -> tuple[tuple[np.ndarray, FaceReadings | None], ...]:
        """Times of one person's crops and what was measured at them; () where the person is not in the chunk."""
        readings = self.readings or (None,) * len(self.faces)
        pairs = zip(self.faces, readings, strict=True)
        return tuple((face.times, reading) for face, reading in pairs if face.track_id == track_id)


@torch.no_grad()
def analyze_chunk(
    clip: Clip,
    *,
    model: MicroEmoForConditionalGeneration,
    processor: MicroEmoProcessor,
    outputs: TrainedOutputs,
    progress: Progress,
    question: str | None = None,
) -> Iterator[ChunkPerception]:
    """Yields what is known of a clip, each time more: what was perceived, the emotions, each batch of explanations.

    A `question` about the clip is answered in the place of explaining the clip and each of its utterances.

        read clip -> perceive -> evidence -> prompt -> emotions and answers

    The last findings hold all of it. Nothing is computed twice.
    """
    config = model.config
    clip = with_utterances(clip)
    fitted = processor.fit_clip(clip)
    inputs = processor.from_clip(fitted).to(model.device, model.dtype)  # times keep float32
    progress("model", 0, 1)
    output = model.perceive(**inputs, words=outputs.emotions)
    perception = _shown(clip_perception(output, clip), outputs=outputs)
    faces = face_scores(perception, clip)
    timelines = tuple(detect_events(each, neutral=perception.neutral) for each in faces)
    traces = clip_traces(clip)
    evidence = utterance_evidence(perception, clip, timelines=timelines, prosody=clip_prosody(clip, traces=traces))
    findings = ChunkPerception(
        clip=_without_media(clip, warnings=fitted.warnings),
        used=_used_streams(clip),
        faces=faces,
        timelines=timelines,
        evidence=evidence,
        thumbnails=_thumbnails(clip, timelines),
        voice_emotions=perception.voice,
        voice_traces=traces,
        readings=_face_readings(clip, faces),
    )
    yield findings
    if outputs.language_model:
        evidence_prompt = evidence if config.use_evidence_prompt else None
        written = {"evidence": evidence_prompt, "soft_tokens": config.use_soft_tokens}
        fitted = processor.fit_clip(clip, **written)
        findings = replace(findings, clip=_without_media(clip, warnings=fitted.warnings))
        prompt = processor.prompt_inputs(clip, **written).to(model.device)
        # The face's own logits are known: its features have gone into the frames' tokens.
        features = {name: value for name, value in (output.features or {}).items() if name != "face"}
        spans = {name: inputs[name] for name in UTTERANCE_KEYS}
        known = features if config.use_soft_tokens else {}
        prefix = model.encode_prefix(**prompt, **spans, mm_encoder_outputs=known)
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
        questions = processor.default_questions(fitted) if question is None else (_asked(question, fitted, processor),)
        for answers in _growing_answers(questions, prefix, model=model, processor=processor, progress=progress):
            yield replace(findings, answers=answers)


def _shown(perception: Perception, *, outputs: TrainedOutputs) -> Perception:
    """The perception without what is untrained."""
    micro = outputs.micro_expressions
    return replace(
        perception,
        expressions=perception.expressions if outputs.expressions else None,
        micro=perception.micro if micro else None,
        motion=perception.motion if micro and outputs.expressions else None,
        action_units=perception.action_units if micro else None,
        voice=perception.voice if outputs.voice else None,
    )


def _asked(question: str, clip: Clip, processor: MicroEmoProcessor) -> str:
    """A user's question on the clock of a clip, without what would steer the prompt."""
    harmless = sanitize_text(question, special_tokens=processor.control_tokens)
    return shift_times(harmless, seconds=-clip.start_seconds)


def _growing_answers(
    questions: Sequence[str],
    prefix: MicroEmoPrefix,
    *,
    model: MicroEmoForConditionalGeneration,
    processor: MicroEmoProcessor,
    progress: Progress,
) -> Iterator[tuple[ParsedEmotions, ...]]:
    """Yields the answers so far to questions about a clip: from one prefill, greedily."""
    at_once = questions_at_once(len(questions), prefix=prefix)
    answers: list[ParsedEmotions] = []
    progress("explanations", 0, len(questions))
    for first in range(0, len(questions), at_once):
        batch = processor.question_inputs(questions[first : first + at_once])
        rows = zip(batch["input_ids"], batch["attention_mask"], strict=True)
        question_ids = [ids[mask.bool()] for ids, mask in rows]
        sequences = model.generate_from_prefix(prefix, question_ids, max_new_tokens=ANSWER_TOKENS, do_sample=False)
        written = processor.tokenizer.batch_decode(sequences, skip_special_tokens=True)
        answers += [processor.parse_emotions(text.strip()) for text in written]
        progress("explanations", len(answers), len(questions))
        yield tuple(answers)


def questions_at_once(count: int, *, prefix: MicroEmoPrefix) -> int:
    """How many of so many questions are answered in one batch; all batches are about as large."""
    each = cache_bytes(prefix.output[CACHE_NAME])
    most = min(max(CACHES_BYTES // max(each, 1), FEWEST_AT_ONCE), MOST_AT_ONCE)
    return math.ceil(count / math.ceil(count / most))


def _face_readings(clip: Clip, faces: Sequence[FaceScores]) -> tuple[FaceReadings, ...]:
    """What was measured of each person's crops, in the order of `faces`; () where nothing was."""
    if clip.face_actions is None or clip.head_pose is None or clip.gaze is None or clip.face_actions_mask is None:
        return ()
    measured = FaceReadings(clip.face_actions, clip.head_pose, clip.gaze, np.asarray(clip.face_actions_mask, bool))
    ids = np.asarray(clip.face_track_ids)
    return tuple(measured.take(ids == face.track_id) for face in faces)


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
    """The clip without what is large, so that the chunks of a long video do not pile up in memory."""
    return replace(clip.without_faces(), frames=None, frame_times=None, waveform=None, warnings=warnings)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.float().cpu().numpy().astype(np.float64)
