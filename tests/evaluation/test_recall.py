import numpy as np
import pytest

from microemo.evaluation.metrics.recall import class_recalls, mean_recall, recall_report

# neutral, happiness, surprise, sadness, anger as the head orders them
LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
PEOPLE = np.array([f"person-{number}" for number in range(12)])


def logits_that_answer(answers: list[int]) -> np.ndarray:
    return np.eye(8, dtype=np.float32)[answers]


def test_every_expression_counts_alike_however_frequent():
    answers = [0, 0, 0, 1, 1, 1, 2, 0, 0, 0, 4, 4]
    report = recall_report(logits_that_answer(answers), labels=LABELS, identities=PEOPLE)
    assert report.recalls == {"neutral": 0.75, "happiness": 1, "surprise": 0.5, "sadness": 0, "anger": 1}
    assert report.recall_among_five == pytest.approx(0.65)
    assert report.confusion[0][:2] == [3, 1]
    assert sum(map(sum, report.confusion)) == 12


def test_prediction_outside_the_five_counts_only_among_all():
    logits = logits_that_answer(LABELS.tolist())
    logits[0, 6] = 2.0
    report = recall_report(logits, labels=LABELS, identities=PEOPLE)
    assert report.recall_among_five == 1
    assert report.recall_among_all == pytest.approx(0.95)
    assert report.confusion[0][6] == 1


def test_faces_of_the_rare_expressions_are_not_scored():
    logits = logits_that_answer([*LABELS.tolist(), 0])
    report = recall_report(logits, labels=np.append(LABELS, 7), identities=np.append(PEOPLE, "other"))
    assert report.recall_among_five == 1


def test_the_interval_holds_the_figure_and_widens_when_pictures_share_people():
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 60)
    is_right = np.tile(
        np.repeat(generator.random(10) < 0.7, 6), 5
    )  # a person's six pictures are right or wrong together
    answers = np.where(is_right, labels, (labels + 1) % 5)
    logits = logits_that_answer(answers.tolist())
    alone = recall_report(logits, labels=labels, identities=np.arange(300).astype(str))
    shared = recall_report(logits, labels=labels, identities=(np.arange(300) // 6).astype(str))
    for report in (alone, shared):
        low, high = report.interval_among_five
        assert low < report.recall_among_five < high
    widths = [report.interval_among_five[1] - report.interval_among_five[0] for report in (alone, shared)]
    assert widths[1] > 1.5 * widths[0]


def test_an_expression_without_faces_is_named():
    with pytest.raises(ValueError, match="sadness"):
        recall_report(logits_that_answer([0, 1, 2, 4]), labels=np.array([0, 1, 2, 4]), identities=np.arange(4))


def test_a_fold_without_an_expression_is_scored_on_the_others():
    labels = np.array([0, 1, 1])
    assert mean_recall(logits_that_answer([0, 1, 0]), labels=labels) == pytest.approx(0.75)
    recalls = class_recalls(np.array([0, 1, 0]), labels=labels, classes=np.array([0, 1, 3]))
    assert np.isnan(recalls[2])
