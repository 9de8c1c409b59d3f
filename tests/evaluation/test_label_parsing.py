import numpy as np
import pytest

from microemo.evaluation.metrics.label_parsing import group_mapping, parse_label_groups, parse_labels


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("['happy', 'at ease']", ["happy", "at ease"]),
        ("[happy, sad]", ["happy", "sad"]),
        ("happy", ["happy"]),
        ('["happy"," sad "]', ["happy", "sad"]),
        ("[\"don't believe\", 'doubt']", ["don", "t believe", "doubt"]),
        ("['angry/displeased', 'low']", ["angry/displeased", "low"]),
        ("['Happy', 'Happy']", ["Happy", "Happy"]),
        ("[[a], [b]]", ["[a]", "[b]"]),  # one bracket goes on either side
        ("[]", []),
        ("[", []),
        ("", []),
        (None, []),
        (float("nan"), []),
        (np.nan, []),
        (np.str_("['calm']"), ["calm"]),
        (np.array("['calm']"), ["calm"]),
        (np.array(["calm", " sad"]), ["calm", "sad"]),
        (("calm", ""), ["calm"]),
    ],
)
def test_cells_give_their_labels(cell, labels):
    assert parse_labels(cell) == labels


@pytest.mark.parametrize("cell", [3, 2.5, b"calm", {"calm": 1}])
def test_other_cells_are_refused(cell):
    with pytest.raises(ValueError, match="cell"):
        parse_labels(cell)


def test_groups_are_cut_at_brackets_then_at_quotes():
    text = "[['Agree', \"accept\"], ['calm'],\n['at ease']]"
    assert parse_label_groups(text) == [["Agree", "accept"], ["calm"], ["at ease"]]


def test_text_without_groups_gives_none():
    assert parse_label_groups("") == []
    assert parse_label_groups("[[]]") == []


def test_a_word_of_several_groups_belongs_to_the_last():
    assert group_mapping([["glad", "happy"], ["merry", "happy"]]) == {
        "glad": "glad",
        "merry": "merry",
        "happy": "merry",
    }
