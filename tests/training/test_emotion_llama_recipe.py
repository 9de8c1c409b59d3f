"""The recipe for MERR, from ten files in its layout to a model that answers."""

import json

from merr_files import write_merr
from tiny_folder import write_tiny_folder

from microemo.cli.main import main
from microemo.evaluation import answerers
from microemo.training.recipe import load_recipe
from microemo.training.train import load_training_data

READING = "{num_frames: 4, min_frames_per_utterance: 1, face_size: 16, face_fps: 8.0, detection_fps: 5.0}"


def test_ten_files_are_trained_on_and_the_model_is_asked(tmp_path, capsys, monkeypatch):
    merr = write_merr(tmp_path / "merr", playable=True)
    changes = [
        f"model.path={write_tiny_folder(tmp_path / 'tiny')}",
        "data.detector=null",
        f"data.reading={READING}",
        f"data.cache_dir={tmp_path / 'kept'}",
        "training.max_steps=2",
        "training.gradient_accumulation_steps=1",
        "training.use_cpu=true",
        "training.report_to=[]",
        "training.save_strategy=no",
        "training.disable_tqdm=true",
    ]
    data = load_training_data(load_recipe("emotion_llama", changes=changes).data, root=merr, seed=0)
    assert len(data) == 10 * 2 + 5 * 2 * 3
    options = [part for change in changes for part in ("--set", change)]
    out = tmp_path / "run"
    assert main(["train", "emotion_llama", "--data", str(merr), "--out", str(out), *options]) == 0
    record = json.loads((out / "weights" / "training_record.json").read_text(encoding="utf-8"))
    assert record["recipe"]["lora"]["r"] == 16 and (out / "adapter" / "adapter_config.json").is_file()
    losses = [entry["loss"] for entry in record["curves"] if "loss" in entry]
    assert all(loss > 0 for loss in losses)
    monkeypatch.setattr(answerers, "ANSWER_TOKENS", 4)
    dataset = f"merr:{merr},split=MERR_fine_grained,tasks=emotion,take=2"
    capsys.readouterr()
    asked = ["evaluate", "--mode", "answers", "--dataset", dataset, "--model", str(out / "model"), "--device", "cpu"]
    assert main([*asked, "--resamples", "0", "--quiet"]) == 0
    assert "2 questions with options" in capsys.readouterr().out
