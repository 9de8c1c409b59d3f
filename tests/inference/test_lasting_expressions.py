"""The lasting expression of each utterance, out of a timeline of probabilities."""

import pytest
import torch

from microemo.inference.lasting_expressions import lasting_expressions
from microemo.outputs import MicroEmoFaceOutput

NAMES = {0: "neutral", 1: "happiness", 2: "boredom"}


def found(moving, *, utterances, micro=None, shown=None, sureness=9.0):
    """moving, shown: the number of the expression of each of F crops, 10 a second; shown: else neutral."""
    neutral = [0] * len(moving)
    of_moving, of_shown = (
        MicroEmoFaceOutput(
            micro_logits=torch.full((1, len(moving)), -9.0) if micro is None else micro,
            expression_logits=sureness * torch.nn.functional.one_hot(torch.tensor(numbers), len(NAMES)).float()[None],
            action_unit_logits=torch.zeros(1, len(moving), 2),
        )
        for numbers in (moving, shown or neutral)
    )
    spans = {"face_times": torch.arange(len(moving))[None] / 10, "utterance_times": torch.tensor([utterances])}
    return lasting_expressions(of_moving, shown=of_shown, id2label=NAMES, **spans)


def test_each_utterance_has_its_own():
    joy, none, bored = found(
        [0] * 10 + [1] * 10 + [0] * 20 + [2] * 10 + [0] * 10, utterances=[(0.5, 2.5), (2.6, 3.5), (3.8, 5.5)]
    )
    assert none.noun is None and (none.start_seconds, none.end_seconds) == pytest.approx((2.6, 3.5))
    assert joy.noun == "joy" and (joy.start_seconds, joy.end_seconds) == (0.5, 2.5)
    assert abs(joy.onset_seconds - 1.0) <= 0.2 and abs(joy.offset_seconds - 2.0) <= 0.2
    assert bored.noun == "boredom"  # a name without a noun stands for itself


def test_what_is_brief_does_not_last():
    micro = torch.full((1, 30), -9.0)
    micro[0, 10:13] = 9.0
    shown = [0] * 10 + [1] * 3 + [0] * 17
    (rest,) = found(shown, utterances=[(0.0, 3.0)], micro=micro)
    assert rest.noun is None


def test_an_utterance_without_crops_has_none():
    assert found([1] * 20, utterances=[(0.0, 2.0), (5.0, 6.0)])[1] is None


def test_an_expression_that_does_not_move_is_held():
    none, held = found([0] * 40, shown=[0] * 20 + [1] * 20, utterances=[(0.0, 1.8), (2.0, 3.9)])
    assert none.noun is None and held.noun == "joy" and held.is_held
    (half,) = found([0] * 40, shown=[0] * 15 + [1] * 25, utterances=[(0.0, 3.9)])
    (unsure,) = found([0] * 40, shown=[1] * 40, utterances=[(0.0, 3.9)], sureness=1.0)
    assert half is None and unsure is None  # neither at rest nor sure enough to be told


def test_what_moves_is_told_before_what_is_held():
    (lasting,) = found([0] * 10 + [2] * 20, shown=[1] * 30, utterances=[(0.0, 2.9)])
    assert lasting.noun == "boredom" and not lasting.is_held


def test_what_begins_as_an_utterance_ends_is_told_of_the_next():
    # Averaging over neighbours shows it two crops early, from 1.8 s on.
    first, second = found([0] * 20 + [1] * 20, utterances=[(0.0, 1.9), (1.9, 3.9)])
    assert first.noun is None and second.noun == "joy"


def test_an_expression_that_is_hardly_likelier_than_others_is_none():
    # 0.38 and 0.58 of one expression beside two others; that something moves is likely in both.
    (faint,) = found([1] * 30, utterances=[(0.0, 2.9)], sureness=0.2)
    (likely,) = found([1] * 30, utterances=[(0.0, 2.9)], sureness=1.0)
    assert faint.noun is None and likely.noun == "joy"
