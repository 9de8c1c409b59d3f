import pytest
from hypothesis import given
from hypothesis import strategies as st

from microemo.processing.clip import Utterance
from microemo.processing.reading_chunks import Chunk, plan_chunks, split_long_utterances


def plan(*spans, duration=100.0, longest=20.0):
    utterances = [Utterance(start, end) for start, end in spans]
    return plan_chunks(utterances, duration_seconds=duration, max_chunk_seconds=longest)


def test_a_short_clip_is_one_chunk():
    assert plan((1, 2), duration=15) == (Chunk(0.0, 15, (Utterance(1, 2),)),)


def test_whole_utterances_fill_a_chunk():
    chunks = plan((5, 10), (12, 20), (26, 30), (60, 75))
    assert [[each.start_seconds for each in chunk.utterances] for chunk in chunks] == [[5, 12], [26], [60]]
    assert [(chunk.start_seconds, chunk.end_seconds) for chunk in chunks] == [
        (4.5, 20.5),
        (25.5, 30.5),
        (59.5, 75.5),
    ]


def test_neighbouring_chunks_share_the_silence():
    first, second = plan((0, 18), (18.4, 30))
    assert first.end_seconds == second.start_seconds == pytest.approx(18.2)


@given(
    st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.1, 20.0)), min_size=1, max_size=30),
)
def test_chunks_contain_every_utterance_once_and_are_short_enough(steps):
    utterances, time = [], 0.0
    for silence, seconds in steps:
        utterances.append(Utterance(time + silence, time + silence + seconds))
        time = utterances[-1].end_seconds
    chunks = plan_chunks(utterances, duration_seconds=time + 1, max_chunk_seconds=20.0)
    assert [each for chunk in chunks for each in chunk.utterances] == utterances
    for chunk in chunks:
        assert 0 <= chunk.start_seconds <= chunk.utterances[0].start_seconds
        assert chunk.utterances[-1].end_seconds <= chunk.end_seconds <= time + 1
        assert chunk.end_seconds - chunk.start_seconds <= 20.0 + 1e-6
    for before, after in zip(chunks, chunks[1:], strict=False):
        assert before.end_seconds <= after.start_seconds + 1e-9


def test_long_utterances_are_split_with_their_words():
    long = Utterance(10, 55, "one two three four five six seven", speaker="Anna")
    parts, warnings = split_long_utterances([Utterance(0, 3, "hello"), long], max_chunk_seconds=20)
    assert parts[0].text == "hello"
    assert [(part.start_seconds, part.end_seconds) for part in parts[1:]] == [(10, 25), (25, 40), (40, 55)]
    assert " ".join(part.text for part in parts[1:]) == long.text
    assert {part.speaker for part in parts[1:]} == {"Anna"}
    assert len(warnings) == 1 and "cut into 3 parts" in warnings[0]


def test_translations_are_split_too():
    long = Utterance(0, 100, "a b c d", language="zh", english="one two")
    parts, _ = split_long_utterances([long], max_chunk_seconds=60.0)
    assert [(part.text, part.english) for part in parts] == [("a b", "one"), ("c d", "two")]
