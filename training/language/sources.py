"""Perceived sources for composed examples: faces of photographs, voices of recordings, and whole clips.

The model's towers and heads process each source once, as at inference. Evidence of the words is added later by the
language model of the previous stage. Shapes: E emotions, X expressions, V voices, K tokens per segment, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from microemo import MicroEmoForConditionalGeneration, MicroEmoProcessor
from microemo.data.still_faces import align_still, create_still_detector, read_labels
from microemo.data.voice_recordings import VoiceRecording
from microemo.placement import has_bfloat16
from microemo.processing.clip import Clip, Utterance
from microemo.processing.clip_perception import clip_traces
from microemo.processing.evidence import Evidence, speaking_manner
from microemo.processing.face_landmarks import FaceLandmarker
from microemo.processing.facial_actions import FACIAL_ACTIONS, USUAL_REST, unit_intensities
from microemo.processing.prompt_text import with_utterances
from microemo.processing.prosody import measure_prosody


@dataclass(frozen=True)
class FaceSource:
    """A face. expressions: (X,) probabilities. units: intensity above the average resting face by unit ("AU12")."""

    expressions: np.ndarray
    units: dict[str, float]


@dataclass(frozen=True)
class VoiceSource:
    """A recording. probabilities: (V,). tokens: (2, K, D) soft tokens of the whole clip and of its utterance."""

    probabilities: np.ndarray
    manner: tuple[str, ...]
    pitch_semitones: float | None
    tokens: np.ndarray


@dataclass(frozen=True)
class ClipSource:
    """A clip without frames and waveform.

    Args:
        evidence: of each utterance, without that of the words.
        video, audio: (S * K, D) soft tokens; None if the stream is missing.
    """

    clip: Clip
    evidence: tuple[tuple[Evidence, ...], ...]
    video: np.ndarray | None
    audio: np.ndarray | None


@torch.no_grad()
def face_sources(
    folder: Path, *, model: MicroEmoForConditionalGeneration, processor: MicroEmoProcessor, landmarks: Path, most: int
) -> Iterator[FaceSource]:
    """Faces of a folder of photographs with labels.csv, evenly subsampled to about `most`."""
    detector, landmarker = create_still_detector(), FaceLandmarker(landmarks)
    rows = read_labels(folder)
    for row in rows[:: max(1, len(rows) // most)]:
        image = cv2.imread(str(folder / row.file), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"labels.csv names {row.file}, but OpenCV cannot read {folder / row.file}")
        picture = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        aligned = align_still(picture, detector=detector)
        if aligned is None:
            continue
        mesh = landmarker.analyze(picture, aligned.landmarks)
        if not mesh.is_face:
            continue
        crop = cv2.cvtColor(aligned.crop, cv2.COLOR_GRAY2RGB) if aligned.crop.ndim == 2 else aligned.crop
        pixels = processor.video_processor.preprocess_faces(np.ascontiguousarray(crop[None]))[None]
        actions = torch.from_numpy(mesh.actions.astype(np.float32))[None, None]
        relative = torch.from_numpy((mesh.actions - USUAL_REST).astype(np.float32))[None, None]
        features = model.get_face_features(
            pixels,
            torch.zeros(1, 1),
            face_actions=actions,
            relative_face_actions=relative,
            face_actions_mask=torch.ones(1, 1, dtype=torch.bool),
        )
        logits: Any = model.model._face_logits(features)
        intensities = unit_intensities(mesh.actions - USUAL_REST)
        yield FaceSource(
            logits.expression_logits[0, 0].softmax(-1).numpy(),
            {unit.label: float(value) for unit, value in zip(FACIAL_ACTIONS, intensities, strict=True)},
        )


@torch.no_grad()
def voice_sources(
    recordings: Sequence[VoiceRecording], *, model: MicroEmoForConditionalGeneration, processor: MicroEmoProcessor
) -> Iterator[VoiceSource]:
    """Voices of single-utterance recordings; pitch and loudness are relative to the speaker's other recordings."""
    clips = []
    for recording in recordings:
        seconds = len(recording.waveform) / 16_000
        utterance = Utterance(0.0, seconds, speaker=recording.person)
        clips.append(Clip(recording.name, 0.0, seconds, (utterance,), waveform=recording.waveform))
    prosodies = _prosody_by_speaker(clips)
    for clip, prosody in zip(clips, prosodies, strict=True):
        output = model.perceive(**processor.from_clip(clip), words=False)
        assert output.voice is not None and output.features is not None
        tokens = output.features["audio"].pooler_output[0]
        yield VoiceSource(
            output.voice[0, 0].numpy(),
            speaking_manner(prosody),
            prosody.pitch_semitones,
            tokens.view(2, -1, tokens.shape[-1]).numpy(),
        )


@torch.no_grad()
def clip_source(clip: Clip, *, model: MicroEmoForConditionalGeneration, processor: MicroEmoProcessor) -> ClipSource:
    """Runs perception on a clip that was read."""
    clip = with_utterances(clip)
    output = model.perceive(**processor.from_clip(clip), words=False)
    features = output.features or {}
    streams = {
        name: features[name].pooler_output[0].numpy() if name in features else None for name in ("video", "audio")
    }
    without_media = replace(clip.without_faces(), frames=None, frame_times=None, waveform=None, tracks=())
    return ClipSource(without_media, processor.evidence(output, clip), **streams)


@torch.no_grad()
def word_probabilities(
    clips: Sequence[Clip], *, model: MicroEmoForConditionalGeneration, processor: MicroEmoProcessor
) -> list[np.ndarray]:
    """Emotion probabilities (U, E) of each clip that the language model gives the words without other streams."""
    probabilities = []
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bfloat16()):
        for clip in clips:
            text_only = replace(clip, frames=None, frame_times=None, waveform=None)
            output = model.perceive(**processor.prompt_inputs(text_only))
            assert output.words is not None
            probabilities.append(output.words[0].float().numpy())
    return probabilities


def _prosody_by_speaker(clips: Sequence[Clip]) -> list[Any]:
    """Prosody of single-utterance clips, relative to the other clips of the same speaker."""
    traces = [trace for clip in clips for trace in clip_traces(clip) or ()]
    return list(measure_prosody(traces, speakers=[clip.utterances[0].speaker for clip in clips]))
