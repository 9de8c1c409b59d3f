"""Makes `astronaut.mp4` and `astronaut.json`: a photograph of NASA that speaks, and what is true of it.

    python examples/make_astronaut.py

The photograph (astronaut Eileen Collins, NASA, public domain) comes with scikit-image, the voice from espeak-ng. She
speaks twice: calmly, with a trace of fear of a third of a second, then with joy. She smiles in the photograph, and a
smile painted into cheeks and folds hardly goes by moving points: the face reads as happy from the first frame on, and
the truth says so. Its action units count from that face, not from a neutral one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skimage.data import astronaut

from microemo.data.action_units import ACTION_UNITS, unit_vector
from microemo.processing.clip import Utterance
from microemo.processing.face_detection import create_detector
from microemo.synthesis.face.face_mesh import FaceMesh
from microemo.synthesis.face.face_models import fetch_face_models
from microemo.synthesis.face.person_mask import PersonMask
from microemo.synthesis.face.portrait import portrait_of
from microemo.synthesis.script.truth import ClipTruth, FaceEvent, Feeling, UtteranceTruth
from microemo.synthesis.video.performance import Line, Performance, PlannedEvent
from microemo.synthesis.video.video_writing import write_video
from microemo.synthesis.voice.espeak import Prosody
from microemo.synthesis.voice.sound_scene import in_room
from microemo.synthesis.voice.speech import say_plainly

FOLDER = Path(__file__).parent
SIDE = 384  # px
FRAMES_PER_SECOND = 25
DURATION_SECONDS = 7.2
VOICE = "en-us+f3"
SPEAKER = "Eileen"

CALM = Feeling(
    labels=("calm", "composed", "apprehensive"),
    emotion="neutral",
    goemotions=("neutral", "nervousness"),
    valence=-0.1,
    arousal=0.2,
    explanation=(
        "Emotions: calm, composed, apprehensive.\n"
        'Reason: The voice is even and the words "I am not nervous" claim composure, but at 1.8 s the brows rise '
        "and draw together and the eyes widen for a third of a second: a trace of fear that the words deny. A slight "
        "smile stays on the face throughout."
    ),
)
HAPPY = Feeling(
    labels=("happy", "delighted", "excited"),
    emotion="happiness",
    goemotions=("joy", "excitement"),
    valence=0.85,
    arousal=0.65,
    explanation=(
        "Emotions: happy, delighted, excited.\n"
        "Reason: From 4.3 s on the cheeks lift and the slight smile grows into a wide and lasting one, the voice "
        'is bright and lively, and the words "I love it" say so.'
    ),
)
CLIP = Feeling(
    labels=("calm", "apprehensive", "happy"),
    emotion="happiness",
    goemotions=("joy", "nervousness"),
    valence=0.4,
    arousal=0.45,
    explanation=(
        "Emotions: calm, apprehensive, happy.\n"
        "Reason: She begins calmly, with a slight smile and a trace of fear on the face at 1.8 s, and ends in a wide "
        "and lasting smile and a bright voice from 4.3 s on."
    ),
)


def planned(kind: str, emotion: str, *, units: dict[int, float], times: tuple[float, float, float], intensity: float,
            hold_seconds: float) -> PlannedEvent:  # fmt: skip
    """An event on both sides of the face."""
    shares = unit_vector(units)
    names = tuple(unit.label for unit, share in zip(ACTION_UNITS, shares, strict=True) if share > 0)
    return PlannedEvent(FaceEvent(kind, emotion, names, *times, intensity), shares, hold_seconds=hold_seconds)


def perform() -> tuple[Performance, tuple[Utterance, ...]]:
    """What she does and says."""
    calm = say_plainly("I am not nervous. We have trained for this.", voice=VOICE, prosody=Prosody(rate=158, pitch=48))
    happy = say_plainly(
        "And what a view! I love it!", voice=VOICE, prosody=Prosody(rate=165, pitch=62, pitch_range=75)
    )
    lines = []
    for speech, start in ((calm, 0.4), (happy, 4.4)):
        end = round(start + speech.duration_seconds, 3)
        lines.append(Line(Utterance(start, end, speech.text, SPEAKER), speech))
    fear = planned("micro", "fear", units={1: 1.0, 2: 0.8, 4: 0.6, 5: 1.0}, times=(1.68, 1.82, 2.0), intensity=0.6,
                   hold_seconds=0.04)  # fmt: skip
    smile = planned("macro", "happiness", units={6: 0.9, 12: 1.0, 25: 0.35}, times=(4.3, 4.9, 7.0), intensity=0.9,
                    hold_seconds=1.4)  # fmt: skip
    performance = Performance(
        frame_times=np.arange(round(DURATION_SECONDS * FRAMES_PER_SECOND)) / FRAMES_PER_SECOND,
        duration_seconds=DURATION_SECONDS,
        lines=tuple(lines),
        events=(fear, smile),
        blink_times=(0.9, 3.3, 5.9),
        sway=0.9,
    )
    return performance, tuple(line.utterance for line in lines)


def describe(performance: Performance, utterances: tuple[Utterance, ...]) -> ClipTruth:
    """What is true of the clip."""
    first, second = utterances
    return ClipTruth(
        clip_id="astronaut",
        seed=0,
        index=0,
        identity="astronaut",
        width=SIDE,
        height=SIDE,
        duration_seconds=DURATION_SECONDS,
        frame_times=performance.frame_times,
        action_units=performance.action_units(),
        events=tuple(event.event for event in performance.events),
        utterances=(
            UtteranceTruth(first, CALM, "neutral", "neutral", "happiness", "espeak-ng"),
            UtteranceTruth(second, HAPPY, "happiness", "happiness", "happiness", "espeak-ng"),
        ),
        feeling=CLIP,
    )


def main() -> None:
    models = fetch_face_models()
    portrait = portrait_of(
        astronaut(),
        detect=create_detector("centerface").detect,
        mesh=FaceMesh(models.face_mesh),
        segment=PersonMask(models.person_mask),
        size=SIDE,
    )
    performance, utterances = perform()
    rng = np.random.default_rng(0)
    sound = in_room(performance.waveform(), reverberation_seconds=0.15, noise="rumble", noise_ratio_db=45, rng=rng)
    write_video(
        FOLDER / "astronaut.mp4",
        frames=performance.frames(portrait, size=(SIDE, SIDE)),
        frame_times=performance.frame_times,
        waveform=sound,
        quality=21,
    )
    (FOLDER / "astronaut.json").write_text(describe(performance, utterances).to_json() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
