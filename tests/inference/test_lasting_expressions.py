"""The lasting expression of each utterance, out of a timeline of probabilities."""

import torch

from microemo.inference.lasting_expressions import lasting_expressions
from microemo.outputs import MicroEmoFaceOutput

NAMES = {0: "neutral", 1: "happiness", 2: "boredom"}


def found(expressions, *, utterances, micro=None):
    """expressions: the number of what each of F crops shows, 10 a second."""
    shown = torch.tensor(expressions)
    logits = MicroEmoFaceOutput(
        micro_logits=torch.full((1, len(shown)), -9.0) if micro is None else micro,
        expression_logits=9.0 * torch.nn.functional.one_hot(shown, len(NAMES)).float()[None],
        action_unit_logits=torch.zeros(1, len(shown), 2),
    )
    times = torch.arange(len(shown))[None] / 10
    return lasting_expressions(logits, face_times=times, utterance_times=torch.tensor([utterances]), id2label=NAMES)


def test_each_utterance_has_its_own():
    joy, none, bored = found(
        [0] * 10 + [1] * 10 + [0] * 20 + [2] * 10 + [0] * 10, utterances=[(0.5, 2.5), (2.6, 3.5), (3.8, 5.5)]
    )
    assert none is None
    assert joy.noun == "joy" and (joy.start_seconds, joy.end_seconds) == (0.5, 2.5)
    assert abs(joy.onset_seconds - 1.0) <= 0.2 and abs(joy.offset_seconds - 2.0) <= 0.2
    assert bored.noun == "boredom"  # a name without a noun stands for itself


def test_what_is_brief_does_not_last():
    micro = torch.full((1, 30), -9.0)
    micro[0, 10:13] = 9.0
    shown = [0] * 10 + [1] * 3 + [0] * 17
    assert found(shown, utterances=[(0.0, 3.0)], micro=micro) == (None,)


def test_an_utterance_without_crops_has_none():
    assert found([1] * 20, utterances=[(0.0, 2.0), (5.0, 6.0)])[1] is None
