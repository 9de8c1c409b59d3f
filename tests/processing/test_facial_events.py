"""Macro- and micro-expressions of one person from probabilities over time."""

from dataclasses import replace

import numpy as np
import pytest

from microemo.processing.facial_events import (
    EXPRESSION_SECONDS,
    FaceScores,
    FaceTimeline,
    FacialEvent,
    MacroExpressionRule,
    attended,
    detect_events,
    dominant,
    mean_expressions,
    rows_between,
    smooth,
)

NEUTRAL, HAPPINESS, FEAR = range(3)


def ramp(times, *corners):
    """Piecewise linear through (seconds, value)."""
    return np.interp(times, *zip(*corners, strict=True))


def face(*, fps=30.0, seconds=6.0, macro=None, micro=None, track_id=0, start=0.0):
    """A face that smiles from macro[0] to macro[1], with ramps of 0.3 s, and shows fear for 0.4 s around micro."""
    times = np.arange(0, seconds, 1 / fps)
    happiness, flash = np.full_like(times, 0.05), np.zeros_like(times)
    if macro is not None:
        begin, end = macro
        happiness = ramp(times, (begin, 0.05), (begin + 0.3, 0.9), (end, 0.9), (end + 0.3, 0.05))
    if micro is not None:
        flash = np.clip(1 - np.abs(times - micro) / 0.2, 0, None)
    fear = np.clip(0.02 + 0.9 * flash, 0, None) * (1 - happiness)
    expressions = np.stack([1 - happiness - fear, happiness, fear], axis=1)
    chance = 1 / (1 + np.exp(4.0 - 8.0 * flash))
    return FaceScores(track_id, times + start, expressions=expressions, micro=chance, motion=expressions)


def moments(event):
    return event.onset_seconds, event.apex_seconds, event.offset_seconds


class TestMacroExpressions:
    def test_onset_and_offset_are_threshold_crossings(self):
        (event,) = detect_events(face(macro=(1.0, 2.5))).macro_expressions
        assert (event.kind, event.expression, event.track_id) == ("macro", HAPPINESS, 0)
        # The ramp crosses 0.3 at 1.088 s; the smoothed curve does so earlier, as the kernel is longer than the ramp.
        assert event.onset_seconds == pytest.approx(1.045, abs=0.01)
        assert event.offset_seconds == pytest.approx(2.755, abs=0.01)
        assert event.onset_seconds < event.apex_seconds < event.offset_seconds
        assert 0.7 < event.probability < 0.9 and event.shares.tolist() == [0, 1, 0]

    def test_neutral_is_no_event(self):
        assert detect_events(face()).macro_expressions == ()
        every = detect_events(face(), neutral=None).macro_expressions
        assert [event.expression for event in every] == [NEUTRAL]

    @pytest.mark.parametrize(("end", "count"), [(1.5, 1), (1.3, 0)])
    def test_short_expressions_are_dropped(self, end, count):
        rule = MacroExpressionRule(shortest_seconds=0.6)
        assert len(detect_events(face(macro=(1.0, end)), macro_rule=rule).macro_expressions) == count

    @pytest.mark.parametrize(("pause", "count"), [(0.3, 1), (1.2, 2)])
    def test_short_pauses_are_bridged(self, pause, count):
        scores = face(macro=(1.0, 4.5))
        still = (scores.times > 2.5) & (scores.times < 2.5 + pause)
        scores.expressions[still] = (1.0, 0.0, 0.0)
        assert len(detect_events(scores).macro_expressions) == count

    def test_it_must_reach_the_enter_threshold(self):
        scores = face(macro=(1.0, 4.0))
        assert detect_events(replace(scores, expressions=0.5 * scores.expressions)).macro_expressions == ()

    def test_an_event_ends_where_the_face_is_not_visible(self):
        scores = face(macro=(1.0, 5.0))
        seen = (scores.times < 2.0) | (scores.times > 4.0)
        parts = {name: getattr(scores, name)[seen] for name in ("times", "expressions", "micro", "motion")}
        first, second = detect_events(FaceScores(0, **parts)).macro_expressions
        assert first.offset_seconds == pytest.approx(2.0, abs=0.04)
        assert second.onset_seconds == pytest.approx(4.0, abs=0.04)

    def test_two_expressions_at_once_are_two_events(self):
        scores = face(macro=(1.0, 4.0))
        scores.expressions[:, FEAR] = 0.5 * scores.expressions[:, HAPPINESS] + 0.2
        events = detect_events(scores).macro_expressions
        assert {event.expression for event in events} == {HAPPINESS, FEAR}
        assert list(events) == sorted(events, key=lambda event: event.onset_seconds)

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"leave": 0.6}, "0 < leave <= enter < 1, got 0.6 and 0.5"),
            ({"enter": 1.0}, "0 < leave <= enter < 1"),
            ({"pause_seconds": -1.0}, "pause_seconds must be >= 0, got -1.0"),
        ],
    )
    def test_invalid_rules_are_refused(self, settings, words):
        with pytest.raises(ValueError, match=words):
            MacroExpressionRule(**settings)


class TestMicroExpressions:
    def test_onset_apex_and_offset(self):
        (event,) = detect_events(face(micro=3.0)).micro_expressions
        assert (event.kind, event.expression) == ("micro", FEAR)
        assert event.apex_seconds == pytest.approx(3.0, abs=0.02)
        assert event.onset_seconds == pytest.approx(2.9, abs=0.04) and event.offset_seconds == pytest.approx(
            3.1, abs=0.04
        )

    def test_the_label_is_the_expression_with_the_highest_contrast(self):
        (event,) = detect_events(face(macro=(0.5, 5.0), micro=3.0)).micro_expressions
        assert event.expression == FEAR and event.shares[FEAR] > 0.9
        assert event.shares.sum() == pytest.approx(1.0) and event.shares[NEUTRAL] == 0

    def test_contrast_near_zero_does_not_count(self):
        scores = face(micro=3.0)
        near = np.abs(scores.times - 3.0) < 0.2
        motion = np.tile((0.8999, 0.1, 0.0001), (len(near), 1))
        motion[near] = (0.497, 0.5, 0.003)
        (event,) = detect_events(replace(scores, motion=motion)).micro_expressions
        assert event.expression == HAPPINESS

    def test_motion_is_preferred_to_appearance(self):
        scores = face(micro=3.0)
        still = np.tile((1.0, 0.0, 0.0), (len(scores.times), 1))
        (moving,) = detect_events(replace(scores, expressions=still)).micro_expressions
        (looking,) = detect_events(replace(scores, motion=None)).micro_expressions
        assert moving.expression == looking.expression == FEAR

    def test_at_the_edge_of_a_track_the_nearest_crops_are_used(self):
        (event,) = detect_events(face(micro=0.1)).micro_expressions
        assert event.onset_seconds <= event.apex_seconds and event.expression == FEAR

    def test_action_units_are_taken_at_the_apex(self):
        scores = face(micro=3.0)
        units = np.zeros((len(scores.times), 2))
        units[np.abs(scores.times - 3.0) < 0.01] = (0.1, 0.8)
        (event,) = detect_events(replace(scores, action_units=units)).micro_expressions
        assert event.action_units.tolist() == [0.1, 0.8]

    def test_micro_expressions_have_no_label_if_expressions_are_untrained(self):
        (event,) = detect_events(replace(face(micro=3.0), expressions=None, motion=None)).micro_expressions
        assert event.shares.shape == (0,)


@pytest.mark.parametrize("fps", [10, 15, 25, 30])
@pytest.mark.parametrize("shift", [0.0, 0.3, 0.7])
def test_events_do_not_depend_on_the_frame_rate(fps, shift):
    """Times agree within one frame with those at 100 fps, for any offset between frames."""
    moved = {"macro": (1.0 + shift / fps, 3.0 + shift / fps), "micro": 4.5 + shift / fps}
    fine, coarse = (detect_events(face(fps=rate, **moved)) for rate in (100, fps))
    for name in ("macro_expressions", "micro_expressions"):
        (expected,), (event,) = getattr(fine, name), getattr(coarse, name)
        assert event.expression == expected.expression
        assert moments(event) == pytest.approx(moments(expected), abs=1 / fps)
        assert event.probability == pytest.approx(expected.probability, abs=0.1)


@pytest.mark.parametrize("fps", [10, 15, 25, 30])
def test_the_apex_of_a_macro_expression_does_not_depend_on_the_frame_rate(fps):
    def peaked(rate):
        times = np.arange(0, 5, 1 / rate)
        height = np.clip(1 - np.abs(times - 2.5) / 1.5, 0, None)
        return FaceScores(0, times, expressions=np.stack([1 - height, height], axis=1))

    (expected,), (event,) = (detect_events(peaked(rate)).macro_expressions for rate in (100, fps))
    assert moments(event) == pytest.approx(moments(expected), abs=1 / fps)


def test_shifted_moves_every_time():
    early, late = (detect_events(face(macro=(1.0, 2.5), micro=4.0, start=start)) for start in (0.0, 60.0))
    moved = early.shifted(60.0)
    np.testing.assert_allclose(late.times, moved.times)
    for one, other in zip(
        (*late.macro_expressions, *late.micro_expressions),
        (*moved.macro_expressions, *moved.micro_expressions),
        strict=True,
    ):
        assert moments(one) == pytest.approx(moments(other))


def test_untrained_outputs_are_none_not_empty():
    times = np.arange(10) / 10
    timeline = detect_events(FaceScores(3, times))
    assert timeline.expressions is timeline.macro_expressions is timeline.micro_expressions is None
    assert timeline.macro_in(0, 1) == timeline.micro_in(0, 1) == ()
    assert timeline.shifted(1.0).micro_expressions is None


def test_a_track_without_crops():
    nothing = np.zeros(0)
    timeline = detect_events(
        FaceScores(0, nothing, expressions=np.zeros((0, 3)), micro=nothing, motion=np.zeros((0, 3)))
    )
    assert timeline.macro_expressions == timeline.micro_expressions == ()
    assert timeline.expressions.shape == (0, 3) and mean_expressions((timeline,), 0, 9) is None


def test_curves_stay_probabilities():
    sure = np.zeros((300, 3))
    sure[:, NEUTRAL] = 1.0
    curves = detect_events(FaceScores(0, np.sort(np.random.default_rng(0).uniform(0, 9, 300)), expressions=sure))
    assert curves.expressions.max() <= 1.0 and curves.expressions.min() >= 0.0


class TestSpans:
    timeline = FaceTimeline(
        0,
        np.array([0.0, 1.0, 2.0, 3.0]),
        np.eye(4)[:, :3],
        (
            FacialEvent("macro", 0, 0.5, 1.0, 2.1, 0.8, np.eye(3)[1]),
            FacialEvent("macro", 0, 2.5, 2.7, 3.0, 0.8, np.eye(3)[2]),
        ),
        (FacialEvent("micro", 0, 1.9, 2.0, 2.1, 0.8, np.eye(3)[2]),),
    )

    def test_spans_are_half_open(self):
        assert rows_between(self.timeline.times, 1.0, 2.0) == slice(1, 2)
        assert self.timeline.micro_in(1.0, 2.0) == () and len(self.timeline.micro_in(2.0, 3.0)) == 1

    @pytest.mark.parametrize("seconds", [0.1, 1.8, 2.3, 59.9, 333.3])
    def test_float32_times_belong_to_the_span_that_starts_with_them(self, seconds):
        times = np.array([np.float32(seconds)], dtype=np.float64)
        assert rows_between(times, seconds - 1, seconds) == slice(0, 0)
        assert rows_between(times, seconds, seconds + 1) == slice(0, 1)
        assert rows_between(np.array([seconds]), float(np.float32(seconds)), seconds + 1) == slice(0, 1)

    def test_macro_expressions_need_a_minimum_overlap(self):
        joy, fear = self.timeline.macro_expressions
        assert self.timeline.macro_in(0, 4) == (joy, fear)
        assert self.timeline.macro_in(2.0, 4.0) == (fear,)  # of joy 0.1 s
        assert self.timeline.macro_in(1.0, 1.1) == (joy,)  # a span shorter than that
        assert self.timeline.macro_in(1.0, 1.0) == ()
        assert dominant((self.timeline,), 1.0, 4.0) is joy and dominant((self.timeline,), 3.5, 4.0) is None
        assert dominant((self.timeline,), -np.inf, np.inf) is joy

    def test_means_are_weighted_by_time(self):
        # Happiness fills 0-1 s with eleven crops, neutral 1-3 s with two.
        times = np.concatenate([np.linspace(0, 1, 11), [1.45, 1.9]])
        happiness = np.concatenate([np.ones(11), np.zeros(2)])
        timeline = FaceTimeline(0, times, np.stack([1 - happiness, happiness], axis=1), (), ())
        assert mean_expressions((timeline,), 0, 3)[0] == pytest.approx(
            0.9 / 2.175, abs=1e-4
        )  # by count it would be 2/13
        assert mean_expressions((timeline,), 5, 6) is None


class TestTwoPeople:
    def test_two_people_have_separate_curves_and_events(self):
        """One person smiles while the other is at rest, in the same frames."""
        smiling, resting = face(macro=(1.0, 4.0), track_id=1), face(micro=3.0, track_id=2)
        first, second = detect_events(smiling), detect_events(resting)
        assert len(first.macro_expressions) == 1 and first.micro_expressions == ()
        assert second.macro_expressions == () and len(second.micro_expressions) == 1
        assert {event.track_id for event in (*first.macro_expressions, *second.micro_expressions)} == {1, 2}
        kernel = EXPRESSION_SECONDS / 2
        held = (smiling.times > 1.3 + kernel) & (smiling.times < 4.0 - kernel)
        np.testing.assert_allclose(first.expressions[held, HAPPINESS], 0.9)
        assert second.expressions[held, HAPPINESS].max() < 0.06

    def test_the_person_with_the_most_crops_is_attended(self):
        one, other = (
            detect_events(FaceScores(track, times)) for track, times in enumerate((np.arange(4) / 2, np.arange(3.0)))
        )
        assert attended((one, other), 0.0, 2.0) is one
        assert attended((one, other), 2.0, 3.0) is other
        assert attended((one, other), 5.0, 6.0) is None and attended((), 0.0, 1.0) is None


class TestSmoothing:
    def test_constants_and_lines_are_unchanged(self):
        times = np.arange(20) / 25
        np.testing.assert_allclose(smooth(times, np.full((20, 3), 0.4), seconds=0.2), 0.4)
        np.testing.assert_allclose(smooth(times, times, seconds=0.2)[3:-3], times[3:-3], atol=1e-9)

    def test_smooth_equals_a_dense_weighted_mean(self):
        times = np.sort(np.random.default_rng(0).uniform(0, 2, 40))
        values = np.random.default_rng(1).uniform(size=(40, 2))
        weights = np.maximum(1 - np.abs(times[:, None] - times[None]) / 0.1, 0)
        expected = weights @ values / weights.sum(1, keepdims=True)
        np.testing.assert_allclose(smooth(times, values, seconds=0.2), expected, atol=1e-6)

    def test_smooth_uses_time_not_index(self):
        values = np.array([0.0, 1.0, 0.0])
        assert smooth(np.array([0.0, 0.04, 0.08]), values, seconds=0.2)[1] < 0.7
        np.testing.assert_allclose(smooth(np.array([0.0, 1.0, 2.0]), values, seconds=0.2), values)

    def test_zero_width_changes_nothing(self):
        values = np.array([0.2, 0.9])
        np.testing.assert_allclose(smooth(np.array([0.0, 0.01]), values, seconds=0.0), values)

    def test_mismatched_lengths_are_refused(self):
        with pytest.raises(ValueError, match="times has 3 entries, values has 2"):
            smooth(np.arange(3), np.zeros(2), seconds=0.2)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ({"micro": np.zeros(2)}, "micro has 2 entries for 3 times"),
        ({"micro": np.array([-3.0, 2.0, 0.5])}, r"micro must be probabilities in \[0, 1\]"),
        ({"expressions": np.full((3, 2), np.nan)}, r"expressions must be probabilities in \[0, 1\]"),
        ({"times": np.array([0.0, 0.2, 0.2])}, "times of track 4 must increase"),
    ],
)
def test_invalid_scores_are_refused(scores, words):
    with pytest.raises(ValueError, match=words):
        FaceScores(**{"track_id": 4, "times": np.arange(3.0), **scores})
