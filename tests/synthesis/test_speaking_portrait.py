"""A photograph that says a recording: lip sync, rest at both ends, expression, and the command."""

import numpy as np
import pytest
from PIL import Image
from scipy.signal import butter, sosfiltfilt
from synthetic_media import write_wav

from microemo.cli import portrait as command
from microemo.cli.main import main
from microemo.data.action_units import UNIT_INDEX
from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.chunk_analysis import ChunkPerception
from microemo.processing.audio_reading import read_audio
from microemo.processing.clip import Clip, Utterance
from microemo.processing.evidence import Evidence
from microemo.processing.video_reading import open_video
from microemo.synthesis.video.speaking_portrait import SpeakingSettings, expression_of, speaking_performance
from microemo.synthesis.voice.speech import SAMPLING_RATE

SIZE = (96, 96)
UPPER_LIP, LOWER_LIP = 13, 14
SYLLABLES = ((0.3, 0.25, 1.0), (0.7, 0.2, 0.5), (1.1, 0.35, 0.9), (2.0, 0.3, 0.7), (2.5, 0.2, 1.0))


def babble(seconds: float = 3.2) -> np.ndarray:
    """Syllables of a voiced sound, of different lengths and loudness, with pauses between."""
    times = np.arange(int(seconds * SAMPLING_RATE)) / SAMPLING_RATE
    tone = sum(np.sin(2 * np.pi * 130 * number * times) / number for number in range(1, 8))
    loudness = np.zeros_like(times)
    for start, length, level in SYLLABLES:
        inside = (times >= start) & (times < start + length)
        loudness[inside] = level * np.sin(np.pi * (times[inside] - start) / length)
    return (0.2 * tone * loudness).astype(np.float32)


def mouth_opening(portrait, performance) -> np.ndarray:
    """(F,) distance of the inner lips, in pixels of the frame."""
    points = portrait.face_points(performance.motion(), size=SIZE)
    return np.linalg.norm(points[:, LOWER_LIP] - points[:, UPPER_LIP], axis=1)


def envelope_at(times: np.ndarray, waveform: np.ndarray) -> np.ndarray:
    """The sound's envelope, made otherwise than synthesis makes it: rectified and low-passed at 8 Hz."""
    smooth = sosfiltfilt(butter(2, 8.0, fs=SAMPLING_RATE, output="sos"), np.abs(waveform))
    return np.interp(times, np.arange(len(waveform)) / SAMPLING_RATE, smooth)


@pytest.mark.parametrize("emotion", ["neutral", "surprise", "anger"])
def test_the_mouth_opens_with_the_sound(portrait, emotion):
    waveform = babble()
    performance = speaking_performance(waveform, settings=SpeakingSettings(emotion=emotion))
    opening = mouth_opening(portrait, performance)
    envelope = envelope_at(performance.frame_times, waveform)
    assert np.corrcoef(opening, envelope)[0, 1] >= 0.6
    late = envelope_at(performance.frame_times + 0.5, waveform)
    assert np.corrcoef(opening, late)[0, 1] < 0.3, "another sound's envelope does not fit"


def test_it_begins_and_ends_at_rest_and_moves_between(portrait):
    settings = SpeakingSettings(emotion="happiness", seed=3)
    points = portrait.face_points(speaking_performance(babble(), settings=settings).motion(), size=SIZE)
    np.testing.assert_allclose(points[0], points[-1], atol=0.05)
    assert np.abs(points[40] - points[0]).max() > 1


def test_the_expression_is_the_one_that_was_asked_for():
    plain = speaking_performance(babble(), settings=SpeakingSettings()).action_units()
    glad = speaking_performance(babble(), settings=SpeakingSettings(emotion="happiness", intensity=0.8)).action_units()
    smile, jaw = UNIT_INDEX[12], UNIT_INDEX[26]
    assert glad[:, smile].max() == pytest.approx(0.8) and plain[:, smile].max() == 0
    np.testing.assert_array_equal(glad[:, jaw], plain[:, jaw])


def test_the_eyes_blink_and_open_again():
    lids = speaking_performance(np.tile(babble(), 5), settings=SpeakingSettings()).action_units()[:, UNIT_INDEX[43]]
    assert lids.max() > 0.8 and (lids > 0).mean() < 0.3 and lids[0] == lids[-1] == 0


@pytest.mark.parametrize(("name", "expression"), [("joy", "happiness"), ("Fear", "fear"), ("calm", "neutral")])
def test_names_of_emotions(name, expression):
    assert expression_of(name) == expression


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"emotion": "bored"}, r"emotion \('bored'\) must be one of neutral, happiness"),
        ({"intensity": 0}, r"intensity \(0\)"),
        ({"fps": 5}, r"fps \(5\)"),
        ({"sway": -1}, r"sway \(-1\)"),
    ],
)
def test_settings_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpeakingSettings(**arguments)


@pytest.mark.parametrize(
    ("waveform", "message"), [(babble(0.5), "at least 1 s"), (np.zeros(2 * SAMPLING_RATE, np.float32), "silent")]
)
def test_sound_that_nobody_can_say(waveform, message):
    with pytest.raises(ValueError, match=message):
        speaking_performance(waveform, settings=SpeakingSettings())


@pytest.fixture
def files(tmp_path, photograph, tools, monkeypatch):
    monkeypatch.setattr(command, "load_face_tools", lambda: tools)
    Image.fromarray(photograph).save(tmp_path / "photo.png")
    write_wav(tmp_path / "speech.wav", babble())
    return tmp_path


def test_the_command_writes_a_video_with_the_sound(files, capsys):
    out = files / "talk.mp4"
    asked = ["portrait", str(files / "photo.png"), "--audio", str(files / "speech.wav"), "--size", "96"]
    assert main([*asked, "--emotion", "joy", "--out", str(out), "--quiet"]) == 0
    with open_video(out) as video:
        assert len(video) == 80 and (video.height, video.width) == (96, 96)
    sound = read_audio(out)
    heard = envelope_at(np.arange(0.2, 3.0, 0.05), sound)
    assert np.corrcoef(heard, envelope_at(np.arange(0.2, 3.0, 0.05), babble()))[0, 1] > 0.95


def test_the_expression_may_be_that_of_the_voice(files, monkeypatch, capsys):
    heard = [("anger", 2.0, 0.9), ("joy", 1.0, 0.9), ("boredom", 3.0, 1.0), ("joy", 1.5, 0.9)]
    evidence = tuple((Evidence("voice", label, 0.0, end, certainty=sure),) for label, end, sure in heard)
    clip = Clip("speech.wav", 0.0, 9.0, tuple(Utterance(0.0, end) for _, end, _ in heard))

    class Hears:
        def perceive(self, source, *, progress):
            assert source.endswith("speech.wav")
            return iter([ChunkPerception(clip, frozenset(), evidence=evidence)])

    monkeypatch.setattr(EmotionAnalyzer, "from_pretrained", lambda **_: Hears())
    asked = ["portrait", str(files / "photo.png"), "--audio", str(files / "speech.wav"), "--size", "64"]
    assert main([*asked, "--emotion", "voice", "--out", str(files / "talk.mp4"), "--quiet"]) == 0
    assert "heard in the voice: happiness" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--emotion": "bored"}, "emotion ('bored') must be one of"),
        ({"--out": "talk.gif"}, "--out (talk.gif) must end in .mp4"),
        ({"--audio": "{photo}"}, "photo.png"),
        ({"--size": "97"}, "--size (97) must be an even number from 64 to 1024"),
    ],
)
def test_unusable_arguments_leave_nothing_behind(files, change, words, capsys, monkeypatch):
    monkeypatch.chdir(files)
    options = {"--audio": str(files / "speech.wav"), "--out": "talk.mp4", "--size": "96"}
    options |= {name: value.format(photo=files / "photo.png") for name, value in change.items()}
    flat = [part for pair in options.items() for part in pair]
    assert main(["portrait", str(files / "photo.png"), *flat, "--quiet"]) == 2
    assert words in capsys.readouterr().err
    assert sorted(path.name for path in files.iterdir()) == ["photo.png", "speech.wav"]
