"""How an utterance is spoken, as numbers: pitch, its range, loudness, rate, pauses; measured on voiced speech alone.

Two steps, because a speaker's own median is known only when the whole clip was heard: `trace_voices` measures each
span of a waveform, `measure_prosody` compares the spans of one speaker. Pitch is YIN's (de Cheveigne & Kawahara 2002,
librosa); a frame is voiced where the signal repeats at that pitch and is not much fainter than the rest of its span.
Syllables are peaks of loudness in voiced frames with a dip between them (de Jong & Wempe 2009).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

try:
    import librosa
except ImportError:
    librosa = None  # type: ignore[assignment]
try:
    from scipy.ndimage import median_filter, uniform_filter1d
    from scipy.signal import find_peaks
except ImportError:
    find_peaks = None

LOWEST_HERTZ, HIGHEST_HERTZ = 65.0, 500.0  # of speaking voices
FRAMES_PER_SECOND = 100
FRAME_SECONDS = 0.064  # of pitch: twice the longest period, twice
LOUDNESS_SECONDS = 0.032  # of loudness, in the middle of it: gaps are short
MIN_PERIODICITY = 0.6  # correlation with the signal one period later
VOICED_DECIBELS = 30.0  # below the loud parts of its span a frame is not voiced
PAUSE_DECIBELS = 22.0  # below them nobody speaks
SILENT_DECIBELS = -65.0  # of full scale
LOUD_PERCENTILE = 95
SMOOTHED_FRAMES = 5  # of pitch, against single jumps of an octave
MIN_VOICED_SECONDS = 0.1  # less has no pitch
MIN_RANGE_SECONDS = 0.3  # less has no range
MIN_SPEECH_SECONDS = 0.5  # less has no rate
MIN_PAUSE_SECONDS = 0.15  # a shorter gap belongs to a consonant
MIN_OTHER_SECONDS = 0.5  # of voiced speech in the speaker's other utterances, to compare one with
SYLLABLE_DECIBELS = 2.0  # of the dip before and behind a syllable
SYLLABLE_SECONDS = 0.08  # at least from one to the next
LOUDNESS_FRAMES = 5  # over which loudness is smoothed before syllables are counted
SEMITONES_AN_OCTAVE = 12


@dataclass(frozen=True)
class VoiceTrace:
    """One span of sound, a value every 10 ms.

    pitch: (F,) float32 semitones above 1 Hz, NaN where nothing is voiced. decibels: (F,) float32, of full scale.
    """

    pitch: np.ndarray
    decibels: np.ndarray

    def __post_init__(self) -> None:
        if self.pitch.shape != self.decibels.shape or self.pitch.ndim != 1:
            raise ValueError(f"pitch {self.pitch.shape} and decibels {self.decibels.shape} must be (F,) both")

    @property
    def voiced(self) -> np.ndarray:
        """(F,) bool."""
        return np.isfinite(self.pitch)


@dataclass(frozen=True)
class Prosody:
    """How one utterance is spoken; None where it cannot be measured (whisper, noise, too short).

    pitch_hertz: median. pitch_semitones, loudness_decibels: of the median against the speaker's own; None where the
    speaker says nothing else to compare with. pitch_range_semitones: from the 10th to the 90th percentile.
    syllables_per_second: of the time without pauses. pause_share: in [0, 1], between the first and the last sound.
    longest_pause_seconds: 0 where there is none.
    """

    pitch_hertz: float | None = None
    pitch_semitones: float | None = None
    pitch_range_semitones: float | None = None
    loudness_decibels: float | None = None
    syllables_per_second: float | None = None
    pause_share: float | None = None
    longest_pause_seconds: float | None = None


def trace_voices(
    waveform: np.ndarray, *, sampling_rate: int, spans: Sequence[tuple[float, float]]
) -> tuple[VoiceTrace, ...]:
    """The trace of each span (start, end) in seconds from the waveform's beginning.

    Args:
        waveform: (S,) float mono in [-1, 1].
    """
    if librosa is None or find_peaks is None:
        raise ImportError("prosody needs librosa and SciPy: pip install librosa scipy")
    if waveform.ndim != 1:
        raise ValueError(f"waveform must be (S,) mono, got shape {waveform.shape}")
    if sampling_rate < 2 * HIGHEST_HERTZ:
        raise ValueError(f"sampling_rate must be >= {2 * HIGHEST_HERTZ:.0f}, got {sampling_rate}")
    return tuple(
        _trace(waveform[max(round(start * sampling_rate), 0) : max(round(end * sampling_rate), 0)], sampling_rate)
        for start, end in spans
    )


def measure_prosody(
    traces: Sequence[VoiceTrace], *, speakers: Sequence[Hashable | None] | None = None
) -> tuple[Prosody, ...]:
    """The prosody of each trace against the others of its speaker.

    Args:
        speakers: of each trace; those of nobody (None), and all where it is not given, are taken for one speaker's.
    """
    names = [None] * len(traces) if speakers is None else list(speakers)
    if len(names) != len(traces):
        raise ValueError(f"speakers has {len(names)} entries for {len(traces)} traces")
    return tuple(
        _prosody(
            trace,
            others=[
                other
                for index, other in enumerate(traces)
                if index != number and names[index] == names[number] and other.voiced.any()
            ],
        )
        for number, trace in enumerate(traces)
    )


def _trace(samples: np.ndarray, sampling_rate: int) -> VoiceTrace:
    hop = round(sampling_rate / FRAMES_PER_SECOND)
    size = 2 * (round(FRAME_SECONDS * sampling_rate) // 2)
    # YIN correlates two halves of a frame; a span that is shorter than one has no pitch.
    if len(samples) < size:
        return VoiceTrace(np.zeros(0, np.float32), np.zeros(0, np.float32))
    samples = np.nan_to_num(np.asarray(samples, np.float32))
    samples = samples - samples.mean()
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, size // 2), size)[::hop]  # (F, size)
    margin = (size - round(LOUDNESS_SECONDS * sampling_rate)) // 2
    decibels = 10 * np.log10(np.maximum(np.square(frames[:, margin:-margin]).mean(1), 1e-12))
    hertz = librosa.yin(
        samples,
        fmin=LOWEST_HERTZ,
        fmax=HIGHEST_HERTZ,
        sr=sampling_rate,
        frame_length=size,
        hop_length=hop,
        pad_mode="constant",
    )[: len(frames)]
    loud = np.percentile(decibels, LOUD_PERCENTILE)
    voiced = (_periodicity(frames, hertz=hertz, sampling_rate=sampling_rate) >= MIN_PERIODICITY) & (
        decibels >= max(loud - VOICED_DECIBELS, SILENT_DECIBELS)
    )
    voiced &= (hertz > LOWEST_HERTZ) & (hertz < HIGHEST_HERTZ)  # at a bound it found none
    # A voice lasts: single frames that repeat are chance.
    voiced = median_filter(voiced.astype(np.uint8), SMOOTHED_FRAMES).astype(bool) & voiced
    semitones = SEMITONES_AN_OCTAVE * np.log2(median_filter(hertz, SMOOTHED_FRAMES))
    return VoiceTrace(np.where(voiced, semitones, np.nan).astype(np.float32), decibels.astype(np.float32))


def _periodicity(frames: np.ndarray, *, hertz: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Correlation in [-1, 1] of the first half of each frame with the half that begins one period later."""
    half = frames.shape[1] // 2
    lags = np.clip(np.round(sampling_rate / hertz).astype(int), 1, half)
    later = np.take_along_axis(frames, lags[:, None] + np.arange(half), axis=1)
    first = frames[:, :half]
    energy = np.sqrt(np.square(first).sum(1) * np.square(later).sum(1))
    return (first * later).sum(1) / np.maximum(energy, 1e-9)


def _prosody(trace: VoiceTrace, *, others: Sequence[VoiceTrace]) -> Prosody:
    voiced = trace.voiced
    seconds = voiced.sum() / FRAMES_PER_SECOND
    if seconds < MIN_VOICED_SECONDS:
        return Prosody()
    pitch, loudness = np.median(trace.pitch[voiced]), np.median(trace.decibels[voiced])
    low, high = np.percentile(trace.pitch[voiced], (10, 90))
    semitones = decibels = None
    if sum(other.voiced.sum() for other in others) / FRAMES_PER_SECOND >= MIN_OTHER_SECONDS:
        spoken = [trace, *others]
        semitones = _rounded(pitch - np.median(np.concatenate([each.pitch[each.voiced] for each in spoken])))
        decibels = _rounded(loudness - np.median(np.concatenate([each.decibels[each.voiced] for each in spoken])))
    return Prosody(
        pitch_hertz=round(float(2 ** (pitch / SEMITONES_AN_OCTAVE)), 1),
        pitch_semitones=semitones,
        pitch_range_semitones=_rounded(high - low) if seconds >= MIN_RANGE_SECONDS else None,
        loudness_decibels=decibels,
        **_timing(trace),
    )


def _timing(trace: VoiceTrace) -> dict[str, float | None]:
    """Rate and pauses between the first and the last sound."""
    sounding = trace.decibels >= np.percentile(trace.decibels, LOUD_PERCENTILE) - PAUSE_DECIBELS
    places = np.flatnonzero(sounding)
    span = slice(places[0], places[-1] + 1)
    sounding, voiced = sounding[span], trace.voiced[span]
    pauses = [run for run in _runs(~sounding) if run >= MIN_PAUSE_SECONDS * FRAMES_PER_SECOND]
    length, silent = len(sounding) / FRAMES_PER_SECOND, sum(pauses) / FRAMES_PER_SECOND
    rate = None
    if length - silent >= MIN_SPEECH_SECONDS:
        smooth = uniform_filter1d(trace.decibels[span], LOUDNESS_FRAMES)
        padded = np.pad(smooth, 1, constant_values=smooth.min() - PAUSE_DECIBELS)  # the first and last sound count
        peaks, _ = find_peaks(padded, prominence=SYLLABLE_DECIBELS, distance=SYLLABLE_SECONDS * FRAMES_PER_SECOND)
        peaks = np.clip(peaks - 1, 0, len(voiced) - 1)
        rate = _rounded((voiced[peaks] & sounding[peaks]).sum() / (length - silent))
    return {
        "syllables_per_second": rate,
        "pause_share": _rounded(silent / length, digits=3),
        "longest_pause_seconds": _rounded(max(pauses, default=0) / FRAMES_PER_SECOND),
    }


def _runs(mask: np.ndarray) -> list[int]:
    """The lengths of the stretches in which the mask (F,) is True."""
    edges = np.diff(np.concatenate(([0], mask.astype(np.int8), [0])))
    return (np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)).tolist()


def _rounded(value: float, *, digits: int = 2) -> float:
    return round(float(value), digits)
