"""Who speaks when: voices of a whole recording grouped into speakers, and stretches of speech cut where they change.

Distances are cosine distances of embeddings. Thresholds were chosen on actors of RAVDESS and EmoDB, of whom half were
left out, and on filmed people who speak alone.
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

# Two groups of utterances are one speaker's up to a mean distance that grows with the distances within the groups: who
# speaks calmly sounds alike all the time, who laughs and shouts does not.
SAME_VOICE = 0.48
SAME_VOICE_PER_WITHIN = 0.5
WITHIN_ONE = 0.4  # taken for the distance within a group of one
OTHER_VOICE = 0.85  # distance from which even little speech is another speaker's
MIN_SPEAKER_SECONDS = 4.0  # a voice with less speech than this,
MIN_SPEAKER_SHARE = 0.2  # and than this part of all, is most often a known one in another mood
MIN_VOICE_SECONDS = 1.0  # of an utterance, for a voice that can be grouped; less is compared with the groups
CLEARLY_NEARER = 0.15  # by which a short utterance must be nearer to one speaker than to the next
MAX_TURN_PAUSE_SECONDS = 2.0  # up to which a short utterance between two of one speaker is his too
UNKNOWN = -1

MIN_PIECE_SECONDS = 1.0  # of a stretch of speech that is searched for changes
LEVEL_SECONDS = 0.02
SMOOTHED_LEVELS = 5  # 0.1 s


def label_speakers(
    utterances: Sequence[Utterance],
    *,
    read: Callable[[float, float], np.ndarray | None],
    embedder: VoiceEmbedder,
) -> tuple[Utterance, ...]:
    """Returns the utterances with "Speaker 1", "Speaker 2", ... in order of their first words; None where unsure.

    Where any utterance has a speaker already, all stay as they are: the names that are given win.

    Args:
        utterances: Of the whole recording, in order; no more than their vectors are kept in memory.
        read: Gives the sound from one second to another, (S,) float32 mono at 16 kHz.
    """
    if any(each.speaker for each in utterances):
        return tuple(utterances)
    vectors = []
    for each in utterances:
        sound = read(each.start_seconds, each.end_seconds)
        usable = sound is not None and len(sound) > 0 and bool(np.any(sound))
        vectors.append(embedder.embed([sound])[0] if usable and sound is not None else None)
    groups = assign_voices(utterances, vectors)
    order = list(dict.fromkeys(group for group in groups if group != UNKNOWN))
    return tuple(
        each if group == UNKNOWN else replace(each, speaker=f"Speaker {1 + order.index(group)}")
        for each, group in zip(utterances, groups, strict=True)
    )


def speaker_notes(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """Returns what a report says of speakers that `label_speakers` told."""
    count = len({each.speaker for each in utterances if each.speaker})
    unsure = sum(each.speaker is None for each in utterances)
    if count == 0 or (count == 1 and not unsure):
        return ()
    told = f"speakers were told by their voices: {count}"
    return (f"{told}; of {unsure} utterances it cannot be told who speaks" if unsure else told,)


def assign_voices(utterances: Sequence[Utterance], vectors: Sequence[np.ndarray | None]) -> list[int]:
    """Returns the speaker's number of each utterance, `UNKNOWN` where it cannot be told.

    Args:
        vectors: Of unit length; None for an utterance without sound.
    """
    seconds = np.array([each.end_seconds - each.start_seconds for each in utterances])
    long = [row for row, vector in enumerate(vectors) if vector is not None and seconds[row] >= MIN_VOICE_SECONDS]
    groups = np.full(len(utterances), UNKNOWN)
    if not long:
        return groups.tolist()
    known = np.stack([vector for row in long if (vector := vectors[row]) is not None])
    groups[long] = group_voices(known, seconds=seconds[long])
    for row in range(len(utterances)):
        if groups[row] == UNKNOWN and (vector := vectors[row]) is not None:
            groups[row] = _nearest(vector, known, groups[long])
    return [_between_turns(row, utterances=utterances, groups=groups) for row in range(len(utterances))]


def group_voices(vectors: np.ndarray, *, seconds: np.ndarray) -> np.ndarray:
    """Returns the group (N,) of each embedding (N, D) of unit length, which stand for `seconds` (N,) of speech.

    Average linkage up to what one voice's moods explain; then what has little speech joins the nearest group that has
    more, unless it is `OTHER_VOICE` from all of them.
    """
    if linkage is None:
        raise ImportError("telling speakers apart needs the package scipy")
    if len(vectors) < 2:
        return np.zeros(len(vectors), dtype=int)
    tree = linkage(vectors, "average", metric="cosine")
    groups = fcluster(tree, SAME_VOICE, "monocrit", monocrit=unexplained_distances(tree))
    spoken = np.bincount(groups, weights=seconds)
    needed = min(MIN_SPEAKER_SECONDS, MIN_SPEAKER_SHARE * float(seconds.sum()))
    large = [group for group in np.unique(groups) if spoken[group] >= needed] or [int(np.argmax(spoken))]
    distances = np.stack([1 - (vectors @ vectors[groups == group].T).mean(axis=1) for group in large], axis=1)
    joined = groups.copy()
    for group in np.setdiff1d(groups, large):
        mean = distances[groups == group].mean(axis=0)
        if mean.min() < OTHER_VOICE:
            joined[groups == group] = large[int(np.argmin(mean))]
    return joined


def unexplained_distances(tree: np.ndarray) -> np.ndarray:
    """Returns for each merge of an average-linkage tree (N - 1, 4) its distance less what its groups' own spread
    explains; never less than that of the merges below it, as `fcluster` wants it."""
    count = len(tree) + 1
    sums, sizes, floors = np.zeros(2 * count - 1), np.ones(2 * count - 1), np.full(2 * count - 1, -np.inf)
    for number, (first, second, distance, size) in enumerate(tree, start=count):
        parts = [int(first), int(second)]
        within = [2 * sums[part] / (sizes[part] * (sizes[part] - 1)) for part in parts if sizes[part] > 1]
        spread = float(np.mean(within)) if within else WITHIN_ONE
        sums[number] = (
            sums[parts].sum() + distance * sizes[parts].prod()
        )  # the mean over all pairs, times their number
        sizes[number] = size
        floors[number] = max(distance - SAME_VOICE_PER_WITHIN * spread, *floors[parts])
    return floors[count:]


def _nearest(vector: np.ndarray, known: np.ndarray, groups: np.ndarray) -> int:
    """The group of a short utterance, `UNKNOWN` where none is near and clearly nearer than the next."""
    near = sorted((float(1 - (known[groups == group] @ vector).mean()), int(group)) for group in np.unique(groups))
    if near[0][0] >= OTHER_VOICE or (len(near) > 1 and near[1][0] - near[0][0] < CLEARLY_NEARER):
        return UNKNOWN
    return near[0][1]


def _between_turns(row: int, *, utterances: Sequence[Utterance], groups: np.ndarray) -> int:
    """The utterance's own group, else that of its neighbours where both are near and have the same."""
    if groups[row] != UNKNOWN or not 0 < row < len(groups) - 1 or groups[row - 1] != groups[row + 1]:
        return int(groups[row])
    before = utterances[row].start_seconds - utterances[row - 1].end_seconds
    after = utterances[row + 1].start_seconds - utterances[row].end_seconds
    return int(groups[row - 1]) if max(before, after) <= MAX_TURN_PAUSE_SECONDS else UNKNOWN


def split_at_changes(
    waveform: np.ndarray, spans: Sequence[tuple[float, float]], *, embedder: VoiceEmbedder
) -> list[tuple[float, float]]:
    """Returns stretches of speech, (start, end) in seconds, cut where another voice goes on without a long pause.

        |------ A ------|------ B ------|   ->   |------ A ------| |------ B ------|

    The cuts lie in the quietest moments, at least `MIN_PIECE_SECONDS` apart; those with one voice on both sides are
    taken back.
    """
    pieces = [_pieces(waveform, start, end) for start, end in spans]
    flat = [piece for of_span in pieces for piece in of_span]
    if len(flat) < 2:
        return list(spans)
    vectors = embedder.embed([_cut(waveform, *piece) for piece in flat])
    groups = iter(group_voices(vectors, seconds=np.array([end - start for start, end in flat])))
    turns: list[tuple[float, float]] = []
    for of_span in pieces:
        before = None
        for start, end in of_span:
            group = next(groups)
            if group == before:
                turns[-1] = (turns[-1][0], end)
            else:
                turns.append((start, end))
            before = group
    return turns


def _pieces(waveform: np.ndarray, start: float, end: float) -> list[tuple[float, float]]:
    """The stretch cut at its quietest moments into pieces of `MIN_PIECE_SECONDS` or more."""
    edges = [start, end]
    levels = _levels(_cut(waveform, start, end))
    quiet = find_peaks(-levels)[0]  # of digital silence the middle
    for place in quiet[np.argsort(levels[quiet], kind="stable")]:
        moment = start + (place + 0.5) * LEVEL_SECONDS
        if min(abs(moment - edge) for edge in edges) >= MIN_PIECE_SECONDS:
            edges.append(float(moment))
    edges.sort()
    return list(zip(edges[:-1], edges[1:], strict=True))


def _levels(waveform: np.ndarray) -> np.ndarray:
    """Power over time, one value each `LEVEL_SECONDS`, smoothed."""
    window = round(LEVEL_SECONDS * SAMPLING_RATE)
    count = len(waveform) // window
    power = np.mean(waveform[: count * window].reshape(count, window) ** 2, axis=1, dtype=np.float64)
    return np.convolve(power, np.hanning(SMOOTHED_LEVELS + 2)[1:-1], mode="same")


def _cut(waveform: np.ndarray, start: float, end: float) -> np.ndarray:
    return waveform[round(start * SAMPLING_RATE) : round(end * SAMPLING_RATE)]
