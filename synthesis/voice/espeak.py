"""Speech synthesis with phoneme times by espeak-ng."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from microemo.synthesis.voice.espeak_process import EXIT_NO_LIBRARY, EXIT_NO_VOICES, EXIT_UNKNOWN_VOICE

PROCESS = Path(__file__).with_name("espeak_process.py")
TIMEOUT_SECONDS = 60
INSTALL_HINT = (
    "synthetic speech needs espeak-ng, which is not installed: `apt-get install espeak-ng`, `brew install espeak-ng` "
    "or the installer of github.com/espeak-ng/espeak-ng"
)


@dataclass(frozen=True)
class Phoneme:
    """A phoneme in espeak-ng's mnemonics ("aI", "m"; "_" and "_:" are silence); ends where the next one starts."""

    start_seconds: float
    name: str


@dataclass(frozen=True)
class Prosody:
    """Prosody in the units of espeak-ng.

    Args:
        rate: words per minute, 80-450.
        pitch, pitch_range: 0-99, normally 50.
        volume: 0-200, normally 100.
        word_gap: pause between words in units of 10 ms.
    """

    rate: int = 165
    pitch: int = 50
    pitch_range: int = 50
    volume: int = 100
    word_gap: int = 0


@dataclass(frozen=True)
class SpokenText:
    """waveform: (S,) float32 mono in [-1, 1] at sampling_rate."""

    waveform: np.ndarray
    sampling_rate: int
    phonemes: tuple[Phoneme, ...]


def speak(text: str, *, voice: str = "en-us", prosody: Prosody | None = None) -> SpokenText:
    """Synthesizes a text; equal arguments give equal samples.

    Args:
        voice: language and optional variant, such as "en-us", "en-gb+f3".

    Raises:
        OSError: espeak-ng is not installed.
        ValueError: the voice is unknown, or the text has no letters or digits.
    """
    if not any(character.isalnum() for character in text):
        raise ValueError(f'text ("{text}") has nothing to say')
    request = json.dumps({"text": text, "voice": voice, **asdict(prosody or Prosody())})
    command = [sys.executable, "-I", "-S", str(PROCESS)]
    done = subprocess.run(command, input=request.encode(), capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
    if done.returncode == EXIT_NO_LIBRARY:
        raise OSError(INSTALL_HINT)
    if done.returncode == EXIT_NO_VOICES:
        raise OSError("espeak-ng is installed without its voices: reinstall espeak-ng-data")
    if done.returncode == EXIT_UNKNOWN_VOICE:
        raise ValueError(f'voice ("{voice}") is not known to espeak-ng; `espeak-ng --voices` lists them')
    if done.returncode != 0:
        raise OSError(f"espeak-ng failed ({done.returncode}): {done.stderr.decode(errors='replace').strip()}")
    header, _, samples = done.stdout.partition(b"\n")
    if not samples:
        raise OSError(f'espeak-ng gave no sound for text ("{text}")')
    answer = json.loads(header)
    waveform = np.frombuffer(samples, "<i2").astype(np.float32) / 32768.0
    phonemes = tuple(Phoneme(start, name) for start, name in answer["phonemes"])
    return SpokenText(waveform, answer["sampling_rate"], phonemes)
