import argparse
import json

import numpy as np
import pytest

from microemo.cli.evaluate import add_arguments, run
from microemo.data.default_wheel import default_wheels
from microemo.evaluation.clip_labels import ClipLabels
from microemo.evaluation.evaluate import Interval, evaluate_predictions
from microemo.evaluation.figures import Matching
from microemo.evaluation.metrics.open_vocabulary import exact_grouping, set_scores
from microemo.evaluation.metrics.wheel_files import read_official_wheels
from microemo.evaluation.metrics.wheel_metrics import mer2025_track2, ov_mer_average

MATCHING = Matching(wheels=default_wheels(), grouping=exact_grouping)
QUICK = Interval(resamples=20)
REFERENCES = [["happy", "cheery"], ["sad"], ["worried", "ashamed"], ["neutral"]]
PREDICTIONS = [["happily"], ["sad", "fear"], [], ["happy"]]


def clips(**columns):
    """Returns clips named 0, 1, ... with the given columns."""
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {str(number): ClipLabels(name=str(number), **row) for number, row in enumerate(rows)}


def values(model):
    return {score.name: score.estimate.value for score in model.scores}


def evaluated(references, predictions, **options):
    return evaluate_predictions(references, predictions, model="model", matching=MATCHING, interval=QUICK, **options)


@pytest.fixture
def files(tmp_path):
    lines = ["name,openset", *(f'{i},"{labels}"' for i, labels in enumerate(REFERENCES))]
    (tmp_path / "truth.csv").write_text("\n".join(lines))
    names = [str(number) for number in range(4)]
    np.savez(tmp_path / "ours-openset.npz", filenames=names, fileitems=[str(labels) for labels in PREDICTIONS])
    (tmp_path / "oracle.jsonl").write_text(
        "\n".join(json.dumps({"name": str(i), "labels": labels}) for i, labels in enumerate(REFERENCES))
    )
    return tmp_path


def command(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args([str(argument) for argument in arguments]))


def test_the_command_gives_the_figures_of_the_functions(files, folder_2026, capsys):
    code = command(
        "--references", files / "truth.csv", "--predictions", files / "ours-openset.npz", files / "oracle.jsonl",
        "--wheels", folder_2026, "--resamples", 20, "--json", "--output", files / "table.md",
    )  # fmt: skip
    result = json.loads(capsys.readouterr().out)
    assert code == 0
    assert [model["model"] for model in result["models"]] == ["ours", "oracle"]
    found = {score["metric"]: score for score in result["models"][0]["scores"]}
    wheels = read_official_wheels(folder_2026)
    assert found["Avg"]["value"] == set_scores(REFERENCES, PREDICTIONS).average
    assert found["EW M-avg (OV-MER)"]["value"] == ov_mer_average(REFERENCES, PREDICTIONS, wheels=wheels)
    assert found["EW both levels F_S (MER2025)"]["value"] == mer2025_track2(REFERENCES, PREDICTIONS, wheels=wheels)
    assert found["Avg"]["low"] <= found["Avg"]["value"] <= found["Avg"]["high"]
    assert found["Avg"]["clips"] == 4
    oracle = {score["metric"]: score["value"] for score in result["models"][1]["scores"]}
    assert oracle["Avg"] == 1
    assert result["settings"]["wheels"] == "official files in mer2026"
    assert "sha256" in result["settings"]["predictions of ours"]
    markdown = (files / "table.md").read_text()
    assert "| metric | ours | oracle |" in markdown
    assert "| Avg | " in markdown and "100.00 [100.00, 100.00]" in markdown
    assert "- intervals: 95% bootstrap, 20 resamples, seed 0" in markdown


def test_the_same_call_prints_the_same_twice(files, capsys):
    arguments = ("--references", files / "truth.csv", "--predictions", files / "oracle.jsonl", "--resamples", 20)
    command(*arguments)
    first = capsys.readouterr().out
    command(*arguments)
    assert capsys.readouterr().out == first


def test_groupings_of_the_command(files, capsys):
    (files / "groups.json").write_text(json.dumps([["happy", "happily"]]))
    (files / "vectors.txt").write_text("happy 1 0\nhappily 1 0\nsad 0 1\n")
    figures = {}
    for grouping in ("exact", "wheel", f"groups:{files / 'groups.json'}", f"vectors:{files / 'vectors.txt'}"):
        command(
            "--references", files / "truth.csv", "--predictions", files / "ours-openset.npz", "--metrics", "set",
            "--grouping", grouping, "--resamples", 0, "--json",
        )  # fmt: skip
        scores = json.loads(capsys.readouterr().out)["models"][0]["scores"]
        figures[grouping.split(":")[0]] = {score["metric"]: score["value"] for score in scores}["Recall_S"]
    # Recalls of the clips: exact 0, 1, 0, 0; grouped 1/2, 1, 0, 0; by families {joy} against {joy}: 1, 1, 0, 0.
    assert figures == {"exact": 1 / 4, "groups": 3 / 8, "vectors": 3 / 8, "wheel": 1 / 2}


def test_stored_groups_of_the_command(files, capsys):
    folder = files / "openset-synonym"
    folder.mkdir()
    for number in range(4):
        np.save(folder / f"{number}.npy", "[['happy', 'happily'], ['neutral', 'happy']]" if number else "[]")
    arguments = ["--references", files / "truth.csv", "--metrics", "set", "--stored-groups", folder, "--resamples", 0]
    command(*arguments, "--predictions", files / "ours-openset.npz", "--json")
    scores = json.loads(capsys.readouterr().out)["models"][0]["scores"]
    assert {score["metric"]: score["value"] for score in scores}["Recall_S"] == (0 + 1 + 0 + 1) / 4
    with pytest.raises(ValueError, match="one model, got 2"):
        command(*arguments, "--predictions", files / "ours-openset.npz", files / "oracle.jsonl")
    (folder / "3.npy").unlink()
    with pytest.raises(ValueError, match="1 are missing, first '3'"):
        command(*arguments, "--predictions", files / "ours-openset.npz")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--grouping", "fuzzy"], "--grouping"),
        (["--output", "table.xlsx"], "--out"),
        (["--metrics", "closed-set"], "'closed-set' needs labels"),
        (["--predictions", "a=oracle.jsonl", "a=oracle.jsonl"], "different model names"),
    ],
)
def test_wrong_options_are_explained(files, monkeypatch, options, message):
    monkeypatch.chdir(files)
    with pytest.raises(ValueError, match=message):
        command("--references", "truth.csv", "--predictions", "oracle.jsonl", *options)


def test_hits_of_single_labels():
    model = evaluated(clips(emotion=["happy", "angry"]), clips(labels=[("joyful",), ("sad",)]), families=["hit"])
    assert values(model) == {"HIT": 0.5}


def test_closed_set_labels():
    found = values(evaluated(clips(emotion=["happy", "sad"]), clips(emotion=["happy", "happy"])))
    assert (found["WAR"], found["UAR"]) == (0.5, 0.5)


def test_sentiment_is_named_or_follows_from_the_labels():
    references = clips(sentiment=[1.0, -2.0, 0.0])
    named = evaluated(references, clips(sentiment=["positive", "negative", "negative"]))
    assert values(named)["Sentiment ACC"] == 1
    from_labels = evaluated(references, clips(labels=[("happy",), ("happy",), ("sad",)]))
    assert values(from_labels)["Sentiment ACC"] == 0.5
    assert from_labels.scores[0].clips == 2


def test_valence_and_arousal():
    references = clips(valence=[1.0, 2.0, 3.0], arousal=[0.0, 0.0, 0.0])
    found = values(evaluated(references, clips(valence=[2.0, 3.0, 4.0])))
    assert found == {"Valence CCC": pytest.approx(4 / 7), "Valence RMSE": 1.0}
    with pytest.raises(ValueError, match="1 of 3 lack it"):
        evaluated(references, clips(valence=[2.0, None, 4.0]))


def test_missing_clips_are_an_error_or_count_as_empty():
    references, predictions = clips(labels=[("happy",), ("sad",)]), clips(labels=[("happy",)])
    with pytest.raises(ValueError, match="1 of 2 are missing, first '1'"):
        evaluated(references, predictions)
    assert values(evaluated(references, predictions, missing="empty"))["Avg"] == 0.5


def test_a_clip_that_alone_lacks_labels_counts_as_empty():
    predictions = {"0": ClipLabels(name="0", labels=("happy",)), "1": ClipLabels(name="1", emotion="sad")}
    model = evaluated(clips(labels=[("happy",), ("sad",)]), predictions, families=["set"])
    assert values(model)["Avg"] == 0.5


def test_only_missing_clips_give_no_figures():
    references = clips(labels=[("happy",), ("sad",)], emotion=["happy", "sad"])
    found = values(evaluated(references, clips(emotion=["happy"]), missing="empty"))
    assert "Avg" not in found
    assert found["WAR"] == 0.5


def test_files_without_common_labels_are_refused():
    with pytest.raises(ValueError, match="labels of one kind"):
        evaluated(clips(labels=[("happy",)]), clips(valence=[1.0]))
