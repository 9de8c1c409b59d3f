import warnings

import openpyxl
import pytest

from microemo.data.emotion_wheel import M1, M2, Rule
from microemo.evaluation.metrics.wheel_files import read_official_wheels, wheels_where_fear_is_joyful


def node(wheels, label, name):
    rules = {str(rule): rule for rule in wheels.all_rules()}
    return wheels.map_label(label, rule=rules[name])


def test_wheel_cells_are_filled_downwards_lowered_and_stripped(folder_2026):
    wheel = read_official_wheels(folder_2026).wheels[0]
    assert wheel.level1["aroused"] == "happy"
    assert wheel.level2["aroused"] == "playful"
    assert wheel.level2["joyful"] == "content"
    assert wheel.nodes(level=1) == ("happy", "sad")


def test_the_level_3_cell_is_filled_downwards_too(tmp_path, folder_2026):
    book = openpyxl.load_workbook(folder_2026 / "wheel4.xlsx")
    book.active.append((None, "wrath", None))  # repeats "furious", now below "wrath"
    book.save(folder_2026 / "wheel4.xlsx")
    assert read_official_wheels(folder_2026).wheels[3].level2["furious"] == "wrath"


def test_a_level_1_word_goes_to_its_alphabetically_first_child(folder_2026):
    wheel = read_official_wheels(folder_2026).wheels[0]
    assert wheel.level2["happy"] == "content"
    assert wheel.level2["sad"] == "guilty"


@pytest.mark.parametrize(
    ("label", "rule", "expected"),
    [
        ("happiness", "M1", "happy"),
        (" Happily ", "M1", "happy"),
        ("cheer", "M1", "cheerful"),  # bases cheerful and cheery: the first by alphabet
        ("cheer", "M2", "cheerful"),
        ("cheery", "M2", "cheerful"),  # base cheery is a synonym of cheerful and happy
        ("gladness", "M1", "glad"),
        ("gladness", "M2", "happy"),
        ("gladness", "M3-W1-L1", "happy"),
        ("gladness", "M3-W1-L2", "content"),
        ("gladness", "M3-W3-L1", None),  # happy is not on wheel 3
        ("cheery", "M3-W3-L1", "joyful"),  # cheerful is
        ("cheery", "M3-W1-L1", "happy"),  # cheerful comes first but is not on wheel 1
        ("downs", "M2", "lonely"),  # down is a synonym of lonely and sad
        ("downs", "M3-W1-L2", "lonely"),
        ("downs", "M3-W2-L2", "guilty"),  # lonely is not on wheel 2; sad is, at level 1
        ("worries", "M3-W5-L1", "scared"),
        ("worries", "M3-W5-L2", "anxious"),
        ("alone", "M2", "lonely"),  # no forms of its own: the base is one
        ("strays", "M1", "stray"),
        ("strays", "M2", None),  # a base that no wheel word knows
        ("strays", "M3-W1-L1", None),
        ("neutral", "M1", None),
        ("neutral", "M3-W1-L1", None),
    ],
)
def test_labels_are_mapped_by_rules(folder_2026, label, rule, expected):
    assert node(read_official_wheels(folder_2026), label, rule) == expected


def test_forms_keep_their_letter_case_and_so_are_not_found(folder_2026):
    wheels = read_official_wheels(folder_2026)
    assert "Happy" in wheels.bases
    assert wheels.map_label("HAPPY", rule=M1) == "happy"  # through the base itself


def test_synonyms_are_the_union_of_the_runs(folder_2026):
    assert read_official_wheels(folder_2026).wheel_words["merry"] == ("happy",)


def test_2025_release_maps_fear_to_joyful_and_warns(folder_2025):
    with pytest.warns(UserWarning, match="'fear' to joyful"):
        wheels = read_official_wheels(folder_2025)
    assert wheels_where_fear_is_joyful(wheels) == (2, 3)
    assert node(wheels, "fear", "M3-W2-L1") == "happy"
    assert node(wheels, "fear", "M3-W5-L1") == "scared"


def test_2026_release_maps_fear_to_fear_without_warning(folder_2026):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wheels = read_official_wheels(folder_2026)
    assert node(wheels, "fear", "M3-W2-L1") == "fearful"
    assert node(wheels, "fear", "M3-W3-L1") is None


def test_missing_files_and_columns_are_named(folder_2026):
    (folder_2026 / "synonym.xlsx").rename(folder_2026 / "synonyms.xlsx")
    with pytest.raises(ValueError, match="synonym.xlsx is missing"):
        read_official_wheels(folder_2026)
    (folder_2026 / "format.csv").write_text("word,format\n")
    with pytest.raises(ValueError, match="columns name and format"):
        read_official_wheels(folder_2026)


def test_a_synonym_row_off_the_wheels_is_refused(folder_2026):
    book = openpyxl.load_workbook(folder_2026 / "synonym.xlsx")
    book.active.append(["elsewhere", "['x']"] * 8)
    book.save(folder_2026 / "synonym.xlsx")
    with pytest.raises(ValueError, match="'elsewhere' must be a word of one of the wheels"):
        read_official_wheels(folder_2026)


def test_rules_check_themselves(folder_2026):
    wheels = read_official_wheels(folder_2026)
    assert [str(rule) for rule in wheels.all_rules()][:4] == ["M1", "M2", "M3-W1-L1", "M3-W1-L2"]
    assert len(wheels.all_rules()) == 12
    with pytest.raises(ValueError, match="wheels 1 to 5"):
        wheels.map_label("happy", rule=Rule("wheel", wheel=6, level=1))
    with pytest.raises(ValueError, match="level"):
        Rule("wheel", wheel=1, level=3)
    with pytest.raises(ValueError, match="only for it"):
        Rule("form", wheel=1, level=1)
    assert wheels.map_label("happy", rule=M2) == "happy"
