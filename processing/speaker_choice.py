"""Whose face belongs to an utterance: the one whose mouth moves with the voice, the largest, or a given one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .clip import FaceTrack, Utterance
from .face_cropping import CROP_TEMPLATE

MOUTH_REACH = (0.10, 0.17)  # of the crop's side: added left and right of, above and below the corners of the mouth
EYE_REACH = (0.10, 0.10)  # the same around the eyes; what moves there too is the head or the light, not the mouth
MAX_STEP_SECONDS = 0.25  # between crops; a longer gap shows no movement
MAX_LAG_SAMPLES = 2  # lips may lead or follow the voice by this many face frames
MIN_SAMPLES = 4  # movements inside an utterance below which a mouth says nothing
ENERGY_WINDOW_SECONDS = 0.08
SILENCE = 1e-4  # amplitude, floor of the logarithm: -80 dB


@dataclass(frozen=True)
class Curve:
    """A quantity over time. times: (N,) seconds, increasing. values: (N,)."""

    times: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        if np.shape(self.times) != np.shape(self.values) or np.ndim(self.times) != 1:
            raise ValueError(f"times {np.shape(self.times)} and values {np.shape(self.values)} must be one row each")

    def within(self, utterance: Utterance) -> Curve:
        inside = (self.times >= utterance.start_seconds) & (self.times < utterance.end_seconds)
        return Curve(self.times[inside], self.values[inside])


def choose_tracks(
    tracks: Sequence[FaceTrack],
    *,
    utterances: Sequence[Utterance],
    person: str | int,
    mouth_motion: Mapping[int, Curve],
    voice_energy: Curve | None,
) -> tuple[int | None, ...]:
    """For each utterance the track id of the attended person; None when no wanted face is seen in it.

    Args:
        person: "speaker", "largest" or a track id.
        mouth_motion: `mouth_motion_curve` of each track id; used for "speaker".
        voice_energy: `voice_energy_curve`; None (no audio) turns "speaker" into "largest".
    """
    if not isinstance(person, int) and person not in ("speaker", "largest"):
        raise ValueError(f'person must be "speaker", "largest" or a track id, got {person!r}')
    chosen: list[int | None] = []
    for utterance in utterances:
        sizes = {track.track_id: size for track in tracks if (size := visible_size(track, utterance=utterance)) > 0}
        if isinstance(person, int):
            chosen.append(person if person in sizes else None)
        elif len(sizes) <= 1 or person == "largest" or voice_energy is None:
            chosen.append(_best(sizes))
        else:
            scores = {
                track_id: speaking_score(mouth_motion[track_id].within(utterance), voice_energy=voice_energy)
                for track_id in sizes
                if track_id in mouth_motion
            }
            spoken = {track_id: score for track_id, score in scores.items() if np.isfinite(score)}
            chosen.append(_best(spoken) if spoken else _best(sizes))
    return tuple(chosen)


def visible_size(track: FaceTrack, *, utterance: Utterance) -> float:
    """Sum over the utterance's detections of the box area in pixels: large and long seen counts; 0 when unseen."""
    inside = (track.times >= utterance.start_seconds) & (track.times < utterance.end_seconds)
    boxes = track.boxes[inside]
    return float(np.sum((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])))


def speaking_score(motion: Curve, *, voice_energy: Curve) -> float:
    """How much a mouth looks like the source of the voice: mean movement x (1 + best correlation with loudness).

    Movement alone finds the speaker among still listeners; the correlation decides between two moving mouths. NaN with
    fewer than `MIN_SAMPLES` movements.
    """
    if len(motion.times) < MIN_SAMPLES or len(voice_energy.times) == 0:
        return float("nan")
    energy = np.interp(motion.times, voice_energy.times, voice_energy.values)
    lags = range(-MAX_LAG_SAMPLES, MAX_LAG_SAMPLES + 1)
    correlation = max(_correlation(motion.values, energy, lag=lag) for lag in lags)
    return float(np.mean(motion.values)) * (1 + max(correlation, 0.0))


def mouth_motion_curve(crops: np.ndarray, times: np.ndarray) -> Curve:
    """Movement of the mouth between successive aligned crops of one track, (N, h, w, 3) uint8 and (N,) seconds.

    In grey levels relative to the crop's contrast, at the later crop's time; what the region of the eyes moves is
    taken off, for that is the crop's own jitter. Steps over `MAX_STEP_SECONDS` are left out.
    """
    if len(crops) < 2:
        return Curve(np.zeros(0), np.zeros(0))
    side = crops.shape[1]
    grey = crops.mean(axis=-1, dtype=np.float32)  # (N, h, w)
    contrast = np.maximum(grey.std(axis=(1, 2)), 1.0)
    motion = [
        np.mean(np.abs(np.diff(grey[:, rows, columns], axis=0)), axis=(1, 2))
        for rows, columns in (
            _region(CROP_TEMPLATE[3:], reach=MOUTH_REACH, side=side),
            _region(CROP_TEMPLATE[:2], reach=EYE_REACH, side=side),
        )
    ]
    values = np.maximum(motion[0] - motion[1], 0) / contrast[1:]
    close = np.diff(times) <= MAX_STEP_SECONDS
    return Curve(np.asarray(times, dtype=np.float64)[1:][close], values[close])


def voice_energy_curve(waveform: np.ndarray, *, sampling_rate: int, start_seconds: float = 0.0) -> Curve:
    """Loudness in dB of a mono waveform that begins at `start_seconds`, one value per `ENERGY_WINDOW_SECONDS`."""
    window = max(1, round(ENERGY_WINDOW_SECONDS * sampling_rate))
    count = len(waveform) // window
    blocks = waveform[: count * window].reshape(count, window).astype(np.float64)
    levels = 20 * np.log10(np.maximum(np.sqrt(np.mean(blocks**2, axis=1)), SILENCE))
    return Curve(start_seconds + (np.arange(count) + 0.5) * window / sampling_rate, levels)


def _region(points: np.ndarray, *, reach: tuple[float, float], side: int) -> tuple[slice, slice]:
    """Rows and columns of the crop around template points (P, 2)."""
    low = np.clip(np.floor((points.min(axis=0) - reach) * side), 0, side).astype(int)
    high = np.clip(np.ceil((points.max(axis=0) + reach) * side), 0, side).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _correlation(motion: np.ndarray, energy: np.ndarray, *, lag: int) -> float:
    """Pearson's correlation of motion with the energy `lag` samples earlier; 0 where one of them does not vary."""
    if lag:
        motion, energy = (motion[lag:], energy[:-lag]) if lag > 0 else (motion[:lag], energy[-lag:])
    if len(motion) < MIN_SAMPLES or np.ptp(motion) == 0 or np.ptp(energy) == 0:
        return 0.0
    return float(np.corrcoef(motion, energy)[0, 1])


def _best(scores: Mapping[int, float]) -> int | None:
    return max(scores, key=lambda track_id: scores[track_id]) if scores else None
