"""`microemo evaluate --dataset` on tiny models: contents of the table, and resuming a stopped run."""

import json
import re
from pathlib import Path

import pytest
import torch
from labelled_clips import write_sound
from tiny_folder import write_tiny_folder

from microemo.cli.main import main
from microemo.data.example import EmotionTargets, Example, LabelledUtterance
from microemo.evaluation import evaluate_models
from microemo.evaluation.ablation import FULL
from microemo.evaluation.evaluate_models import NamedModel, reading_changes
from microemo.evaluation.model_runs import RunSettings, evaluate_examples, model_fingerprint
from microemo.evaluation.prediction_store import PredictionStore
from microemo.inference.analyzer import EmotionAnalyzer


@pytest.fixture
def command(analyzer, monkeypatch, capsys):
    """Runs the command on the tiny model; returns exit code, stdout and stderr."""
    monkeypatch.setattr(EmotionAnalyzer, "from_pretrained", lambda *_, **__: analyzer)

    def run(*arguments):
        code = main(["evaluate", *map(str, arguments), "--quiet"])
        return code, *capsys.readouterr()

    return run


def scores_of(model):
    return {score["metric"]: score for score in model["scores"]}


def test_the_table_of_a_model(command, clips_file, tmp_path):
    out = tmp_path / "table.md"
    code, printed, _ = command(
        "--dataset", f"jsonl:{clips_file},take=2", "--mode", "explain", "--resamples", 20, "--out", out
    )
    assert code == 0 and out.read_text() == printed
    for row in ("Spotting F1 (IoU 0.5)", "Emotions macro F1", "Open-vocabulary F_S (wheel families)", "UAR",
                "Valence CCC", "Emotions ECE", "Answers that parse"):  # fmt: skip
        assert f"| {row} |" in printed
    assert "difference from" not in printed and "| metric | microemo-mini |" in printed
    for setting in ("- dataset: jsonl:", "(2 examples)", "- mode: explain", "weights and config", "95% bootstrap"):
        assert setting in printed
    assert len((tmp_path / "table.predictions.jsonl").read_text().splitlines()) == 2


def test_ablations_stand_side_by_side_with_their_differences(command, clips_file):
    code, printed, _ = command(
        "--dataset", f"jsonl:{clips_file}", "--ablation", "full,no_words,no_local_branch", "--resamples", 20, "--json",
        "--metrics", "emotions", "valence-arousal", "spotting",
    )  # fmt: skip
    result = json.loads(printed)
    assert code == 0 and result["baseline"] == "full"
    full, no_words, no_branch = result["models"]
    assert [model["model"] for model in result["models"]] == ["full", "no_words", "no_local_branch"]
    assert "Spotting F1 (IoU 0.5)" in scores_of(full) and "Spotting F1 (IoU 0.5)" not in scores_of(no_branch)
    (difference, _) = result["differences"]
    for name, score in scores_of(difference).items():
        if score["value"] is not None:
            wanted = scores_of(no_words)[name]["value"] - scores_of(full)[name]["value"]
            assert score["value"] == pytest.approx(wanted) and score["low"] <= score["value"] <= score["high"]


def test_stopped_run_resumes(analyzer, examples, tmp_path, monkeypatch):
    path = tmp_path / "kept.jsonl"
    whole = evaluate_examples(analyzer, examples, store=PredictionStore(path))
    asked = []
    report_clip = EmotionAnalyzer.report_clip

    def counted(self, clip, **options):
        asked.append(clip.source)
        return report_clip(self, clip, **options)

    monkeypatch.setattr(EmotionAnalyzer, "report_clip", counted)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:1]) + lines[1][:50])
    again = evaluate_examples(analyzer, examples, store=PredictionStore(path))
    assert asked == [examples[1].video, examples[2].video] and path.read_text() == "".join(lines)
    for one, other in zip(whole[FULL.name], again[FULL.name], strict=True):
        assert one.report.utterances == other.report.utterances and one.targets == other.targets


def test_changed_settings_labels_or_files_are_analysed_again(analyzer, examples, tmp_path):
    store = PredictionStore(tmp_path / "kept.jsonl")
    example = examples[0]
    moved = Example(example.example_id, video=examples[1].video, utterances=example.utterances)
    for changed, settings in (
        (example, RunSettings()),
        (example, RunSettings(mode="explain")),
        (example, RunSettings(reading=(("num_frames", 2),))),
        (moved, RunSettings()),
    ):
        evaluate_examples(analyzer, [changed], settings=settings, store=store)
    assert len((tmp_path / "kept.jsonl").read_text().splitlines()) == 4


def test_a_fingerprint_is_of_the_weights_and_the_config(tmp_path):
    folders = [write_tiny_folder(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    first, same, other = (EmotionAnalyzer.from_pretrained(folder, detector=None) for folder in folders)
    assert model_fingerprint(first) == model_fingerprint(same) != model_fingerprint(other)
    same.model.config.utterance_mode = "clip"
    assert model_fingerprint(first) != model_fingerprint(same)
    with torch.no_grad():
        first.model.model.emotion_head.classifier.bias[0] += 1e-6
    assert model_fingerprint(first) != model_fingerprint(EmotionAnalyzer.from_pretrained(folders[0], detector=None))


def test_examples_with_only_words_or_only_audio(analyzer, tmp_path):
    targets = EmotionTargets(emotions=("joy",))
    words = Example("words", utterances=(LabelledUtterance("at last", targets=targets),))
    sound = Example("sound", audio=str(write_sound(tmp_path / "a.wav")), targets=targets)
    clips = evaluate_examples(analyzer, [words, sound])[FULL.name]
    used = [{each.name for each in clip.report.modalities if each.used} for clip in clips]
    assert used == [{"words"}, {"voice"}]
    assert [clip.targets for clip in clips] == [(targets,), (targets,)]
    assert all(clip.report.utterances[0].emotions for clip in clips)


def test_thresholds_are_fitted_on_other_examples(command, clips_file, tmp_path, monkeypatch):
    other = tmp_path / "goemotions"
    other.mkdir()
    (other / "labels.txt").write_text("joy\nsadness\n")
    (other / "train.tsv").write_text("good\t0\ta\nbad\t1\tb\n")
    code, printed, _ = command(
        "--dataset", f"jsonl:{clips_file}", "--threshold", f"fit:goemotions:{other}", "--metrics", "emotions",
        "--resamples", 0, "--json", "--model", "ours=somewhere",
    )  # fmt: skip
    settings = json.loads(printed)["settings"]
    assert code == 0 and set(settings["thresholds of ours"].replace(", ", " ").split()[::2]) == {"joy", "sadness"}
    assert settings["emotion counts as given from"] == f"fit:goemotions:{other}"


def test_several_models_in_one_table(command, clips_file):
    code, printed, _ = command(
        "--dataset", f"jsonl:{clips_file},take=2", "--model", "one=a", "b", "--ablation", "full,no_words",
        "--metrics", "emotions", "--resamples", 0,
    )  # fmt: skip
    assert code == 0 and "| metric | one, full | one, no_words | b, full | b, no_words |" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metrics", "explanations"], "needs --mode explain"),
        (["--ablation", "full,nothing"], r"--ablation \(full,nothing\) must be distinct names out of full"),
        (["--ablation", "full,full"], "must be distinct names"),
        (["--reading", "face_fps"], r"--reading \(face_fps\) must be NAME=NUMBER"),
        (["--reading", "backend=pyav"], "must be NAME=NUMBER"),
        (["--threshold", "high"], r"--threshold \(high\)"),
        (["--threshold", "2"], r"--threshold \(2\)"),
        (["--model", "a/b", "c/b"], "different names"),
        (["--references", "truth.csv"], "give either --dataset"),
        (["--take", "0"], "take"),
    ],
)
def test_wrong_options_are_explained(command, clips_file, options, message):
    code, _, said = command("--dataset", f"jsonl:{clips_file}", *options)
    assert code == 2 and re.search(message, said), said


def test_families_without_labels_are_refused(command, tmp_path):
    (tmp_path / "words.jsonl").write_text(json.dumps({"id": "a", "utterances": [{"text": "yes"}]}) + "\n")
    code, _, said = command("--dataset", f"jsonl:{tmp_path / 'words.jsonl'}", "--metrics", "emotions")
    assert code == 2 and "neither examples nor reports hold what they need" in said


def test_model_names():
    assert NamedModel.parse("ours=runs/a/model") == NamedModel("ours", "runs/a/model")
    assert NamedModel.parse("runs/a/model") == NamedModel("model", "runs/a/model")
    assert NamedModel.parse("microemo-mini") == NamedModel("microemo-mini", None)


def test_reading_is_changed_by_name():
    assert reading_changes(["face_fps=30", "num_frames=8"]) == (("face_fps", 30.0), ("num_frames", 8))


def test_predictions_lie_beside_the_first_table(tmp_path):
    assert evaluate_models.predictions_path([tmp_path / "a.md", tmp_path / "b.json"]) == Path(
        tmp_path / "a.predictions.jsonl"
    )
    assert evaluate_models.predictions_path([]) is None
