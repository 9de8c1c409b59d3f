import ctypes.util
import subprocess

import numpy as np
import pytest

from microemo.data.action_units import UNIT_INDEX
from microemo.synthesis.face.lip_movement import mouth_movements, mouth_shape
from microemo.synthesis.voice import espeak, sound_scene
from microemo.synthesis.voice.acted_speech import read_recordings
from microemo.synthesis.voice.espeak import Phoneme, speak
from microemo.synthesis.voice.espeak_process import EXIT_NO_LIBRARY, LIBRARY_NAMES
from microemo.synthesis.voice.speech import SAMPLING_RATE, TONES, VOICES, Speech, at_level, say


def espeak_is_here() -> bool:
    for name in (ctypes.util.find_library("espeak-ng"), *LIBRARY_NAMES):
        try:
            if name and ctypes.CDLL(name):
                return True
        except OSError:
            continue
    return False


needs_espeak = pytest.mark.skipif(not espeak_is_here(), reason="espeak-ng is not installed")


@needs_espeak
def test_speech_is_reproducible_with_ordered_phonemes():
    first, second = (speak("Mama is fine.", voice="en-us+f3") for _ in range(2))
    np.testing.assert_array_equal(first.waveform, second.waveform)
    assert first.phonemes == second.phonemes
    starts = [phoneme.start_seconds for phoneme in first.phonemes]
    assert starts == sorted(starts) and starts[-1] <= len(first.waveform) / first.sampling_rate
    assert [phoneme.name for phoneme in first.phonemes][:3:2] == ["m", "m"]


@needs_espeak
def test_every_voice_can_be_synthesized():
    for voice in VOICES["female"] + VOICES["male"]:
        assert len(speak("yes", voice=voice).waveform) > 1000


@needs_espeak
def test_unknown_voice_and_empty_text_are_refused():
    with pytest.raises(ValueError, match="xx-nowhere"):
        speak("yes", voice="xx-nowhere")
    with pytest.raises(ValueError, match="nothing to say"):
        speak(" ... ")


@needs_espeak
def test_anger_is_louder_and_faster_than_sadness():
    angry, sad = (
        say("You had no right to read it", emotion=emotion, voice="en-us", intensity=1.0, rng=np.random.default_rng(0))
        for emotion in ("anger", "sadness")
    )
    assert angry.duration_seconds < 0.8 * sad.duration_seconds
    assert np.std(angry.waveform) > 1.5 * np.std(sad.waveform)


def test_missing_espeak_error_names_the_package(monkeypatch):
    failed = subprocess.CompletedProcess([], EXIT_NO_LIBRARY, b"", b"")
    monkeypatch.setattr(espeak.subprocess, "run", lambda *args, **options: failed)
    with pytest.raises(OSError, match="espeak-ng, which is not installed"):
        speak("yes")


def test_unknown_emotion_is_refused():
    with pytest.raises(ValueError, match="boredom"):
        say("yes", emotion="boredom", voice="en-us", intensity=1.0, rng=np.random.default_rng(0))
    assert set(TONES) == {"neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"}


def tone(seconds: float) -> np.ndarray:
    return (0.2 * np.sin(2 * np.pi * 150 * np.arange(int(seconds * SAMPLING_RATE)) / SAMPLING_RATE)).astype(np.float32)


def test_lips_follow_the_phonemes():
    speech = Speech(tone(0.9), "mam", (Phoneme(0.0, "m"), Phoneme(0.3, "a"), Phoneme(0.6, "m")))
    times = np.array([0.5, 1.15, 1.45, 1.75, 3.0])
    movements = mouth_movements(speech, times=times, start_seconds=1.0)
    jaw, press = movements[:, UNIT_INDEX[26], 0], movements[:, -2, 0]
    assert jaw[0] == 0 and jaw[4] == 0
    assert jaw[2] > 0.3 and jaw[1] < 0.1 and jaw[3] < 0.1
    assert press[1] > 0.5 and press[3] > 0.5 and press[2] < 0.2


def test_lips_follow_loudness_without_phonemes():
    waveform = np.concatenate([tone(0.5), np.zeros(SAMPLING_RATE // 2, np.float32), tone(0.5)])
    jaw = mouth_movements(Speech(waveform, ""), times=np.array([0.25, 0.7, 1.2]), start_seconds=0.0)[
        :, UNIT_INDEX[26], 0
    ]
    assert jaw[0] > 0.3 and jaw[1] < 0.05 and jaw[2] > 0.3


@pytest.mark.parametrize(
    ("phoneme", "field"), [("u:", "round"), ("oU", "round"), ("i:", "wide"), ("p", "press"), ("a#", "jaw")]
)
def test_mouth_shapes_of_phonemes(phoneme, field):
    assert getattr(mouth_shape(phoneme), field) >= 0.8


def test_level_and_room():
    loud = at_level(tone(1.0) * 3, level=0.05)
    assert np.sqrt((loud**2).mean()) == pytest.approx(0.05, rel=0.3)
    rng = np.random.default_rng(0)
    heard = sound_scene.in_room(tone(1.0), reverberation_seconds=0.3, noise="hum", noise_ratio_db=20.0, rng=rng)
    assert heard.dtype == np.float32 and len(heard) == SAMPLING_RATE and np.abs(heard).max() <= 0.98
    noise = heard - sound_scene.in_room(
        tone(1.0), reverberation_seconds=0.3, noise="hum", noise_ratio_db=200.0, rng=np.random.default_rng(0)
    )
    ratio = 20 * np.log10(np.std(heard) / np.std(noise))
    assert ratio == pytest.approx(20.0, abs=2.0)
    with pytest.raises(ValueError, match='noise \\("street"\\)'):
        sound_scene.in_room(tone(0.1), reverberation_seconds=0.1, noise="street", noise_ratio_db=20.0, rng=rng)


def test_recordings_with_codes_have_no_text(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    for name in ("a.flac", "b.flac"):
        soundfile.write(tmp_path / name, tone(0.4), SAMPLING_RATE)
    (tmp_path / "labels.csv").write_text(
        "file,actor,sex,sentence,emotion\na.flac,1,male,Dogs are here,calm\nb.flac,1,male,a01,anger\n"
        "c.flac,1,male,a01,boredom\n",
        encoding="utf-8",
    )
    recordings = read_recordings(tmp_path)
    assert [(r.emotion, r.text) for r in recordings] == [("neutral", "Dogs are here"), ("anger", "")]
    speech = recordings[0].load()
    assert speech.source == "a.flac" and speech.duration_seconds == pytest.approx(0.4, abs=0.01)
