import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.torch import load_file
from tiny_faces import MiddleFace, tiny_classifier, write_stills
from torch import nn
from transformers import MobileNetV2Model

import microemo.checkpoints
from microemo.conversion.mini.convert_torchvision_mobilenet_to_hf import mobilenet_config
from microemo.data import still_faces
from microemo.data.still_faces import (
    EXPRESSIONS,
    StillFaces,
    StillLabel,
    crop_still,
    load_still_faces,
    read_labels,
)
from microemo.evaluation.metrics.recall import SCORED_EXPRESSIONS, mean_recall
from microemo.processing.face_detection import create_detector
from microemo.training.face_tower import train
from microemo.training.face_tower.augmentation import FaceAugmentation
from microemo.training.face_tower.classifier import classify_faces, load_face_classifier
from microemo.training.face_tower.recipe import FaceTowerRecipe
from microemo.training.face_tower.train import FaceDataset, FaceTowerRun, main, train_face_tower, training_data
from microemo.training.face_tower.trainer import FaceTrainer

STILLS_EACH = 30
CHECKPOINT = Path(microemo.checkpoints.__path__[0]) / "microemo-mini"
TINY = [
    "--folds",
    "2",
    "--epochs",
    "1",
    "--variants",
    "2",
    "--batch_size",
    "32",
    "--teacher_weight",
    "0",
    "--fewest_counted",
    "1",
    "--quiet",
]


@pytest.fixture
def stills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(still_faces, "create_still_detector", MiddleFace)
    monkeypatch.setattr(still_faces, "CROP_SIZE", 32)
    monkeypatch.setattr(
        train,
        "imagenet_face_classifier",
        lambda *, cache_dir, dropout=0.0, progress: tiny_classifier(dropout=dropout),
    )
    return write_stills(tmp_path / "stills")


def test_command_trains_validates_and_writes_the_record(stills, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["--stills", str(stills), "--out", str(out), *TINY]) == 0
    assert "unweighted average recall" in capsys.readouterr().out
    record = json.loads((out / "training_record.json").read_text())
    assert record["trained_parts"] == ["face_tower"]
    entry = record["face_tower"]
    assert entry["sha256"] == hashlib.sha256((out / "face_tower.safetensors").read_bytes()).hexdigest()
    assert [run["name"] for run in entry["runs"]] == ["fold-0", "fold-1", "final"]
    assert entry["runs"][0]["learners"] + entry["runs"][1]["learners"] == entry["runs"][2]["learners"]
    assert sum(map(sum, entry["cross_validation"]["confusion"])) == 5 * 12
    keys = set(load_file(out / "face_tower.safetensors"))
    assert {"model.face_head.static_expression.weight", "model.face_head.static_expression.bias"} < keys


def test_runs_of_several_calls_equal_one_call(stills, tmp_path, capsys):
    whole, spread = tmp_path / "whole", tmp_path / "spread"
    assert main(["--stills", str(stills), "--out", str(whole), *TINY]) == 0
    for names in (["final"], ["fold-1", "fold-0"]):
        assert not (spread / "training_record.json").exists()
        assert main(["--stills", str(stills), "--out", str(spread), *TINY, "--only", *names]) == 0
    assert "other runs are not complete yet" in capsys.readouterr().out
    files = [folder / "face_tower.safetensors" for folder in (whole, spread)]
    assert files[0].read_bytes() == files[1].read_bytes()
    records = [json.loads((folder / "training_record.json").read_text()) for folder in (whole, spread)]
    assert records[0] == records[1]


def test_record_keeps_other_trained_parts(stills, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "training_record.json").write_text(
        json.dumps({"trained_parts": ["emotion_head"], "emotion_head": {"seed": 3}})
    )
    assert main(["--stills", str(stills), "--out", str(out), *TINY]) == 0
    record = json.loads((out / "training_record.json").read_text())
    assert record["trained_parts"] == ["emotion_head", "face_tower"]
    assert record["emotion_head"] == {"seed": 3}


def test_bad_input_prints_one_line(stills, tmp_path, capsys):
    assert main(["--stills", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out"), *TINY]) == 2
    assert main(["--stills", str(stills), "--out", str(tmp_path / "out"), *TINY, "--only", "fold-7"]) == 2
    errors = capsys.readouterr().err
    assert "labels.csv" in errors and "fold-7" in errors and "Traceback" not in errors


def test_held_out_labels_do_not_leak_into_the_training_data(stills):
    faces = load_still_faces(stills)
    scores = np.random.default_rng(0).normal(size=(len(faces), 3)).astype(np.float32)
    is_training = np.arange(len(faces)) < 48
    other_labels = np.where(is_training, faces.labels, (faces.labels + 1) % len(EXPRESSIONS))
    variants = np.zeros((1, len(faces), 2, 2, 4), dtype=np.float16)
    other = StillFaces(faces.crops, faces.inside, other_labels, faces.identities, faces.files)
    recipe = FaceTowerRecipe(teacher_weight=0.5)
    first, second = (
        training_data(FaceDataset(each, variants, scores), is_training=is_training, recipe=recipe)
        for each in (faces, other)
    )
    np.testing.assert_array_equal(first.rows, np.flatnonzero(is_training))
    for name in ("labels", "targets", "scores"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_completed_runs_are_not_repeated(stills, tmp_path, monkeypatch):
    run = FaceTowerRun(stills=str(stills), out=str(tmp_path / "out"), quiet=True)
    recipe = FaceTowerRecipe(folds=2, epochs=1, batch_size=32, variants=1, teacher_weight=0, fewest_counted=1)
    first = train_face_tower(run, recipe=recipe, augmentation=FaceAugmentation())

    def fail(_: FaceTrainer, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(FaceTrainer, "train", fail)
    second = train_face_tower(run, recipe=recipe, augmentation=FaceAugmentation())
    assert first is not None and second is not None
    assert first.pooled == second.pooled


def test_released_weights_match_the_record_and_load_strictly():
    record = json.loads((CHECKPOINT / "training_record.json").read_text())
    path = CHECKPOINT / record["face_tower"]["file"]
    assert path.stat().st_size <= 10_000_000
    assert hashlib.sha256(path.read_bytes()).hexdigest() == record["face_tower"]["sha256"]
    assert "face_tower" in record["trained_parts"]
    weights = load_file(path)
    tower = MobileNetV2Model(mobilenet_config(), add_pooling_layer=False)
    classifier = nn.Linear(1280, len(EXPRESSIONS))
    for module, prefix in ((tower, "model.face_tower."), (classifier, "model.face_head.static_expression.")):
        state_dict = {key.removeprefix(prefix): weights.pop(key) for key in list(weights) if key.startswith(prefix)}
        module.load_state_dict(state_dict, strict=True)
    assert not weights


def test_released_tower_reaches_its_cross_validated_recall(labelled_stills: Path):
    record = json.loads((CHECKPOINT / "training_record.json").read_text())["face_tower"]
    model = load_face_classifier(CHECKPOINT / record["file"])
    detector = create_detector("centerface")
    crops, labels = [], []
    for row in first_rows(read_labels(labelled_stills), each=STILLS_EACH):
        picture = cv2.cvtColor(cv2.imread(str(labelled_stills / row.file)), cv2.COLOR_BGR2RGB)
        aligned = crop_still(picture, detector=detector)
        if aligned is not None:
            crops.append(aligned[0])
            labels.append(EXPRESSIONS.index(row.expression))
    assert len(crops) > 0.9 * STILLS_EACH * len(SCORED_EXPRESSIONS)
    recall = mean_recall(classify_faces(model, np.stack(crops)), labels=np.array(labels))
    assert recall >= record["cross_validation"]["recall_among_five"] - 0.02


def first_rows(rows: tuple[StillLabel, ...], *, each: int) -> list[StillLabel]:
    """The first `each` stills of every scored expression."""
    return [row for name in SCORED_EXPRESSIONS for row in [row for row in rows if row.expression == name][:each]]
