"""Selects the face of each utterance's speaker: by mouth movement and voice, by size, or by track id.

Movement alone is not enough, since listeners move their mouths too. The criterion is the correlation of mouth opening
with loudness. It is computed over all utterances of a speaker, and no face is selected if the correlation is too
weak.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .clip import FaceTrack, Utterance
from .face_cropping import CROP_TEMPLATE

MOUTH_REACH = (-0.06, 0.11)  # margin around the corners of the mouth (x, y), relative to the crop's side
DARK_PERCENTILE = 15  # of the mouth region's grey levels: an open mouth is dark inside
TREND_SECONDS = 1.0  # slower changes are lighting and head movement
MAX_GAP_SECONDS = 0.25  # between crops; a longer gap splits the curve
MAX_LAG_SAMPLES = 2  # in face frames, by which lips may lead or follow the voice
MIN_SAMPLES = 12  # per speaker; fewer are not conclusive
# Thresholds of the score, a correlation in units of 1 / sqrt(samples); chosen on pairs of filmed people.
MIN_SCORE = 2.0  # below, no face is selected
MIN_MARGIN = 1.0  # over the next face; below, the speaker is ambiguous
ENERGY_WINDOW_SECONDS = 0.08
SILENCE = 1e-4  # amplitude at which the logarithm is clipped: -80 dB
MAX_LOUDNESS_RANGE = 40.0  # dB below the loudest moment of an utterance at which loudness is clipped


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
class VoiceMatch:
    """Match of a mouth and a voice.

    correlation: of mouth opening and loudness over `samples` face frames.
    movement: standard deviation of the mouth opening.
    """

    correlation: float
    samples: int
    movement: float

    def score(self, *, max_movement: float) -> float:
        """The correlation in units of its standard error, reduced for mouths that move less than others."""
        if max_movement == 0:
            return 0.0
        return self.correlation * math.sqrt(self.samples * self.movement / max_movement)


def choose_tracks(
    tracks: Sequence[FaceTrack],
    *,
    utterances: Sequence[Utterance],
    person: str | int,
    mouth_opening: Mapping[int, Curve],
    voice_energy: Curve | None,
) -> tuple[int | None, ...]:
    """Track id of the attended person for each utterance; None if that face is not visible or the speaker is
    ambiguous.

    Args:
        person: "speaker", "largest" or a track id.
        mouth_opening: `mouth_opening_curve` of each track id; used for "speaker".
        voice_energy: `voice_energy_curve`; with None (no audio) "speaker" means "largest".
    """
    if not isinstance(person, int) and person not in ("speaker", "largest"):
        raise ValueError(f'person must be "speaker", "largest" or a track id, got {person!r}')
    visible = [
        {track.track_id: size for track in tracks if (size := visible_size(track, utterance=utterance)) > 0}
        for utterance in utterances
    ]
    if isinstance(person, int):
        return tuple(person if person in sizes else None for sizes in visible)
    if person == "largest" or voice_energy is None:
        return tuple(_largest(sizes) for sizes in visible)
    return _speaker_tracks(visible, utterances=utterances, mouth_opening=mouth_opening, voice_energy=voice_energy)


def _speaker_tracks(
    visible: Sequence[Mapping[int, float]],
    *,
    utterances: Sequence[Utterance],
    mouth_opening: Mapping[int, Curve],
    voice_energy: Curve,
) -> tuple[int | None, ...]:
    """Among several visible faces the best match; a single visible face unless it is another speaker's."""
    by_speaker: dict[str | int, list[int]] = {}  # utterances without a speaker are separate
    for index, utterance in enumerate(utterances):
        by_speaker.setdefault(utterance.speaker or index, []).append(index)
    chosen: list[int | None] = [None] * len(utterances)
    speakers_by_track: dict[int, tuple[float, str | int]] = {}
    for speaker, indices in by_speaker.items():
        matches = {
            track_id: match_voice(
                curve, voice_energy=voice_energy, utterances=[utterances[p] for p in indices if track_id in visible[p]]
            )
            for track_id, curve in mouth_opening.items()
        }
        for index in indices:
            if len(visible[index]) > 1:
                chosen[index] = speaking = speaking_track(
                    {each: matches[each] for each in visible[index] if each in matches}
                )
                if speaking is not None:
                    confidence = matches[speaking].correlation * math.sqrt(matches[speaking].samples)
                    speakers_by_track[speaking] = max(
                        speakers_by_track.get(speaking, (confidence, speaker)),
                        (confidence, speaker),
                        key=lambda entry: entry[0],
                    )
    for speaker, indices in by_speaker.items():
        for index in indices:
            if len(visible[index]) == 1:
                (track_id,) = visible[index]
                is_another_speakers = (
                    isinstance(speaker, str)
                    and track_id in speakers_by_track
                    and speakers_by_track[track_id][1] != speaker
                )
                chosen[index] = None if is_another_speakers else track_id
    return tuple(chosen)


def speaking_track(matches: Mapping[int, VoiceMatch]) -> int | None:
    """The track whose mouth matches the voice clearly better than the others; None if there is none."""
    max_movement = max((each.movement for each in matches.values()), default=0.0)
    scores = sorted(
        ((each.score(max_movement=max_movement), track_id) for track_id, each in matches.items()), reverse=True
    )
    if not scores or scores[0][0] < MIN_SCORE or matches[scores[0][1]].samples < MIN_SAMPLES:
        return None
    return scores[0][1] if len(scores) == 1 or scores[0][0] - scores[1][0] >= MIN_MARGIN else None


def match_voice(opening: Curve, *, voice_energy: Curve, utterances: Sequence[Utterance]) -> VoiceMatch:
    """Match of mouth opening and loudness over all these utterances, with one common lag."""
    pairs = []
    for utterance in utterances:
        mouth = opening.within(utterance)
        if len(mouth.times) < 2 * MAX_LAG_SAMPLES + 2 or len(voice_energy.times) == 0:
            continue
        loudness = np.interp(mouth.times, voice_energy.times, voice_energy.values)
        loudness = np.maximum(loudness, loudness.max() - MAX_LOUDNESS_RANGE)
        pairs.append((_without_trend(mouth.times, mouth.values), _without_trend(mouth.times, loudness)))
    lags = range(-MAX_LAG_SAMPLES, MAX_LAG_SAMPLES + 1)
    best = max((_correlation(pairs, lag=lag) for lag in lags), default=0.0)
    movement = float(np.std(np.concatenate([mouth for mouth, _ in pairs]))) if pairs else 0.0
    return VoiceMatch(best, sum(len(mouth) for mouth, _ in pairs), movement)


def visible_size(track: FaceTrack, *, utterance: Utterance) -> float:
    """Sum of box areas in pixels over the utterance's detections; 0 if the face is not visible."""
    inside = (track.times >= utterance.start_seconds) & (track.times < utterance.end_seconds)
    boxes = track.boxes[inside]
    return float(np.sum((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])))


def mouth_opening_curve(crops: np.ndarray, times: np.ndarray) -> Curve:
    """Mouth opening in the aligned crops of one track, (N, h, w, 3) uint8 and (N,) seconds.

    Darkness of the darkest part of the mouth region relative to the crop's mean, in units of the crop's contrast.
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
    """Loudness in dB of a mono waveform that starts at `start_seconds`, one value per `ENERGY_WINDOW_SECONDS`."""
    samples_per_value = max(1, round(ENERGY_WINDOW_SECONDS * sampling_rate))
    count = len(waveform) // samples_per_value
    blocks = waveform[: count * samples_per_value].reshape(count, samples_per_value).astype(np.float64)
    levels = 20 * np.log10(np.maximum(np.sqrt(np.mean(blocks**2, axis=1)), SILENCE))
    return Curve(start_seconds + (np.arange(count) + 0.5) * samples_per_value / sampling_rate, levels)


def _region(points: np.ndarray, *, reach: tuple[float, float], side: int) -> tuple[slice, slice]:
    """Rows and columns of the crop around template points (P, 2)."""
    low = np.clip(np.floor((points.min(axis=0) - reach) * side), 0, side).astype(int)
    high = np.clip(np.ceil((points.max(axis=0) + reach) * side), 0, side).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _without_trend(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Subtracts the moving average over `TREND_SECONDS`; gaps over `MAX_GAP_SECONDS` separate segments."""
    segments = np.concatenate([[0], np.cumsum(np.diff(times) > MAX_GAP_SECONDS)])
    is_near = np.abs(times[:, None] - times[None]) <= TREND_SECONDS / 2
    is_near &= segments[:, None] == segments[None]
    return values - (is_near * values).sum(axis=1) / is_near.sum(axis=1)


def _correlation(pairs: Sequence[tuple[np.ndarray, np.ndarray]], *, lag: int) -> float:
    """Pearson correlation of all pairs together, mouths `lag` samples after the voice; 0 without variation."""
    if not pairs:
        return 0.0
    mouth = np.concatenate([opening[max(lag, 0) : len(opening) + min(lag, 0)] for opening, _ in pairs])
    voice = np.concatenate([loudness[max(-lag, 0) : len(loudness) - max(lag, 0)] for _, loudness in pairs])
    if np.ptp(mouth) < 1e-9 or np.ptp(voice) < 1e-9:
        return 0.0
    return float(np.corrcoef(mouth, voice)[0, 1])


def _largest(sizes: Mapping[int, float]) -> int | None:
    return max(sizes, key=lambda track_id: sizes[track_id]) if sizes else None
