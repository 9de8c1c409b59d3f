"""Labels of data sets as targets of the emotion head."""

import numpy as np
import pytest

from microemo.configuration_microemo import GO_EMOTIONS
from microemo.data.emotion_targets import UNKNOWN, emotion_labels, valence_arousal_labels
from microemo.data.example import EmotionTargets


def named(labels, value, names=GO_EMOTIONS):
    return {name for name, label in zip(names, labels, strict=True) if label == value}


def test_named_emotions_are_complete():
    labels = emotion_labels(EmotionTargets(emotions=("joy", "love")), names=GO_EMOTIONS)
    assert named(labels, 1.0) == {"joy", "love"} and named(labels, UNKNOWN) == set()


def test_related_emotions_of_a_class_are_unknown():
    labels = emotion_labels(EmotionTargets(closed_label="worried"), names=GO_EMOTIONS)
    assert named(labels, 1.0) == {"nervousness"} and named(labels, UNKNOWN) == {"fear"}
    assert "joy" in named(labels, 0.0)


@pytest.mark.parametrize(
    ("word", "emotion"), [("happy", "joy"), ("angry", "anger"), ("sad", "sadness"), ("surprise", "surprise"),
                          ("neutral", "neutral"), ("fearful", "fear"), ("disgusted", "disgust"), ("joy", "joy")]
)  # fmt: skip
def test_the_classes_of_the_data_sets_are_known(word, emotion):
    assert named(emotion_labels(EmotionTargets(closed_label=word), names=GO_EMOTIONS), 1.0) == {emotion}


def test_known_open_labels_exclude_other_emotions():
    known = emotion_labels(EmotionTargets(open_labels=("Angry", "confused")), names=GO_EMOTIONS)
    assert named(known, 1.0) == {"anger", "confusion"} and "joy" in named(known, 0.0)
    mixed = emotion_labels(EmotionTargets(open_labels=("angry", "wistful")), names=GO_EMOTIONS)
    assert named(mixed, 1.0) == {"anger"} and named(mixed, 0.0) == set()


def test_head_labels_outside_goemotions_are_unknown():
    names = [*GO_EMOTIONS, "calm"]
    assert named(emotion_labels(EmotionTargets(closed_label="calm"), names=names), 1.0, names) == {"calm"}
    words = emotion_labels(EmotionTargets(emotions=("joy",)), names=names)
    assert named(words, UNKNOWN, names) == {"calm"}, "GoEmotions' raters were not asked about it"
    assert named(emotion_labels(EmotionTargets(closed_label="calm"), names=GO_EMOTIONS), UNKNOWN) == set(GO_EMOTIONS)


def test_no_labels_are_unknown():
    assert (emotion_labels(EmotionTargets(), names=GO_EMOTIONS) == UNKNOWN).all()
    np.testing.assert_array_equal(valence_arousal_labels(EmotionTargets(valence=0.5)), [0.5, UNKNOWN])


def test_impossible_targets_are_refused():
    with pytest.raises(ValueError, match="'envy'"):
        emotion_labels(EmotionTargets(emotions=("envy",)), names=GO_EMOTIONS)
    with pytest.raises(ValueError, match="valence .2"):
        EmotionTargets(valence=2)
