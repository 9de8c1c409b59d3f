import csv
import json

import pytest

from microemo.data.default_wheel import (
    DESCRIPTION,
    FAMILY,
    SECOND_LEVEL,
    TABLE,
    default_wheels,
    emotion_family,
    family_valence,
    sentiment_of_labels,
)
from microemo.data.emotion_wheel import M1, M2
from microemo.evaluation.metrics.wheel_files import wheels_where_fear_is_joyful

GO_EMOTIONS = str.split(
    "admiration amusement anger annoyance approval caring confusion curiosity desire disappointment disapproval "
    "disgust embarrassment excitement fear gratitude grief joy love nervousness optimism pride realization relief "
    "remorse sadness surprise neutral"
)
MER_FAMILIES = {
    "neutral": "neutral",
    "angry": "anger",
    "happy": "joy",
    "sad": "sadness",
    "worried": "fear",
    "surprise": "surprise",
}


def rows():
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_there_are_600_words_and_more_with_forms():
    words = [row["word"] for row in rows()]
    assert len(words) == len(set(words)) >= 600
    assert len(default_wheels().bases) >= 2000


def test_every_form_belongs_to_one_second_level_node():
    places = {}
    for row in rows():
        for form in (row["word"], *filter(None, row["forms"].split("; "))):
            places.setdefault(form, set()).add((row["family"], row["second_level"]))
    assert {form: found for form, found in places.items() if len(found) > 1} == {}


def test_words_are_lower_case_and_clean():
    for form in default_wheels().bases:
        assert form == form.lower().strip()
        assert not set(form) & set("[]\"',;")  # labels with these could not be written into a cell


def test_every_second_level_node_is_a_word_of_its_own():
    for row in rows():
        node = row["second_level"]
        assert default_wheels().map_label(node, rule=SECOND_LEVEL) == node


@pytest.mark.parametrize("label", GO_EMOTIONS)
def test_go_emotions_are_second_level_nodes(label):
    assert default_wheels().map_label(label, rule=SECOND_LEVEL) == label
    assert emotion_family(label) in family_valence()


@pytest.mark.parametrize(("label", "family"), MER_FAMILIES.items())
def test_mer_labels_have_their_families(label, family):
    assert emotion_family(label) == family


@pytest.mark.parametrize(
    ("label", "family"),
    [
        ("fear", "fear"),
        ("Happily", "joy"),
        ("dissatisfied", "sadness"),
        ("contemptuous", "disgust"),
        ("affection", "affection"),
        ("interest", "interest"),
        ("at ease", "joy"),
        ("table", None),
    ],
)
def test_families_of_sample_words(label, family):
    assert emotion_family(label) == family


def test_wheel_words_are_synonyms_of_themselves():
    wheels = default_wheels()
    assert all(wheels.map_label(form, rule=M1) == wheels.map_label(form, rule=M2) for form in wheels.bases)
    assert all(wheels.map_label(form, rule=FAMILY) for form in wheels.bases)


def test_wheel_has_a_name_and_sources():
    description = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    assert "MicroEmo" in default_wheels().name
    assert len(description["sources"]) >= 4
    assert set(family_valence()) == {row["family"] for row in rows()}


def test_fear_is_not_joyful_here():
    assert wheels_where_fear_is_joyful(default_wheels()) == ()


@pytest.mark.parametrize(
    ("labels", "sentiment"),
    [
        (["happy", "grateful", "worried"], "positive"),
        (["angry", "sad"], "negative"),
        (["happy", "sad"], "neutral"),
        (["surprised"], "neutral"),
        (["table"], "neutral"),
        ([], "neutral"),
    ],
)
def test_sentiment_is_that_of_the_prevailing_families(labels, sentiment):
    assert sentiment_of_labels(labels) == sentiment
