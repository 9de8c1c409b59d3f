"""Speaker diarisation: groups the voices of a recording into speakers and splits speech at speaker changes.

Distances are cosine distances of embeddings. Thresholds were chosen on actors of RAVDESS and EmoDB, half of whom were
held out, and on videos of single speakers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from .clip import Utterance
from .speaker_embedding import SAMPLING_RATE, VoiceEmbedder

try:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.signal import find_peaks
except ImportError:
    fcluster = linkage = find_peaks = None

# Two groups of utterances are merged up to a mean distance that grows with the spread within the groups: a calm voice
# varies little, a voice that laughs and shouts varies more.
MAX_SPEAKER_DISTANCE = 0.48
DISTANCE_PER_SPREAD = 0.5
SINGLETON_SPREAD = 0.4  # assumed spread within a group of one
NEW_SPEAKER_DISTANCE = 0.85  # beyond it, even a short segment is another speaker
MIN_SPEAKER_SECONDS = 4.0  # a group with less speech than this,
MIN_SPEAKER_SHARE = 0.2  # and less than this share of all speech, is usually a known speaker in another mood
MIN_VOICE_SECONDS = 1.0  # of an utterance to be clustered; shorter ones are assigned to the nearest group
MIN_MARGIN = 0.15  # by which a short utterance must be nearer to one speaker than to the next
MAX_TURN_PAUSE_SECONDS = 2.0  # longest pause to the neighbours from which a short utterance takes its speaker
UNKNOWN = -1

MIN_SEGMENT_SECONDS = 1.0  # of speech between two candidate changes
LEVEL_SECONDS = 0.02
SMOOTHED_LEVELS = 5  # 0.1 s


def label_speakers(
    utterances: Sequence[Utterance],
    *,
    read: Callable[[float, float], np.ndarray | None],
    embedder: VoiceEmbedder,
) -> tuple[Utterance, ...]:
    """Labels utterances "Speaker 1", "Speaker 2", ... in order of appearance; None if uncertain.

    If any utterance has a speaker already, all are unchanged.

    Args:
        utterances: of the whole recording, in order; only their embeddings are kept in memory.
        read: returns the audio between two times in seconds, (S,) float32 mono at 16 kHz.
    """
    if any(each.speaker for each in utterances):
        return tuple(utterances)
    vectors = []
    for each in utterances:
        sound = read(each.start_seconds, each.end_seconds)
        has_sound = sound is not None and len(sound) > 0 and bool(np.any(sound))
        vectors.append(embedder.embed([sound])[0] if has_sound and sound is not None else None)
    groups = assign_voices(utterances, vectors)
    order = list(dict.fromkeys(group for group in groups if group != UNKNOWN))
    return tuple(
        each if group == UNKNOWN else replace(each, speaker=f"Speaker {1 + order.index(group)}")
        for each, group in zip(utterances, groups, strict=True)
    )


def speaker_notes(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """Returns the report's note about speakers labelled by `label_speakers`."""
    count = len({each.speaker for each in utterances if each.speaker})
    unsure = sum(each.speaker is None for each in utterances)
    if count == 0 or (count == 1 and not unsure):
        return ()
    note = f"speakers were identified by voice: {count}"
    return (f"{note}; the speaker of {unsure} utterances is uncertain" if unsure else note,)


def assign_voices(utterances: Sequence[Utterance], vectors: Sequence[np.ndarray | None]) -> list[int]:
    """Returns the speaker index of each utterance, `UNKNOWN` if uncertain.

    Args:
        vectors: of unit length; None for an utterance without audio.
    """
    seconds = np.array([each.end_seconds - each.start_seconds for each in utterances])
    long = [row for row, vector in enumerate(vectors) if vector is not None and seconds[row] >= MIN_VOICE_SECONDS]
    groups = np.full(len(utterances), UNKNOWN)
    if not long:
        return groups.tolist()
    embeddings = np.stack([vector for row in long if (vector := vectors[row]) is not None])
    groups[long] = group_voices(embeddings, seconds=seconds[long])
    for row in range(len(utterances)):
        if groups[row] == UNKNOWN and (vector := vectors[row]) is not None:
            groups[row] = _nearest(vector, embeddings, groups[long])
    return [_fill_from_neighbours(row, utterances=utterances, groups=groups) for row in range(len(utterances))]


def group_voices(vectors: np.ndarray, *, seconds: np.ndarray) -> np.ndarray:
    """Clusters embeddings (N, D) of unit length that represent `seconds` (N,) of speech; returns groups (N,).

    Average linkage up to the distance that the spread within speakers explains. Groups with little speech then join
    the
    nearest large group, unless they are `NEW_SPEAKER_DISTANCE` away from all of them.
    """
    if linkage is None:
        raise ImportError("telling speakers apart needs the package scipy")
    if len(vectors) < 2:
        return np.zeros(len(vectors), dtype=int)
    tree = linkage(vectors, "average", metric="cosine")
    groups = fcluster(tree, MAX_SPEAKER_DISTANCE, "monocrit", monocrit=normalized_distances(tree))
    speech_seconds = np.bincount(groups, weights=seconds)
    required = min(MIN_SPEAKER_SECONDS, MIN_SPEAKER_SHARE * float(seconds.sum()))
    large = [group for group in np.unique(groups) if speech_seconds[group] >= required] or [
        int(np.argmax(speech_seconds))
    ]
    distances = np.stack([1 - (vectors @ vectors[groups == group].T).mean(axis=1) for group in large], axis=1)
    joined = groups.copy()
    for group in np.setdiff1d(groups, large):
        mean = distances[groups == group].mean(axis=0)
        if mean.min() < NEW_SPEAKER_DISTANCE:
            joined[groups == group] = large[int(np.argmin(mean))]
    return joined


def normalized_distances(tree: np.ndarray) -> np.ndarray:
    """Distance of each merge of an average-linkage tree (N - 1, 4), minus the part explained by its groups' spread.

    Never less than that of the merges below it, as `fcluster` requires.
    """
    count = len(tree) + 1
    sums, sizes, floors = np.zeros(2 * count - 1), np.ones(2 * count - 1), np.full(2 * count - 1, -np.inf)
    for number, (first, second, distance, size) in enumerate(tree, start=count):
        parts = [int(first), int(second)]
        within = [2 * sums[part] / (sizes[part] * (sizes[part] - 1)) for part in parts if sizes[part] > 1]
        spread = float(np.mean(within)) if within else SINGLETON_SPREAD
        sums[number] = sums[parts].sum() + distance * sizes[parts].prod()  # sum over all pairs
        sizes[number] = size
        floors[number] = max(distance - DISTANCE_PER_SPREAD * spread, *floors[parts])
    return floors[count:]


def _nearest(vector: np.ndarray, embeddings: np.ndarray, groups: np.ndarray) -> int:
    """Group of a short utterance; `UNKNOWN` if none is near, or not clearly nearer than the next."""
    near = sorted(
        (float(1 - (embeddings[groups == group] @ vector).mean()), int(group)) for group in np.unique(groups)
    )
    if near[0][0] >= NEW_SPEAKER_DISTANCE or (len(near) > 1 and near[1][0] - near[0][0] < MIN_MARGIN):
        return UNKNOWN
    return near[0][1]


def _fill_from_neighbours(row: int, *, utterances: Sequence[Utterance], groups: np.ndarray) -> int:
    """The utterance's own group, else that of its neighbours if both are near and agree."""
    if groups[row] != UNKNOWN or not 0 < row < len(groups) - 1 or groups[row - 1] != groups[row + 1]:
        return int(groups[row])
    previous = utterances[row].start_seconds - utterances[row - 1].end_seconds
    after = utterances[row + 1].start_seconds - utterances[row].end_seconds
    return int(groups[row - 1]) if max(previous, after) <= MAX_TURN_PAUSE_SECONDS else UNKNOWN


def split_at_changes(
    waveform: np.ndarray, spans: Sequence[tuple[float, float]], *, embedder: VoiceEmbedder
) -> list[tuple[float, float]]:
    """Splits segments of speech, (start, end) in seconds, where the speaker changes without a long pause.

        |------ A ------|------ B ------|   ->   |------ A ------| |------ B ------|

    Candidates are the quietest moments, at least `MIN_SEGMENT_SECONDS` apart; those with one voice on both sides are
    dropped.
    """
    segments = [_segments(waveform, start, end) for start, end in spans]
    flat = [segment for span_segments in segments for segment in span_segments]
    if len(flat) < 2:
        return list(spans)
    vectors = embedder.embed([_cut(waveform, *segment) for segment in flat])
    groups = iter(group_voices(vectors, seconds=np.array([end - start for start, end in flat])))
    turns: list[tuple[float, float]] = []
    for span_segments in segments:
        previous = None
        for start, end in span_segments:
            group = next(groups)
            if group == previous:
                turns[-1] = (turns[-1][0], end)
            else:
                turns.append((start, end))
            previous = group
    return turns


def _segments(waveform: np.ndarray, start: float, end: float) -> list[tuple[float, float]]:
    """Splits a span at its quietest moments into segments of at least `MIN_SEGMENT_SECONDS`."""
    edges = [start, end]
    levels = _levels(_cut(waveform, start, end))
    quiet = find_peaks(-levels)[0]  # the middle of digital silence
    for minimum in quiet[np.argsort(levels[quiet], kind="stable")]:
        cut = start + (minimum + 0.5) * LEVEL_SECONDS
        if min(abs(cut - edge) for edge in edges) >= MIN_SEGMENT_SECONDS:
            edges.append(float(cut))
    edges.sort()
    return list(zip(edges[:-1], edges[1:], strict=True))


def _levels(waveform: np.ndarray) -> np.ndarray:
    """Power over time, one value per `LEVEL_SECONDS`, smoothed."""
    samples_per_level = round(LEVEL_SECONDS * SAMPLING_RATE)
    count = len(waveform) // samples_per_level
    power = np.mean(
        waveform[: count * samples_per_level].reshape(count, samples_per_level) ** 2, axis=1, dtype=np.float64
    )
    return np.convolve(power, np.hanning(SMOOTHED_LEVELS + 2)[1:-1], mode="same")


def _cut(waveform: np.ndarray, start: float, end: float) -> np.ndarray:
    return waveform[round(start * SAMPLING_RATE) : round(end * SAMPLING_RATE)]
