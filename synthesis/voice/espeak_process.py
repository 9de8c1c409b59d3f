"""Synthesizes one utterance with espeak-ng's C library.

Reads a JSON request from stdin; writes a JSON line and 16-bit samples to stdout.

Runs as a separate process, which `espeak.py` starts by path without site packages in about 30 ms: the library keeps
state between utterances, so that a second utterance differs slightly, and it cannot be reset. The command `espeak-ng`
is not used, as it does not report phoneme times.
"""

import ctypes
import ctypes.util
import json
import sys

LIBRARY_NAMES = ("libespeak-ng.so.1", "libespeak-ng.so", "libespeak-ng.dylib", "libespeak-ng.dll")
EXIT_NO_LIBRARY, EXIT_NO_VOICES, EXIT_UNKNOWN_VOICE = 3, 4, 5

OUTPUT_SYNCHRONOUS, BUFFER_MS = 2, 200  # arguments of espeak_Initialize
OPTIONS = 0x0001 | 0x8000  # phoneme events; return errors instead of exiting
CHARS_UTF8 = 1
EVENT_END, EVENT_PHONEME = 0, 7
PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3, "pitch_range": 4, "word_gap": 7}


class Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))


def load_library() -> ctypes.CDLL:
    """Loads espeak-ng; exits if there is none."""
    for name in (ctypes.util.find_library("espeak-ng"), *LIBRARY_NAMES):
        try:
            if name:
                return ctypes.CDLL(name)
        except OSError:
            continue
    sys.exit(EXIT_NO_LIBRARY)


def synthesize(request: dict) -> tuple[int, list[tuple[float, str]], bytes]:
    """Returns sampling rate, (seconds, phoneme) pairs and little-endian 16-bit samples."""
    library = load_library()
    rate = library.espeak_Initialize(OUTPUT_SYNCHRONOUS, BUFFER_MS, None, OPTIONS)
    if rate <= 0:
        sys.exit(EXIT_NO_VOICES)
    if library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
        sys.exit(EXIT_UNKNOWN_VOICE)
    for name, number in PARAMETERS.items():
        library.espeak_SetParameter(number, int(request[name]), 0)
    samples: list[bytes] = []
    phonemes: list[tuple[float, str]] = []

    def receive(buffer, count, events):
        if count > 0:
            samples.append(ctypes.string_at(buffer, 2 * count))
        position = 0
        while events[position].type != EVENT_END:
            if events[position].type == EVENT_PHONEME:
                name = events[position].name.decode("utf-8", "replace")
                phonemes.append((events[position].audio_position / 1000.0, name))
            position += 1
        return 0

    callback = CALLBACK(receive)
    library.espeak_SetSynthCallback(callback)
    text = request["text"].encode()
    library.espeak_Synth(text, len(text) + 1, 0, 0, 0, CHARS_UTF8, None, None)
    return rate, phonemes, b"".join(samples)


if __name__ == "__main__":
    sampling_rate, sounds, pcm = synthesize(json.load(sys.stdin))
    header = json.dumps({"sampling_rate": sampling_rate, "phonemes": sounds})
    sys.stdout.buffer.write(header.encode() + b"\n" + pcm)
