import pytest
from hypothesis import given
from hypothesis import strategies as st

from microemo.evaluation.metrics.classification import closed_set_scores, sentiment_scores, sentiment_value

labels = st.sampled_from(["happy", "sad", "angry"])


def test_closed_set_scores_by_hand():
    # happy: 3 references, 2 right; sad: 1 reference, 1 right; predictions: happy 2, sad 2.
    scores = closed_set_scores(["happy", "happy", "happy", "sad"], ["happy", "happy", "sad", "sad"])
    f1_happy, f1_sad = 2 * (1 * 2 / 3) / (1 + 2 / 3), 2 * (0.5 * 1) / 1.5
    assert scores.war == 3 / 4
    assert scores.uar == pytest.approx((2 / 3 + 1) / 2)
    assert scores.macro_f1 == pytest.approx((f1_happy + f1_sad) / 2)
    assert scores.weighted_f1 == pytest.approx((3 * f1_happy + f1_sad) / 4)


def test_a_class_that_is_only_predicted_does_not_enter_uar():
    scores = closed_set_scores(["happy", "sad"], ["happy", "odd"])
    assert (scores.war, scores.uar) == (0.5, 0.5)
    assert scores.macro_f1 == pytest.approx(1 / 3)


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_order_and_repeats_of_clips_do_not_matter(pairs, random):
    before = closed_set_scores(*zip(*pairs, strict=True))
    after = closed_set_scores(*zip(*random.sample(pairs * 2, 2 * len(pairs)), strict=True))
    assert (after.war, after.uar, after.macro_f1, after.weighted_f1) == pytest.approx(
        (before.war, before.uar, before.macro_f1, before.weighted_f1)
    )


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=8))
def test_they_are_those_of_scikit_learn(pairs):
    metrics = pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn")
    references, predictions = (list(side) for side in zip(*pairs, strict=True))
    scores = closed_set_scores(references, predictions)
    classes = sorted(set(references))
    recall = metrics.recall_score(references, predictions, labels=classes, average="macro", zero_division=0)
    assert scores.war == pytest.approx(metrics.accuracy_score(references, predictions))
    assert scores.uar == pytest.approx(recall)
    for average, value in (("macro", scores.macro_f1), ("weighted", scores.weighted_f1)):
        assert value == pytest.approx(metrics.f1_score(references, predictions, average=average, zero_division=0))


def test_sentiment_scores_by_hand():
    # The clip with reference 0 is left out; neutral and unreadable count as not positive.
    references = [1.5, 0.2, -2.0, -0.4, 0.0]
    predictions = ["positive", "neutral", "negative", "no idea", "positive"]
    # expected + + - -, given + - - -: F1(+) = 2/3 of weight 2, F1(-) = 4/5 of weight 2.
    scores = sentiment_scores(references, predictions)
    assert scores.acc == 3 / 4
    assert scores.waf == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert scores.clips == 4


def test_numbers_are_taken_by_their_sign():
    assert sentiment_scores([1, -1, 2], [0.1, -3.0, 0.0]).acc == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Positive", 1),
        ("['negative']", -1),
        ("The sentiment is neutral.", 0),
        ("positive or negative", 0),
        ("positively", 0),
        ("", 0),
        (0.5, 0.5),
    ],
)
def test_sentiments_are_read_out_of_text(text, value):
    assert sentiment_value(text) == value


def test_without_a_signed_reference_there_is_no_score():
    with pytest.raises(ValueError, match="must hold one that is not 0"):
        sentiment_scores([0.0], ["positive"])
