"""Whose face belongs to an utterance: the one whose mouth opens with the voice, the largest, or a given one.

A mouth that moves proves little: of two people who talk, both move. What tells is that it opens as the voice is loud.
One decision is made for all utterances of a speaker together, and none where the evidence is too weak for one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .clip import FaceTrack, Utterance
from .face_cropping import CROP_TEMPLATE

MOUTH_REACH = (-0.06, 0.11)  # of the crop's side: added left and right of, above and below the corners of the mouth
DARK_PERCENTILE = 15  # of the mouth's grey levels: an open mouth is dark inside
TREND_SECONDS = 1.0  # slower changes are the light and the head
MAX_STEP_SECONDS = 0.25  # between crops; what lies further apart is not one movement
MAX_LAG_SAMPLES = 2  # lips may lead or follow the voice by this many face frames
MIN_SAMPLES = 12  # of a speaker below which a mouth says nothing
# Of a face's fit, which is in units of 1 / sqrt(samples) of a correlation; chosen on pairs of filmed people.
MIN_FIT = 2.0  # below, no face is told
MIN_LEAD = 1.0  # before the next face; below, it cannot be told which one speaks
ENERGY_WINDOW_SECONDS = 0.08
SILENCE = 1e-4  # amplitude, floor of the logarithm: -80 dB
LOUDNESS_RANGE = 40.0  # dB below the loudest moment of an utterance; what is quieter counts as this


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


@dataclass(frozen=True)
class Evidence:
    """How a mouth goes with a speaker's voice: correlation of opening and loudness over `samples` face frames, and
    `movement`, the standard deviation of the opening."""

    correlation: float
    samples: int
    movement: float

    def fit(self, *, most_movement: float) -> float:
        """The correlation in units of its error, lowered for a mouth that hardly moves beside one that does."""
        if most_movement == 0:
            return 0.0
        return self.correlation * math.sqrt(self.samples * self.movement / most_movement)


def choose_tracks(
    tracks: Sequence[FaceTrack],
    *,
    utterances: Sequence[Utterance],
    person: str | int,
    mouth_opening: Mapping[int, Curve],
    voice_energy: Curve | None,
) -> tuple[int | None, ...]:
    """For each utterance the track id of the attended person; None when no wanted face is seen in it, or when it
    cannot be told which of several is the speaker's.

    Args:
        person: "speaker", "largest" or a track id.
        mouth_opening: `mouth_opening_curve` of each track id; used for "speaker".
        voice_energy: `voice_energy_curve`; None (no audio) turns "speaker" into "largest".
    """
    if not isinstance(person, int) and person not in ("speaker", "largest"):
        raise ValueError(f'person must be "speaker", "largest" or a track id, got {person!r}')
    seen = [
        {track.track_id: size for track in tracks if (size := visible_size(track, utterance=utterance)) > 0}
        for utterance in utterances
    ]
    if isinstance(person, int):
        return tuple(person if person in sizes else None for sizes in seen)
    if person == "largest" or voice_energy is None:
        return tuple(_largest(sizes) for sizes in seen)
    return _speakers_tracks(seen, utterances=utterances, mouth_opening=mouth_opening, voice_energy=voice_energy)


def _speakers_tracks(
    seen: Sequence[Mapping[int, float]],
    *,
    utterances: Sequence[Utterance],
    mouth_opening: Mapping[int, Curve],
    voice_energy: Curve,
) -> tuple[int | None, ...]:
    """Where several faces are seen, the one that fits the speaker; a single face, unless it is another speaker's."""
    spoken: dict[str | int, list[int]] = {}  # by speaker; an utterance without one stands alone
    for place, utterance in enumerate(utterances):
        spoken.setdefault(utterance.speaker or place, []).append(place)
    chosen: list[int | None] = [None] * len(utterances)
    owners: dict[int, tuple[float, str | int]] = {}
    for speaker, places in spoken.items():
        evidence = {
            track_id: fit_to_voice(
                curve, voice_energy=voice_energy, utterances=[utterances[p] for p in places if track_id in seen[p]]
            )
            for track_id, curve in mouth_opening.items()
        }
        for place in places:
            if len(seen[place]) > 1:
                chosen[place] = told = speaking_track(
                    {each: evidence[each] for each in seen[place] if each in evidence}
                )
                if told is not None:
                    strength = evidence[told].correlation * math.sqrt(evidence[told].samples)
                    owners[told] = max(owners.get(told, (strength, speaker)), (strength, speaker), key=lambda o: o[0])
    for speaker, places in spoken.items():
        for place in places:
            if len(seen[place]) == 1:
                (track_id,) = seen[place]
                is_others = isinstance(speaker, str) and track_id in owners and owners[track_id][1] != speaker
                chosen[place] = None if is_others else track_id
    return tuple(chosen)


def speaking_track(evidence: Mapping[int, Evidence]) -> int | None:
    """The track whose mouth goes with the voice clearly better than the others do, None where none does."""
    most = max((each.movement for each in evidence.values()), default=0.0)
    fits = sorted(((each.fit(most_movement=most), track_id) for track_id, each in evidence.items()), reverse=True)
    if not fits or fits[0][0] < MIN_FIT or evidence[fits[0][1]].samples < MIN_SAMPLES:
        return None
    return fits[0][1] if len(fits) == 1 or fits[0][0] - fits[1][0] >= MIN_LEAD else None


def fit_to_voice(opening: Curve, *, voice_energy: Curve, utterances: Sequence[Utterance]) -> Evidence:
    """How a mouth opens with the loudness over all these utterances; the lag between them is one for all."""
    pairs = []
    for utterance in utterances:
        mouth = opening.within(utterance)
        if len(mouth.times) < 2 * MAX_LAG_SAMPLES + 2 or len(voice_energy.times) == 0:
            continue
        loudness = np.interp(mouth.times, voice_energy.times, voice_energy.values)
        loudness = np.maximum(loudness, loudness.max() - LOUDNESS_RANGE)
        pairs.append((_without_trend(mouth.times, mouth.values), _without_trend(mouth.times, loudness)))
    lags = range(-MAX_LAG_SAMPLES, MAX_LAG_SAMPLES + 1)
    best = max((_correlation(pairs, lag=lag) for lag in lags), default=0.0)
    movement = float(np.std(np.concatenate([mouth for mouth, _ in pairs]))) if pairs else 0.0
    return Evidence(best, sum(len(mouth) for mouth, _ in pairs), movement)


def visible_size(track: FaceTrack, *, utterance: Utterance) -> float:
    """Sum over the utterance's detections of the box area in pixels: large and long seen counts; 0 when unseen."""
    inside = (track.times >= utterance.start_seconds) & (track.times < utterance.end_seconds)
    boxes = track.boxes[inside]
    return float(np.sum((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])))


def mouth_opening_curve(crops: np.ndarray, times: np.ndarray) -> Curve:
    """How far the mouth is open in the aligned crops of one track, (N, h, w, 3) uint8 and (N,) seconds.

    Darkness of the dark part of the mouth against the crop's mean, in units of the crop's contrast.
    """
    if len(crops) == 0:
        return Curve(np.zeros(0), np.zeros(0))
    side = crops.shape[1]
    grey = crops.mean(axis=-1, dtype=np.float32)  # (N, h, w)
    contrast = np.maximum(grey.std(axis=(1, 2)), 1.0)
    rows, columns = _region(CROP_TEMPLATE[3:], reach=MOUTH_REACH, side=side)
    dark = np.percentile(grey[:, rows, columns], DARK_PERCENTILE, axis=(1, 2))
    return Curve(np.asarray(times, dtype=np.float64), (grey.mean(axis=(1, 2)) - dark) / contrast)


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


def _without_trend(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values less their mean over `TREND_SECONDS` around; gaps of more than `MAX_STEP_SECONDS` part them."""
    stretches = np.concatenate([[0], np.cumsum(np.diff(times) > MAX_STEP_SECONDS)])
    near = np.abs(times[:, None] - times[None]) <= TREND_SECONDS / 2
    near &= stretches[:, None] == stretches[None]
    return values - (near * values).sum(axis=1) / near.sum(axis=1)


def _correlation(pairs: Sequence[tuple[np.ndarray, np.ndarray]], *, lag: int) -> float:
    """Pearson's correlation of all pairs together, mouths `lag` samples after the voice; 0 where one does not vary."""
    if not pairs:
        return 0.0
    mouth = np.concatenate([opening[max(lag, 0) : len(opening) + min(lag, 0)] for opening, _ in pairs])
    voice = np.concatenate([loudness[max(-lag, 0) : len(loudness) - max(lag, 0)] for _, loudness in pairs])
    if np.ptp(mouth) < 1e-9 or np.ptp(voice) < 1e-9:
        return 0.0
    return float(np.corrcoef(mouth, voice)[0, 1])


def _largest(sizes: Mapping[int, float]) -> int | None:
    return max(sizes, key=lambda track_id: sizes[track_id]) if sizes else None
