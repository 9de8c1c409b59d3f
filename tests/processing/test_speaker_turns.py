import numpy as np
import pytest
from scipy.cluster.hierarchy import is_monotonic, linkage

from microemo.processing.clip import Utterance
from microemo.processing.speaker_turns import (
    UNKNOWN,
    assign_voices,
    group_voices,
    label_speakers,
    normalized_distances,
    speaker_notes,
    split_at_changes,
)

RATE = 16_000
DIMENSIONS = 64


class PitchEmbedder:
    """Embeds voices by pitch: 200 Hz is one speaker, 400 Hz another, with variation `spread`."""

    def __init__(self, *, spread=0.4):
        self.spread, self.random = spread, np.random.default_rng(0)

    def embed(self, waveforms):
        return np.stack([self._vector(waveform) for waveform in waveforms])

    def _vector(self, waveform):
        spectrum = np.abs(np.fft.rfft(waveform))
        pitch = np.argmax(spectrum) * RATE / len(waveform)
        return person(0 if pitch < 300 else 1, spread=self.spread, random=self.random)


def person(number, *, spread, random):
    """A unit vector; the mean distance of two of a person is about spread² / (1 + spread²)."""
    mood = random.normal(size=DIMENSIONS)
    vector = np.eye(DIMENSIONS)[number] + spread * mood / np.linalg.norm(mood)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def people(counts, *, spread=0.8, seed=0):
    random = np.random.default_rng(seed)
    return np.stack([person(n, spread=spread, random=random) for n, count in enumerate(counts) for _ in range(count)])


def voice(pitch, *, seconds):
    """A tone that fades in and out like a sentence."""
    times = np.arange(round(seconds * RATE)) / RATE
    fade = np.minimum(1, np.minimum(times, seconds - times) / 0.1)
    return (0.3 * fade * np.sin(2 * np.pi * pitch * times)).astype(np.float32)


def utterances(*spans, speaker=None):
    return [Utterance(start, end, "words", speaker) for start, end in spans]


def tell(spans, pitches, *, embedder=None):
    """Labels of a recording in which each span has a given pitch."""
    sound = np.zeros(round(spans[-1][1] * RATE) + RATE, dtype=np.float32)
    for (start, end), pitch in zip(spans, pitches, strict=True):
        tone = voice(pitch, seconds=end - start)
        sound[round(start * RATE) : round(start * RATE) + len(tone)] = tone
    labelled = label_speakers(
        utterances(*spans),
        read=lambda start, end: sound[round(start * RATE) : round(end * RATE)],
        embedder=embedder or PitchEmbedder(),
    )
    return [each.speaker for each in labelled]


def test_speakers_are_numbered_by_appearance():
    spans = [(0, 2), (2.5, 4), (4.5, 7), (7.5, 9)]
    assert tell(spans, [400, 200, 400, 200]) == ["Speaker 1", "Speaker 2", "Speaker 1", "Speaker 2"]
    assert tell(spans, [200, 200, 200, 200]) == ["Speaker 1"] * 4


def test_given_speakers_are_kept():
    given = (Utterance(0, 1, "a", "Anna"), Utterance(1, 2, "b"))
    assert label_speakers(given, read=lambda start, end: pytest.fail("nothing to hear"), embedder=None) == given


def test_silent_utterances_have_no_speaker():
    labelled = label_speakers(utterances((0, 2)), read=lambda start, end: None, embedder=PitchEmbedder())
    assert labelled[0].speaker is None and speaker_notes(labelled) == ()


def test_the_note_counts_speakers_and_uncertain_utterances():
    labelled = (Utterance(0, 1, "a", "Speaker 1"), Utterance(1, 2, "b", "Speaker 2"), Utterance(2, 3, "c"))
    assert speaker_notes(labelled[:2]) == ("speakers were identified by voice: 2",)
    assert speaker_notes(labelled)[0].endswith("the speaker of 1 utterances is uncertain")


def test_moods_of_one_speaker_are_joined_people_are_not():
    for spread in (0.5, 0.8):
        assert len(set(group_voices(people([8], spread=spread), seconds=np.full(8, 2.0)))) == 1
        groups = group_voices(people([4, 4], spread=spread), seconds=np.full(8, 2.0))
        assert len(set(groups[:4])) == len(set(groups[4:])) == 1 and groups[0] != groups[4]


def test_an_outlier_joins_the_speaker_but_a_stranger_does_not():
    vectors = people([9, 1], spread=0.5)
    shout = 0.4 * vectors[0] + 0.9 * vectors[9]
    vectors[8] = shout / np.linalg.norm(shout)
    groups = group_voices(vectors[:9], seconds=np.full(9, 2.0))
    assert len(set(groups)) == 1
    assert len(set(group_voices(vectors[[0, 1, 2, 3, 4, 5, 6, 9]], seconds=np.full(8, 2.0)))) == 2


def test_one_or_no_utterance():
    assert group_voices(np.zeros((0, 4)), seconds=np.zeros(0)).tolist() == []
    assert group_voices(people([1]), seconds=np.ones(1)).tolist() == [0]
    assert assign_voices([], []) == []


def test_merge_distances_are_corrected_for_spread():
    vectors = people([5, 5], spread=0.8)
    tree = linkage(vectors, "average", metric="cosine")
    corrected = normalized_distances(tree)
    assert is_monotonic(tree) and np.all(np.diff(np.sort(corrected)) >= 0)
    distances = 1 - vectors @ vectors.T
    within = np.mean([distances[rows, rows][~np.eye(5, dtype=bool)].mean() for rows in (slice(0, 5), slice(5, 10))])
    assert corrected[-1] == pytest.approx(distances[:5, 5:].mean() - 0.5 * within, abs=1e-5)


def test_short_utterances_take_the_nearest_speaker_or_their_neighbours():
    vectors = people([3, 3], spread=0.3)
    both = (vectors[0] + vectors[3]) / np.linalg.norm(vectors[0] + vectors[3])
    spans = utterances((0, 2), (2.1, 2.5), (3, 5), (5.1, 5.5), (6, 8), (9, 11), (12, 14), (14.1, 14.4), (15, 17))
    order = [vectors[0], both, vectors[1], vectors[3], vectors[2], vectors[4], vectors[5], both, vectors[0]]
    a, neighbours, _, nearer, _, b, _, unsure, _ = assign_voices(spans, order)
    assert (neighbours, nearer, unsure) == (a, b, UNKNOWN) and a != b


@pytest.mark.parametrize("pause", [0.0, 0.2])
def test_speech_is_split_at_speaker_changes(pause):
    silence = np.zeros(round(pause * RATE), dtype=np.float32)
    parts = [voice(200, seconds=2.0), silence, voice(400, seconds=2.5), silence, voice(200, seconds=1.5)]
    sound = np.concatenate(parts)
    turns = split_at_changes(sound, [(0.0, len(sound) / RATE)], embedder=PitchEmbedder())
    assert len(turns) == 3 and turns[0][0] == 0 and turns[-1][1] == len(sound) / RATE
    assert [after[0] for after in turns[1:]] == [before[1] for before in turns[:-1]]
    assert turns[0][1] == pytest.approx(2.0 + pause / 2, abs=0.15 + pause / 2)
    assert turns[1][1] == pytest.approx(4.5 + 1.5 * pause, abs=0.15 + pause / 2)


def test_one_voice_is_not_split():
    sound = np.concatenate([voice(200, seconds=1.7) for _ in range(4)])
    spans = [(0.0, 3.4), (3.4, 6.8)]
    assert split_at_changes(sound, spans, embedder=PitchEmbedder()) == spans
    assert split_at_changes(sound, [(0.0, 1.0)], embedder=PitchEmbedder()) == [(0.0, 1.0)]
    assert split_at_changes(sound, [], embedder=PitchEmbedder()) == []
