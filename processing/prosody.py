"""Prosody of utterances: pitch, pitch range, loudness, speech rate and pauses, measured on voiced speech.

Values relative to a speaker's median need the whole clip, so there are two steps: `trace_voices` measures each span of
a waveform, `measure_prosody` compares the spans of one speaker. Pitch is estimated by YIN (de Cheveigne & Kawahara
2002, librosa). A frame is voiced if the signal is periodic at that pitch and not much fainter than the rest of its
span. Syllables are loudness peaks in voiced frames with a dip in between (de Jong & Wempe 2009).
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

MIN_HERTZ, MAX_HERTZ = 65.0, 500.0  # of speaking voices
FRAMES_PER_SECOND = 100
FRAME_SECONDS = 0.064  # for pitch: four of the longest periods
LOUDNESS_SECONDS = 0.032  # for loudness, centred: short enough to resolve gaps
MIN_PERIODICITY = 0.6  # correlation of the signal with itself one period later
VOICED_DECIBELS = 30.0  # a frame further below the loud parts of its span is unvoiced
PAUSE_DECIBELS = 22.0  # a frame further below them is a pause
SILENT_DECIBELS = -65.0  # relative to full scale
LOUD_PERCENTILE = 95
MEDIAN_FRAMES = 5  # median filter of pitch, against octave errors
MIN_VOICED_SECONDS = 0.1  # for pitch
MIN_RANGE_SECONDS = 0.3  # for the pitch range
MIN_SPEECH_SECONDS = 0.5  # for the speech rate
MIN_PAUSE_SECONDS = 0.15  # a shorter gap is part of a consonant
MIN_REFERENCE_SECONDS = 0.5  # of voiced speech in the speaker's other utterances, for relative values
SYLLABLE_DECIBELS = 2.0  # depth of the dip before and after a syllable
SYLLABLE_SECONDS = 0.08  # minimum distance of syllables
LOUDNESS_FRAMES = 5  # smoothing of loudness for counting syllables
SEMITONES_PER_OCTAVE = 12


@dataclass(frozen=True)
class VoiceTrace:
    """Pitch and loudness of one span, a value every 10 ms.

    pitch: (F,) float32 semitones above 1 Hz, NaN if unvoiced. decibels: (F,) float32, relative to full scale.
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
    """Prosody of one utterance; None for values that cannot be measured (whisper, noise, too short).

    pitch_hertz: median.
    pitch_semitones, loudness_decibels: median relative to the speaker's own; None without other utterances of the
    speaker.
    pitch_range_semitones: from the 10th to the 90th percentile.
    syllables_per_second: of the time without pauses.
    pause_share: in [0, 1], between the first and the last sound. longest_pause_seconds: 0 without pauses.
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
    """The trace of each span (start, end), in seconds from the start of the waveform.

    Args:
        waveform: (S,) float mono in [-1, 1].
    """
    if librosa is None or find_peaks is None:
        raise ImportError("prosody needs librosa and SciPy: pip install librosa scipy")
    if waveform.ndim != 1:
        raise ValueError(f"waveform must be (S,) mono, got shape {waveform.shape}")
    if sampling_rate < 2 * MAX_HERTZ:
        raise ValueError(f"sampling_rate must be >= {2 * MAX_HERTZ:.0f}, got {sampling_rate}")
    return tuple(
        _trace(waveform[max(round(start * sampling_rate), 0) : max(round(end * sampling_rate), 0)], sampling_rate)
        for start, end in spans
    )


def measure_prosody(
    traces: Sequence[VoiceTrace], *, speakers: Sequence[Hashable | None] | None = None
) -> tuple[Prosody, ...]:
    """The prosody of each trace relative to the others of its speaker.

    Args:
        speakers: of each trace. Traces without a speaker (None), and all traces by default, count as one speaker.
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
    # YIN needs a whole frame; a shorter span has no pitch.
    if len(samples) < size:
        return VoiceTrace(np.zeros(0, np.float32), np.zeros(0, np.float32))
    samples = np.nan_to_num(np.asarray(samples, np.float32))
    samples = samples - samples.mean()
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, size // 2), size)[::hop]  # (F, size)
    margin = (size - round(LOUDNESS_SECONDS * sampling_rate)) // 2
    decibels = 10 * np.log10(np.maximum(np.square(frames[:, margin:-margin]).mean(1), 1e-12))
    hertz = librosa.yin(
        samples,
        fmin=MIN_HERTZ,
        fmax=MAX_HERTZ,
        sr=sampling_rate,
        frame_length=size,
        hop_length=hop,
        pad_mode="constant",
    )[: len(frames)]
    loud = np.percentile(decibels, LOUD_PERCENTILE)
    voiced = (_periodicity(frames, hertz=hertz, sampling_rate=sampling_rate) >= MIN_PERIODICITY) & (
        decibels >= max(loud - VOICED_DECIBELS, SILENT_DECIBELS)
    )
    voiced &= (hertz > MIN_HERTZ) & (hertz < MAX_HERTZ)  # a value at a bound means no pitch
    # Isolated periodic frames are removed.
    voiced = median_filter(voiced.astype(np.uint8), MEDIAN_FRAMES).astype(bool) & voiced
    semitones = SEMITONES_PER_OCTAVE * np.log2(median_filter(hertz, MEDIAN_FRAMES))
    return VoiceTrace(np.where(voiced, semitones, np.nan).astype(np.float32), decibels.astype(np.float32))


def _periodicity(frames: np.ndarray, *, hertz: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Correlation in [-1, 1] of the first half of each frame with the half that starts one period later."""
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
    if sum(other.voiced.sum() for other in others) / FRAMES_PER_SECOND >= MIN_REFERENCE_SECONDS:
        all_traces = [trace, *others]
        semitones = _rounded(pitch - np.median(np.concatenate([each.pitch[each.voiced] for each in all_traces])))
        decibels = _rounded(loudness - np.median(np.concatenate([each.decibels[each.voiced] for each in all_traces])))
    return Prosody(
        pitch_hertz=round(float(2 ** (pitch / SEMITONES_PER_OCTAVE)), 1),
        pitch_semitones=semitones,
        pitch_range_semitones=_rounded(high - low) if seconds >= MIN_RANGE_SECONDS else None,
        loudness_decibels=decibels,
        **_timing(trace),
    )


def _timing(trace: VoiceTrace) -> dict[str, float | None]:
    """Speech rate and pauses between the first and the last sound."""
    sounding = trace.decibels >= np.percentile(trace.decibels, LOUD_PERCENTILE) - PAUSE_DECIBELS
    sounding_frames = np.flatnonzero(sounding)
    span = slice(sounding_frames[0], sounding_frames[-1] + 1)
    sounding, voiced = sounding[span], trace.voiced[span]
    pauses = [run for run in _runs(~sounding) if run >= MIN_PAUSE_SECONDS * FRAMES_PER_SECOND]
    length, silent = len(sounding) / FRAMES_PER_SECOND, sum(pauses) / FRAMES_PER_SECOND
    rate = None
    if length - silent >= MIN_SPEECH_SECONDS:
        smoothed = uniform_filter1d(trace.decibels[span], LOUDNESS_FRAMES)
        padded = np.pad(
            smoothed, 1, constant_values=smoothed.min() - PAUSE_DECIBELS
        )  # so that the first and last sound count
        peaks, _ = find_peaks(padded, prominence=SYLLABLE_DECIBELS, distance=SYLLABLE_SECONDS * FRAMES_PER_SECOND)
        peaks = np.clip(peaks - 1, 0, len(voiced) - 1)
        rate = _rounded((voiced[peaks] & sounding[peaks]).sum() / (length - silent))
    return {
        "syllables_per_second": rate,
        "pause_share": _rounded(silent / length, digits=3),
        "longest_pause_seconds": _rounded(max(pauses, default=0) / FRAMES_PER_SECOND),
    }


def _runs(mask: np.ndarray) -> list[int]:
    """Lengths of the runs of True in the mask (F,)."""
    edges = np.diff(np.concatenate(([0], mask.astype(np.int8), [0])))
    return (np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)).tolist()


def _rounded(value: float, *, digits: int = 2) -> float:
    return round(float(value), digits)
