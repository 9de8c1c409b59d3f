"""The real recogniser on espeak-ng speech in five languages, and on audio without speech."""

import shutil
import subprocess

import librosa
import numpy as np
import pytest

from microemo.processing.speech_recognition import SAMPLING_RATE, SpeechRecognizer

# language -> (voice, words a minute, words) of two recordings. espeak-ng reads Mandarin best from pinyin.
SPOKEN = {
    "en": [
        ("en-us", 140, "I can not believe that you forgot my birthday again. We talked about it yesterday."),
        ("en-gb", 140, "The train to London was late, so I waited at the station for almost two hours."),
    ],
    "zh": [
        ("cmn-latn-pinyin+f3", 110, "wo3 hen3 gao1 xing4 ren4 shi5 ni3. jin1 tian1 tian1 qi4 hen3 hao3."),
        ("cmn-latn-pinyin+f3", 110, "ni3 hao3, wo3 shi4 zhong1 guo2 ren2. ni3 zhu4 zai4 na3 li3?"),
    ],
    "es": [
        ("es", 140, "No puedo creer que hayas olvidado mi cumpleaños otra vez. Estoy muy triste."),
        ("es", 140, "El tren llegó tarde y tuve que esperar en la estación durante dos horas."),
    ],
    "de": [
        ("de", 140, "Ich kann nicht glauben, dass du meinen Geburtstag schon wieder vergessen hast."),
        ("de", 140, "Der Zug nach Berlin hatte Verspätung, deshalb habe ich zwei Stunden gewartet."),
    ],
    "ar": [
        ("ar+f3", 150, "السلام عليكم ورحمة الله وبركاته"),
        ("ar+f3", 110, "السلام عليكم ورحمة الله وبركاته"),
    ],
}
# Words expected in the first recording, in its language and in English.
HEARD = {"en": ("forgot", None), "es": ("otra vez", None), "de": ("vergessen", "birthday")}


@pytest.fixture(scope="module")
def recognizer(assembled_mini):
    return SpeechRecognizer.from_pretrained(assembled_mini / "speech_recognition")


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    path = tmp_path_factory.mktemp("espeak") / "speech.wav"

    def speak(voice, speed, words):
        subprocess.run(["espeak-ng", "-v", voice, "-s", str(speed), "-w", str(path), words], check=True)
        return librosa.load(path, sr=SAMPLING_RATE)[0]

    return speak


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("language", SPOKEN)
def test_the_spoken_language_is_detected(recognizer, record, language, number):
    transcription = recognizer.transcribe(record(*SPOKEN[language][number]))
    print(
        [
            (u.language, u.language_probability, u.text, u.english)
            for u in (*transcription, *transcription.low_confidence)
        ]
    )
    assert [u.language for u in (*transcription, *transcription.low_confidence)] == [language] * len(
        (*transcription, *transcription.low_confidence)
    )
    assert len((*transcription, *transcription.low_confidence)) > 0
    assert all(u.english is None for u in transcription if u.language == "en")
    if number == 0 and language in HEARD:
        words, english = HEARD[language]
        assert words in " ".join(u.text for u in transcription)
        assert english is None or english in " ".join(u.english or "" for u in transcription)


@pytest.mark.slow
def test_quiet_speech_is_recognised(recognizer, record):
    waveform = record(*SPOKEN["en"][1])
    transcription = recognizer.transcribe(waveform * (0.01 / np.abs(waveform).max()))  # -40 dB
    assert "London" in " ".join(u.text for u in transcription)


def silence(rng, times):
    return np.zeros_like(times)


def white_noise(rng, times):
    return rng.normal(0, 0.1, len(times))


def pink_noise(rng, times):
    spectrum = np.fft.rfft(rng.normal(0, 1, len(times)))
    frequencies = np.maximum(np.arange(len(spectrum)), 1)
    return _at_level(np.fft.irfft(spectrum / np.sqrt(frequencies), len(times)))


def hum(rng, times):
    return _at_level(sum(np.sin(2 * np.pi * 50 * n * times) / n for n in range(1, 12)))


def chords(rng, times):
    roots = (261.6, 220.0, 174.6, 196.0)  # C, A minor, F, G: two seconds each
    root = np.array(roots)[(times // 2).astype(int) % 4]
    thirds = np.where((times // 2).astype(int) % 4 == 1, 1.2, 1.25)
    tones = sum(np.sin(2 * np.pi * root * ratio * n * times) / n for ratio in (1, thirds, 1.5) for n in (1, 2, 3, 4))
    return _at_level(tones * np.exp(-1.5 * (times % 2)))


def drums(rng, times):
    kick = np.sin(2 * np.pi * 60 * (times % 0.5)) * np.exp(-12 * (times % 0.5))
    snare = rng.normal(0, 1, len(times)) * np.exp(-20 * ((times + 0.25) % 0.5))
    return _at_level(kick + 0.5 * snare)


def melody(rng, times):
    """Gliding tones with vibrato like a theremin, the synthetic music most similar to a voice."""
    steps = np.array([0, 4, 7, 12, 7, 5, 4, 2])[(times * 2).astype(int) % 8]
    pitch = 220 * 2 ** (steps / 12) * (1 + 0.02 * np.sin(2 * np.pi * 5.5 * times))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLING_RATE
    return _at_level(sum(np.sin(n * phase) / n for n in range(1, 10)))


def _at_level(sound):
    return 0.3 * sound / np.abs(sound).max()


@pytest.mark.slow
@pytest.mark.parametrize("sound", [silence, white_noise, pink_noise, hum, chords, drums, melody])
def test_silence_noise_and_music_contain_no_speech(recognizer, sound):
    times = np.arange(12 * SAMPLING_RATE) / SAMPLING_RATE
    waveform = sound(np.random.default_rng(0), times).astype(np.float32)
    transcription = recognizer.transcribe(waveform)
    print(sound.__name__, [u.text for u in transcription.low_confidence])
    assert transcription == ()
