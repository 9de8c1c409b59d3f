"""Draws a random short dialogue clip with its ground truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np

from microemo.data.emotion_words import GOEMOTIONS_ADJECTIVES, load_lexicon, open_labels
from microemo.processing.clip import Utterance
from microemo.processing.emotion_parsing import format_emotions, parse_emotions
from microemo.processing.evidence import Evidence
from microemo.synthesis.face.head_pose import NUM_POSE
from microemo.synthesis.script.casting import CastLine, Sources, Speaker, cast_line, cast_speaker
from microemo.synthesis.script.explanation import reasons, true_face_evidence, true_voice_evidence, true_words_evidence
from microemo.synthesis.script.face_events import MICRO_SHARE, MicroDraw, draw_macro, draw_micro
from microemo.synthesis.script.truth import ClipTruth, Feeling, UtteranceTruth
from microemo.synthesis.video.augmentation import FRAME_JITTER_SHARE, jitter_times
from microemo.synthesis.video.performance import (
    BLINK_CLOSE_SECONDS,
    BLINK_OPEN_SECONDS,
    Line,
    Performance,
    PlannedEvent,
)

FRAME_RATES = (12.0, 15.0, 24.0, 25.0, 30000 / 1001, 30.0)
CLIP_SECONDS = (3.0, 12.0)
UTTERANCES = (1, 4)
LEAD_SECONDS, GAP_SECONDS, TAIL_SECONDS = (0.25, 0.7), (0.25, 0.8), (0.3, 0.9)
SECOND_SPEAKER_SHARE = 0.3  # of clips with a second speaker off screen
BLINK_GAP_SECONDS = (1.8, 5.5)
STANCE_LIMITS = np.array([0.1, 0.06, 0.05, 0.0, 0.0, 0.0])  # constant head pose, as in `turn_head`
ZOOM = (0.0, 0.15)
MAX_SHIFT = 0.05
LEAK_WEIGHT = 0.3  # weight of a leaked emotion in valence and arousal
MAX_CLIP_LABELS = 5


@dataclass(frozen=True)
class Scenario:
    """The performance of a clip and its ground truth."""

    performance: Performance
    truth: ClipTruth


@dataclass(frozen=True)
class ClipSettings:
    """Video settings. size: side in pixels. fps: frames per second, random if None. augment: as in real video."""

    size: int = 224
    fps: float | None = None
    augment: bool = True

    def __post_init__(self) -> None:
        if self.size < 64 or self.size % 2:
            raise ValueError(f"size ({self.size}) must be even and >= 64")
        if self.fps is not None and not 5 <= self.fps <= 60:
            raise ValueError(f"fps ({self.fps}) must be in 5..60")


@dataclass(frozen=True)
class ClipId:
    """Run, index and person of a clip. sex: "female" or "male", of the voice."""

    seed: int
    index: int
    identity: str
    sex: str

    @property
    def name(self) -> str:
        return f"clip_{self.seed}_{self.index:06d}"


@dataclass(frozen=True)
class _Scene:
    """One utterance with its times and facial expressions."""

    line: CastLine
    utterance: Utterance
    macro: PlannedEvent | None = None
    micro: MicroDraw | None = None

    @property
    def events(self) -> tuple[PlannedEvent, ...]:
        micro = None if self.micro is None else self.micro.planned
        return tuple(event for event in (self.macro, micro) if event is not None)


def draw_scenario(clip: ClipId, *, sources: Sources, settings: ClipSettings) -> Scenario:
    """Draws a clip; equal arguments give equal clips."""
    rng = np.random.default_rng([clip.seed, clip.index, 1])
    rate = float(rng.choice(FRAME_RATES)) if settings.fps is None else settings.fps
    placed, duration = _place_lines(_cast_lines(sources, sex=clip.sex, rng=rng), rng=rng)
    frame_times = np.arange(int(duration * rate)) / rate
    if settings.augment and rng.random() < FRAME_JITTER_SHARE:
        frame_times = jitter_times(frame_times, rng=rng)
    scenes = [_direct(line, utterance, duration, frame_times, rng) for line, utterance in placed]
    events = tuple(event for scene in scenes for event in scene.events)
    performance = Performance(
        frame_times=frame_times,
        duration_seconds=duration,
        lines=tuple(Line(scene.utterance, scene.line.speech, scene.line.on_screen) for scene in scenes),
        events=events,
        blink_times=draw_blinks(duration, events=events, rng=rng),
        stance=tuple((rng.uniform(-1, 1, NUM_POSE) * STANCE_LIMITS).tolist()),
        framing=_draw_framing(rng),
        sway=float(rng.uniform(0.3, 1.3)),
        hand_held=float(rng.choice([0.0, rng.uniform(0.2, 1.0)])),
        motion_seed=(clip.seed, clip.index, 2),
    )
    utterances = tuple(_utterance_truth(scene, rng=rng) for scene in scenes)
    truth = ClipTruth(
        clip_id=clip.name,
        seed=clip.seed,
        index=clip.index,
        identity=clip.identity,
        width=settings.size,
        height=settings.size,
        duration_seconds=duration,
        frame_times=frame_times,
        action_units=performance.action_units(),
        events=tuple(planned.event for planned in events),
        utterances=utterances,
        feeling=clip_feeling(utterances),
    )
    return Scenario(performance, truth)


def _draw_framing(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Random camera zoom and shift; the shift never shows the edge of the picture."""
    growth = float(rng.uniform(*ZOOM))
    room = min(growth / 2, MAX_SHIFT)
    right, down = rng.uniform(-room, room, 2).tolist()
    return right, down, 0.0, growth


def _cast_lines(sources: Sources, *, sex: str, rng: np.random.Generator) -> list[CastLine]:
    """1-4 lines; the person in the picture says at least the first."""
    visible = cast_speaker(sources, sex=sex, rng=rng)
    off_screen = cast_speaker(sources, sex=str(rng.choice(["female", "male"])), rng=rng)
    if off_screen.name == visible.name:
        off_screen = Speaker(f"{off_screen.name} B", off_screen.sex, off_screen.voice, off_screen.actor)
    count = int(rng.integers(UTTERANCES[0], UTTERANCES[1] + 1))
    dialogue = rng.random() < SECOND_SPEAKER_SHARE
    lines = []
    for index in range(count):
        on_screen = not (dialogue and index % 2 == 1)
        speaker = visible if on_screen else off_screen
        lines.append(cast_line(sources, speaker=speaker, on_screen=on_screen, rng=rng))
    return lines


def _place_lines(lines: list[CastLine], *, rng: np.random.Generator) -> tuple[list[tuple[CastLine, Utterance]], float]:
    """Places as many lines as fit one after another. Returns them with the clip's duration, rounded to 0.01 s."""
    placed: list[tuple[CastLine, Utterance]] = []
    clock = float(rng.uniform(*LEAD_SECONDS))
    for line in lines:
        end = clock + line.speech.duration_seconds
        if placed and end > CLIP_SECONDS[1] - TAIL_SECONDS[0]:
            break
        end = min(end, CLIP_SECONDS[1] - TAIL_SECONDS[0])
        words = line.script_line.text
        placed.append((line, Utterance(round(clock, 3), round(end, 3), words, line.speaker.name)))
        clock = end + float(rng.uniform(*GAP_SECONDS))
    last = placed[-1][1].end_seconds + float(rng.uniform(*TAIL_SECONDS))
    return placed, round(float(np.clip(last, *CLIP_SECONDS)), 2)


def _direct(
    line: CastLine, utterance: Utterance, duration: float, frame_times: np.ndarray, rng: np.random.Generator
) -> _Scene:
    """Draws the facial expressions of an utterance.

    There is no macro-expression beside a micro-expression of the same emotion, which it would hide.
    """
    if not line.on_screen:
        return _Scene(line, utterance)
    macro = micro = None
    if rng.random() < MICRO_SHARE:
        micro = draw_micro(line.emotion, utterance=utterance, frame_times=frame_times, rng=rng)
    if line.face_emotion != "neutral":
        if micro is not None and not micro.leaks:
            return _Scene(replace(line, face_emotion="neutral"), utterance, None, micro)
        macro = draw_macro(
            line.face_emotion, utterance=utterance, intensity=line.intensity, clip_seconds=duration, rng=rng
        )
    return _Scene(line, utterance, macro, micro)


def draw_blinks(duration: float, *, events: tuple[PlannedEvent, ...], rng: np.random.Generator) -> tuple[float, ...]:
    """Start times of blinks; none during micro-expressions, which a blink would hide."""
    blinks = []
    clock = float(rng.uniform(0.3, BLINK_GAP_SECONDS[1]))
    length = BLINK_CLOSE_SECONDS + BLINK_OPEN_SECONDS
    micros = [planned.event for planned in events if planned.event.kind == "micro"]
    while clock + length < duration:
        if all(clock + length < event.onset_seconds or clock > event.offset_seconds for event in micros):
            blinks.append(round(clock, 3))
        clock += float(rng.uniform(*BLINK_GAP_SECONDS))
    return tuple(blinks)


def _utterance_truth(scene: _Scene, *, rng: np.random.Generator) -> UtteranceTruth:
    line = scene.line
    return UtteranceTruth(
        utterance=scene.utterance,
        feeling=_feeling(scene, rng=rng),
        words_emotion=line.words_emotion if line.script_line.text else "",
        voice_emotion=line.voice_emotion,
        face_emotion=line.face_emotion,
        voice_source=line.speech.source,
        on_screen=line.on_screen,
    )


def _feeling(scene: _Scene, *, rng: np.random.Generator) -> Feeling:
    line, lexicon = scene.line, load_lexicon()
    entry = lexicon[line.emotion]
    labels = list(open_labels(line.emotion, intensity=line.intensity, count=int(rng.integers(1, 4)), rng=rng))
    named = line.script_line.goemotions if line.words_emotion == line.emotion else ()
    labels += [GOEMOTIONS_ADJECTIVES[name] for name in named]
    goemotions = list(named or entry.goemotions[:1])
    strength = 1.0 if line.emotion == "neutral" else line.intensity
    valence, arousal = entry.valence * strength, entry.arousal * strength
    micro = scene.micro
    if micro is not None and micro.leaks:
        event = micro.planned.event
        leaked = lexicon[event.emotion]
        labels += open_labels(event.emotion, intensity=event.intensity, count=1, rng=rng)
        goemotions.append(leaked.goemotions[0])
        valence += LEAK_WEIGHT * (leaked.valence * event.intensity - valence)
        arousal += LEAK_WEIGHT * (leaked.arousal * event.intensity - arousal)
    unique = tuple(dict.fromkeys(labels))
    span = scene.utterance.start_seconds, scene.utterance.end_seconds
    sentences = reasons(scene_evidence(scene), span=span, rng=rng)
    return Feeling(
        labels=unique,
        emotion=line.emotion,
        goemotions=tuple(dict.fromkeys(goemotions)),
        valence=round(float(valence), 3),
        arousal=round(float(arousal), 3),
        explanation=format_emotions(unique, " ".join(sentences)),
    )


def scene_evidence(scene: _Scene) -> tuple[Evidence, ...]:
    """Evidence of an utterance, in the fixed order of face, voice and words."""
    line, span = scene.line, (scene.utterance.start_seconds, scene.utterance.end_seconds)
    is_synthetic = line.speech.source == "espeak-ng"
    words = (true_words_evidence(line.words_emotion, span=span),) if line.script_line.text else ()
    return (
        *true_face_evidence(scene.events, span=span, on_screen=line.on_screen),
        true_voice_evidence(line.voice_emotion, span=span, is_synthetic=is_synthetic),
        *words,
    )


def clip_feeling(utterances: tuple[UtteranceTruth, ...]) -> Feeling:
    """The feeling of the person in the picture over the whole clip: all labels, mean valence and arousal."""
    visible = [truth for truth in utterances if truth.on_screen]
    seconds = np.array([truth.utterance.end_seconds - truth.utterance.start_seconds for truth in visible])
    by_emotion: dict[str, float] = {}
    for truth, length in zip(visible, seconds, strict=True):
        weight = float(length) * (0.3 if truth.feeling.emotion == "neutral" else 1.0)
        by_emotion[truth.feeling.emotion] = by_emotion.get(truth.feeling.emotion, 0.0) + weight
    # The first label of each utterance, then the second of each, ...
    ranks = zip_longest(*(truth.feeling.labels for truth in visible))
    labels = tuple(dict.fromkeys(label for rank in ranks for label in rank if label))[:MAX_CLIP_LABELS]
    descriptions = [
        f"From {truth.utterance.start_seconds:.1f} to {truth.utterance.end_seconds:.1f} s: "
        + parse_emotions(truth.feeling.explanation).description
        for truth in visible
    ]
    weights = seconds / seconds.sum()
    return Feeling(
        labels=labels,
        emotion=max(by_emotion, key=lambda emotion: by_emotion[emotion]),
        goemotions=tuple(dict.fromkeys(name for truth in visible for name in truth.feeling.goemotions)),
        valence=round(float(weights @ [truth.feeling.valence for truth in visible]), 3),
        arousal=round(float(weights @ [truth.feeling.arousal for truth in visible]), 3),
        explanation=format_emotions(labels, " ".join(descriptions)),
    )
