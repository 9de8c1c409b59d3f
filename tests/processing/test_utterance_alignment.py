"""Every correction of utterances gives a warning; valid utterances are unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microemo.processing.clip import Utterance
from microemo.processing.utterance_alignment import MIN_UTTERANCE_SECONDS, align_utterances, parse_transcript


def align(*utterances, duration=10.0):
    return align_utterances(utterances, duration_seconds=duration)


def test_valid_utterances_are_unchanged():
    good = (Utterance(0.0, 1.0, "a", "A"), Utterance(1.0, 2.0, "b", "B"), Utterance(3.0, 10.0, "c"))
    assert align(*good) == (good, ())


@pytest.mark.parametrize(
    ("mend", "given_", "expected"),
    [
        ("it has no words", [Utterance(0, 1, " "), Utterance(1, 2, "b")], [Utterance(1, 2, "b")]),
        (
            "they were sorted",
            [Utterance(3, 4, "b"), Utterance(1, 2, "a")],
            [Utterance(1, 2, "a"), Utterance(3, 4, "b")],
        ),
        ("the video ends at", [Utterance(1, 2, "a"), Utterance(10, 11, "b")], [Utterance(1, 2, "a")]),
        ("was cut at the end of the video", [Utterance(9, 12, "a")], [Utterance(9, 10, "a")]),
        ("it is a duplicate", [Utterance(1, 2, "a"), Utterance(1, 2, "a")], [Utterance(1, 2, "a")]),
        (
            "they now meet at",
            [Utterance(0, 3, "a"), Utterance(2, 4, "b")],
            [Utterance(0, 2.5, "a"), Utterance(2.5, 4, "b")],
        ),
        ("overlap: both were kept", [Utterance(0, 3, "a", "A"), Utterance(2, 4, "b", "B")], None),
        ("overlap: both were kept", [Utterance(0, 9, "a"), Utterance(2, 4, "b")], None),
        ("it was lengthened to 0.1 s", [Utterance(1, 1.02, "a")], [Utterance(1, 1.1, "a")]),
        ("it was lengthened to 0.1 s", [Utterance(9.98, 10, "a")], [Utterance(9.9, 10, "a")]),
    ],
)
def test_each_rule_corrects_and_warns_once(mend, given_, expected):
    aligned, warnings = align(*given_)
    (warning,) = warnings
    assert mend in warning and warning[0].isdigit()
    for utterance, wanted in zip(aligned, given_ if expected is None else expected, strict=True):
        assert (utterance.text, utterance.speaker) == (wanted.text, wanted.speaker)
        assert utterance.start_seconds == pytest.approx(wanted.start_seconds)
        assert utterance.end_seconds == pytest.approx(wanted.end_seconds)


def test_rounding_gives_no_warning():
    aligned, warnings = align(Utterance(0, 1.002, "a"), Utterance(1.0, 10.003, "b"))
    assert warnings == () and aligned[0].end_seconds <= aligned[1].start_seconds and aligned[1].end_seconds == 10.0


def test_a_transcript_with_every_fault_is_corrected():
    entries = [
        (5, 6, "late"),
        (0, 2, "one"),
        (1, 3, "two"),
        (2.5, 2.5, "oh"),
        (4, 5, ""),
        (9, 20, "end"),
        (30, 31, "x"),
    ]
    utterances = parse_transcript([{"start": s, "end": e, "text": t} for s, e, t in entries])
    aligned, warnings = align(*utterances)
    assert [u.text for u in aligned] == ["one", "two", "oh", "late", "end"]
    mends = [
        "it has no words",
        "they were sorted",
        "the video ends at 10.00 s",
        "was cut at the end of the video, 10.00 s",
        "they now meet at 1.50 s",
        "overlap: both were kept",
        "it was lengthened to 0.1 s",
    ]
    for mend in mends:
        assert any(mend in warning for warning in warnings), mend
    assert all(any(mend in warning for mend in mends) for warning in warnings)


def test_duration_must_be_positive():
    with pytest.raises(ValueError, match=r"duration_seconds \(0\)"):
        align(duration=0)


spans = st.tuples(
    st.floats(0, 20), st.floats(0.001, 8), st.sampled_from(["", "a", "b"]), st.sampled_from([None, "A", "B"])
)


@given(st.lists(spans, max_size=8), st.floats(0.5, 15))
def test_aligned_utterances_are_ordered_inside_the_video_and_losses_are_reported(raw, duration):
    utterances = [Utterance(start, start + length, text, speaker) for start, length, text, speaker in raw]
    aligned, warnings = align(*utterances, duration=duration)
    starts = [u.start_seconds for u in aligned]
    assert starts == sorted(starts)
    assert all(0 <= u.start_seconds < u.end_seconds <= duration for u in aligned)
    assert all(u.end_seconds - u.start_seconds > min(MIN_UTTERANCE_SECONDS, duration) - 0.01 for u in aligned)
    dropped = [w for w in warnings if " was left out: " in w]
    assert len(aligned) + len(dropped) == len(utterances)
