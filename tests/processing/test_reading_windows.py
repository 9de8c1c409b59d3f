import pytest
from hypothesis import given
from hypothesis import strategies as st

from microemo.processing.clip import Utterance
from microemo.processing.reading_windows import Window, plan_windows, split_long_utterances


def plan(*spans, duration=100.0, longest=20.0):
    utterances = [Utterance(start, end) for start, end in spans]
    return plan_windows(utterances, duration_seconds=duration, max_window_seconds=longest)


def test_a_short_clip_is_one_window():
    assert plan((1, 2), duration=15) == (Window(0.0, 15, (Utterance(1, 2),)),)


def test_whole_utterances_fill_a_window():
    windows = plan((5, 10), (12, 20), (26, 30), (60, 75))
    assert [[each.start_seconds for each in window.utterances] for window in windows] == [[5, 12], [26], [60]]
    assert [(window.start_seconds, window.end_seconds) for window in windows] == [
        (4.5, 20.5),
        (25.5, 30.5),
        (59.5, 75.5),
    ]


def test_close_neighbours_share_the_silence():
    first, second = plan((0, 18), (18.4, 30))
    assert first.end_seconds == second.start_seconds == pytest.approx(18.2)


@given(
    st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.1, 20.0)), min_size=1, max_size=30),
)
def test_every_utterance_once_and_no_window_too_long(steps):
    utterances, time = [], 0.0
    for silence, seconds in steps:
        utterances.append(Utterance(time + silence, time + silence + seconds))
        time = utterances[-1].end_seconds
    windows = plan_windows(utterances, duration_seconds=time + 1, max_window_seconds=20.0)
    assert [each for window in windows for each in window.utterances] == utterances
    for window in windows:
        assert 0 <= window.start_seconds <= window.utterances[0].start_seconds
        assert window.utterances[-1].end_seconds <= window.end_seconds <= time + 1
        assert window.end_seconds - window.start_seconds <= 20.0 + 1e-6
    for before, after in zip(windows, windows[1:], strict=False):
        assert before.end_seconds <= after.start_seconds + 1e-9


def test_long_utterances_are_cut_with_their_words():
    long = Utterance(10, 55, "one two three four five six seven", speaker="Anna")
    parts, warnings = split_long_utterances([Utterance(0, 3, "hello"), long], max_window_seconds=20)
    assert parts[0].text == "hello"
    assert [(part.start_seconds, part.end_seconds) for part in parts[1:]] == [(10, 25), (25, 40), (40, 55)]
    assert " ".join(part.text for part in parts[1:]) == long.text
    assert {part.speaker for part in parts[1:]} == {"Anna"}
    assert len(warnings) == 1 and "cut into 3 parts" in warnings[0]


def test_english_is_cut_with_its_words():
    long = Utterance(0, 100, "a b c d", language="zh", english="one two")
    parts, _ = split_long_utterances([long], max_window_seconds=60.0)
    assert [(part.text, part.english) for part in parts] == [("a b", "one"), ("c d", "two")]
