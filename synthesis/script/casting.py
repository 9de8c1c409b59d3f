"""Draws speakers, texts, voices and facial emotions of utterances, without times."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from microemo.data.action_units import EMOTIONS
from microemo.data.emotion_words import Script, ScriptLine, own_script
from microemo.synthesis.voice.acted_speech import Recording
from microemo.synthesis.voice.speech import VOICES, Speech, say

PLAIN_WORDS_SHARE = 0.25  # share of emotional utterances with neutral words
PLAIN_VOICE_SHARE = 0.15  # with a neutral voice
STILL_FACE_SHARE = 0.15  # with a neutral face
NEUTRAL_SHARE = 0.2  # share of neutral utterances
INTENSITY = (0.35, 1.0)
NAMES = {
    "female": ("Anna", "Maria", "Julia", "Sofia", "Emma", "Clara", "Nora", "Ines"),
    "male": ("Ben", "David", "Omar", "Lukas", "Peter", "Samir", "Jonas", "Leo"),
}


@dataclass(frozen=True)
class Speaker:
    """A speaker of a clip. voice: of espeak-ng. actor: of the recordings, "" for a synthetic voice."""

    name: str
    sex: str
    voice: str
    actor: str = ""


@dataclass(frozen=True)
class Sources:
    """Texts and voices to draw from.

    Args:
        script: sentences by closed label.
        recordings: acted speech.
        acted_share: share of clips with an actor's voice; needs recordings.
    """

    script: Script = field(default_factory=own_script)
    recordings: tuple[Recording, ...] = ()
    acted_share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.acted_share <= 1:
            raise ValueError(f"acted_share ({self.acted_share}) must be in 0..1")
        if self.acted_share > 0 and not self.recordings:
            raise ValueError(f"acted_share ({self.acted_share}) needs recordings, got none")


@dataclass(frozen=True)
class CastLine:
    """An utterance without times. emotion: the expressed emotion; face_emotion: "" for a speaker off screen."""

    speaker: Speaker
    speech: Speech
    script_line: ScriptLine
    emotion: str
    intensity: float
    words_emotion: str
    voice_emotion: str
    face_emotion: str

    @property
    def on_screen(self) -> bool:
        return self.face_emotion != ""


def cast_speaker(sources: Sources, *, sex: str, rng: np.random.Generator) -> Speaker:
    """Draws a speaker with a synthetic or an actor's voice."""
    name, voice = str(rng.choice(NAMES[sex])), str(rng.choice(VOICES[sex]))
    actors = sorted({recording.speaker for recording in sources.recordings if recording.sex == sex})
    acted = bool(actors) and rng.random() < sources.acted_share
    return Speaker(name, sex, voice, str(rng.choice(actors)) if acted else "")


def cast_line(sources: Sources, *, speaker: Speaker, on_screen: bool, rng: np.random.Generator) -> CastLine:
    """Draws words, voice and face of an utterance: mostly one emotion, with some neutral channels."""
    emotion = "neutral" if rng.random() < NEUTRAL_SHARE else str(rng.choice(EMOTIONS))
    intensity = 0.0 if emotion == "neutral" else float(rng.uniform(*INTENSITY))
    plain_words, plain_voice, still_face = rng.random(3) < (PLAIN_WORDS_SHARE, PLAIN_VOICE_SHARE, STILL_FACE_SHARE)
    if plain_words and plain_voice and (still_face or not on_screen):
        plain_voice = False  # at least one channel expresses the emotion
    voice_emotion = "neutral" if plain_voice else emotion
    recordings = [r for r in sources.recordings if r.speaker == speaker.actor and r.emotion == voice_emotion]
    if speaker.actor and recordings:
        recording = recordings[int(rng.integers(len(recordings)))]
        speech, line = recording.load(), ScriptLine(recording.text, "neutral")
    else:
        lines = sources.script["neutral" if plain_words else emotion]
        line = lines[int(rng.integers(len(lines)))]
        speech = say(line.text, emotion=voice_emotion, voice=speaker.voice, intensity=intensity, rng=rng)
    face = ("neutral" if still_face else emotion) if on_screen else ""
    if line.emotion == voice_emotion == "neutral" and face in ("neutral", ""):
        emotion, intensity = "neutral", 0.0  # no recording of the emotion: no channel expresses it
    return CastLine(speaker, speech, line, emotion, intensity, line.emotion, voice_emotion, face)
