"""Votes of several judges: shares, agreement, what is kept."""

import numpy as np
import pytest

from microemo.data.default_wheel import default_wheels
from microemo.evaluation.labelling import agreement
from microemo.evaluation.labelling.agreement import judge_agreement
from microemo.evaluation.labelling.votes import Rules, Vote, decide
from microemo.evaluation.metrics.wheel_metrics import clip_wheel_scores, mean_of_rules


def votes(*labels):
    return [Vote(name, tuple(each)) for name, each in zip("abcdef", labels, strict=False)]


def test_words_of_one_family_are_one_vote():
    decision = decide(votes(["happy"], ["joyful"], ["delighted"]))
    assert decision.is_kept and list(decision.shares.values()) == [1.0]
    assert decision.agreement == 1 and decision.entropy == 0 and decision.labels == ("happy",)


def test_a_majority_is_more_than_half():
    assert decide(votes(["happy"], ["angry"])).labels == ()
    two_of_three = decide(votes(["happy"], ["happy"], ["angry"]))
    assert two_of_three.labels == ("happy",) and two_of_three.shares["joy"] == pytest.approx(2 / 3)
    assert two_of_three.agreement == pytest.approx(1 / 3) and "agreement 0.33 is below 0.5" in two_of_three.reason


def test_weights_move_the_majority():
    said = votes(["happy"], ["angry"], ["angry"])
    assert decide(said).labels == ("angry",)
    assert decide(said, rules=Rules(weights={"a": 3.0})).labels == ("happy",)


def test_words_that_two_judges_use_stay_beside_the_heaviest():
    decision = decide(votes(["happy", "proud"], ["joyful", "happy"], ["joyful", "happy"]))
    assert decision.labels[:2] == ("happy", "joyful") and "proud" not in decision.labels


@pytest.mark.parametrize(
    ("said", "rules", "reason"),
    [
        ([["happy"], []], Rules(), "1 of 2 judges named an emotion, 2 are needed"),
        ([["happy"], ["zzz"]], Rules(), "1 of 2 judges named an emotion, 2 are needed"),
        ([["happy"], ["sad"]], Rules(), "no family of emotions has a majority"),
        ([["happy"], ["happy", "sad"]], Rules(min_agreement=0.6), "agreement 0.50 is below 0.6"),
        ([["happy"], ["happy", "sad"]], Rules(max_entropy=0.4), "entropy 0.50 is above 0.4"),
        ([["happy"], ["happy", "sad"]], Rules(), ""),
        ([["happy"]], Rules(min_judges=1), ""),
    ],
)
def test_what_goes_to_a_person_and_why(said, rules, reason):
    decision = decide(votes(*said), rules=rules)
    assert decision.reason == reason and decision.is_kept == (not reason)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"min_agreement": 1.2}, r"min_agreement \(1.2\)"),
        ({"max_entropy": -1}, r"max_entropy \(-1\)"),
        ({"min_judges": 0}, r"min_judges \(0\)"),
        ({"weights": {"a": 0.0}}, "weights must be > 0"),
    ],
)
def test_rules_are_checked(rules, message):
    with pytest.raises(ValueError, match=message):
        Rules(**rules)
    with pytest.raises(ValueError, match="different judges"):
        decide([Vote("a"), Vote("a")])


def test_alpha_is_that_of_the_published_example():
    """Krippendorff's own example of four observers (nominal 0.743), its values written as words of five families."""
    nan = None
    data = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
        [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ]
    words = {1: "happy", 2: "sad", 3: "angry", 4: "afraid", 5: "disgusted"}
    clips = [
        [Vote(str(judge), (words[row[clip]],)) for judge, row in enumerate(data) if row[clip] is not None]
        for clip in range(12)
    ]
    assert judge_agreement(clips).main_family == pytest.approx(0.743, abs=5e-4)


def test_agreement_of_judges_that_never_meet_is_not_defined(monkeypatch):
    found = judge_agreement([[Vote("a", ("happy",)), Vote("b")], [Vote("a"), Vote("b", ("sad",))]])
    assert found.main_family is None and found.families is None and found.pairs == {}
    same = judge_agreement([[Vote("a", ("happy",)), Vote("b", ("joyful", "sad"))]] * 2)
    assert same.main_family is None and same.pairs == {("a", "b"): 0.5}
    monkeypatch.setattr(agreement, "krippendorff", None)
    with pytest.raises(ImportError, match=r"microemo\[label\]"):
        judge_agreement([])


def test_three_judges_that_err_by_themselves_are_better_than_the_best_of_them():
    generator = np.random.default_rng(0)
    words = np.array(["happy", "sad", "angry", "afraid", "disgusted", "surprised"])
    truth = words[generator.integers(0, len(words), 200)]
    wrong = words[generator.integers(0, len(words), (3, 200))]
    said = np.where(generator.random((3, 200)) < 0.7, truth, wrong)
    together = [decide(votes(*[[word] for word in column])).labels for column in said.T]

    def f_score(predictions):
        wheels = default_wheels()
        references = [[word] for word in truth]
        scores = clip_wheel_scores(references, predictions, wheels=wheels, rules=wheels.wheel_rules(level=1))
        return mean_of_rules(scores).f_score

    alone = [f_score([[word] for word in row]) for row in said]
    assert f_score(together) > max(alone) + 0.03
