"""Releases of a three-stage training of a tiny microemo-mini, and of its retrained language part."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_model import FACE_PIXELS, FRAME_PIXELS
from tiny_public_parts import assemble_of_tiny_parts

from microemo import MicroEmoForConditionalGeneration, MicroEmoProcessor
from microemo.conversion.mini.assemble_mini import assemble_mini
from microemo.conversion.mini.lora_files import read_lora
from microemo.conversion.mini.trained_parts import RECORD
from microemo.data.package_weights import file_sha256
from microemo.training import release_mini
from microemo.training.mini_stages import write_perception
from microemo.training.parameter_groups import PARTS
from microemo.training.release_mini import RELEASE_FILES, main, release
from microemo.training.train import train

TOWER_FILE, LORA_FILE = "face_tower.safetensors", "language_model_lora.safetensors"
NEW_FILES = {"face_dynamics.safetensors", "streams.safetensors", "heads.safetensors", LORA_FILE}
LORA = {"r": 2, "alpha": 6}


@dataclass(frozen=True)
class Stages:
    """The trained stages. checkpoint: the base checkpoint; runs: folder of the stages."""

    checkpoint: Path
    runs: Path
    cache: Path

    @property
    def last_run(self) -> Path:
        return self.runs / "evidence"

    def assemble(self, checkpoint: Path) -> Path:
        return assemble_mini(cache_dir=self.cache, checkpoint_dir=checkpoint)


@pytest.fixture(scope="module")
def patched():
    with pytest.MonkeyPatch.context() as monkeypatch:
        assemble_of_tiny_parts(monkeypatch)
        yield


@pytest.fixture(scope="module")
def stages(workshop, patched, tmp_path_factory) -> Stages:
    root = tmp_path_factory.mktemp("stages")
    stages = Stages(_write_first_checkpoint(root), root / "runs", root / "cache")
    mini = stages.assemble(stages.checkpoint)
    face = {
        "model": {"path": str(mini), "objective": "face"},
        "parts": ("micro_dynamics", "face_head"),
        "data": {"person": "largest"},
    }
    declared = {"declare": ["micro_dynamics"], "frozen": ["face_head.static_expression"]}
    _train(workshop, stages.runs / "face_dynamics", declared=declared, **face)
    _train_language(workshop, stages.runs, start=stages.runs / "face_dynamics" / "model")
    return stages


@pytest.fixture(scope="module")
def released(stages, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("released") / "mini"
    shutil.copytree(stages.checkpoint, out)
    (out / "notes").mkdir()
    (out / "notes" / "note.txt").write_text("not ours")
    return release(stages.last_run, out=out)


def test_files_are_float16_groups_and_the_tower_is_unchanged(stages, released):
    assert {path.name for path in released.glob("*.safetensors")} == NEW_FILES | {TOWER_FILE}
    assert (released / TOWER_FILE).read_bytes() == (stages.checkpoint / TOWER_FILE).read_bytes()
    for name in NEW_FILES:
        assert {value.dtype for value in load_file(released / name).values()} == {torch.float16}
        assert (released / name).stat().st_mode & 0o777 == 0o644
    assert (released / "notes" / "note.txt").read_text() == "not ours"
    assert not list(released.parent.glob(".*"))


def test_record_describes_every_stage(stages, released):
    record = json.loads((released / RECORD).read_text())
    assert record["trained_parts"] == ["face_tower", "micro_dynamics", "emotion_head", "explanations"]
    assert record["face_tower"] == json.loads((stages.checkpoint / RECORD).read_text())["face_tower"]
    assert record["files"] == {name: file_sha256(released / name) for name in sorted(NEW_FILES)}
    assert [stage["name"] for stage in record["stages"]] == ["face_dynamics", "words", "evidence"]
    for stage in record["stages"]:
        assert stage["seed"] == 42 and len(stage["data"]["train"]) == 64
        assert {"step", "loss"} <= stage["curves"][0].keys()
        assert all(value == float(f"{value:.4g}") for entry in stage["curves"] for value in entry.values())
    assert record["stages"][1]["recipe"]["lora"]["alpha"] == LORA["alpha"]
    assert record["stages"][2]["recipe"]["training"]["output_dir"] == "evidence"
    assert str(stages.runs) not in json.dumps(record)
    assert record["reading_settings"]["face_fps"] == 8.0


def test_assembled_model_equals_the_trained_model(stages, released):
    folder = stages.assemble(released)
    assembled = MicroEmoForConditionalGeneration.from_pretrained(folder)
    trained = MicroEmoForConditionalGeneration.from_pretrained(stages.last_run / "model")
    assert assembled.dtype == torch.float32
    assert assembled.config.trained_parts == trained.config.trained_parts
    processors = [MicroEmoProcessor.from_pretrained(path) for path in (folder, stages.last_run / "model")]
    assert processors[0].reading_settings == processors[1].reading_settings
    with torch.no_grad():
        logits = [_logits(model) for model in (assembled, trained)]
    torch.testing.assert_close(*logits, rtol=0, atol=2e-3)  # float16 weights
    base = MicroEmoForConditionalGeneration.from_pretrained(stages.assemble(stages.checkpoint))
    assert (_logits(base) - logits[1]).abs().max() > 0.05


def test_retrained_language_part_replaces_the_old_one(workshop, stages, released, tmp_path):
    """`release` compares the assembled model with the run's, so nothing of the old LoRA can remain."""
    start = stages.assemble(write_perception(released, out=tmp_path / "perception"))
    assert MicroEmoForConditionalGeneration.from_pretrained(start).config.trained_parts == [
        "face_tower",
        "micro_dynamics",
    ]
    run = _train_language(workshop, tmp_path / "runs", start=start)
    out = release(run, out=_copy(released, tmp_path / "mini"))
    record = json.loads((out / RECORD).read_text())
    assert [stage["name"] for stage in record["stages"]] == ["face_dynamics", "words", "evidence"]
    before = json.loads((released / RECORD).read_text())
    assert record["stages"][0] == before["stages"][0] and record["stages"][1] != before["stages"][1]
    assert record["trained_parts"] == before["trained_parts"]
    assert read_lora(out / LORA_FILE).rank == LORA["r"]
    changed = {name for name in NEW_FILES if record["files"][name] != before["files"][name]}
    assert changed == {"streams.safetensors", "heads.safetensors", LORA_FILE}, "the face part is unchanged"


def test_stage_that_continues_the_released_lora_follows_the_earlier_ones(workshop, stages, released, tmp_path):
    """The released LoRA's file is rounded; that rounding is allowed, and the stages before stay in the record."""
    model = {"path": str(stages.assemble(released))}
    lora = {**LORA, "continues": str(released / LORA_FILE)}
    declared = {"declare": ["emotion_head", "explanations"]}
    run = _train(workshop, tmp_path / "more", declared=declared, model=model, lora=lora, parts=("emotion_head",))
    out = release(run, out=_copy(released, tmp_path / "mini"))
    recorded = json.loads((out / RECORD).read_text())["stages"]
    assert [stage["name"] for stage in recorded] == ["face_dynamics", "words", "evidence", "more"]
    assert (out / LORA_FILE).read_bytes() != (released / LORA_FILE).read_bytes()


def test_face_stage_leaves_the_language_part_unchanged(workshop, stages, released, tmp_path):
    model = {"path": str(stages.assemble(released)), "objective": "face"}
    settings = {"parts": ("micro_dynamics", "face_head"), "data": {"person": "largest"}}
    declared = {"frozen": ["face_head.static_expression"]}
    run = _train(workshop, tmp_path / "runs" / "face_flow", declared=declared, model=model, **settings)
    out = release(run, out=_copy(released, tmp_path / "mini"))
    recorded = json.loads((out / RECORD).read_text())["stages"]
    assert [stage["name"] for stage in recorded] == ["face_dynamics", "words", "evidence", "face_flow"]
    for name in ("streams.safetensors", "heads.safetensors", LORA_FILE):
        assert (out / name).read_bytes() == (released / name).read_bytes()


def test_moved_runs_are_found_by_their_sibling_folders(stages, tmp_path, capsys):
    moved = tmp_path / "elsewhere"
    shutil.copytree(stages.runs, moved)
    path = moved / "evidence" / "weights" / RECORD
    record = json.loads(path.read_text())
    record["recipe"]["model"]["path"] = "/nowhere/runs/words/model"
    path.write_text(json.dumps(record))
    out = _copy(stages.checkpoint, tmp_path / "mini")
    assert main([str(moved / "evidence"), str(out)]) == 0
    assert "trained: face_tower, micro_dynamics, emotion_head, explanations" in capsys.readouterr().out
    (moved / "words").rename(moved / "word")
    assert main([str(moved / "evidence"), str(out)]) == 2
    assert "which is neither microemo-mini nor a finished run" in capsys.readouterr().err


def _remove_a_weight(run: Path) -> None:
    path = run / "weights" / "weights.safetensors"
    weights = load_file(path)
    save_file({key: value for key, value in weights.items() if key != "model.video_qformer.queries"}, path)


def _remove_the_lora(run: Path) -> None:
    (run / "weights" / LORA_FILE).unlink()


def _overflow(run: Path) -> None:
    path = run / "weights" / "weights.safetensors"
    save_file(load_file(path) | {"model.video_qformer.queries": torch.tensor([1e6])}, path)


def _remove_the_model(run: Path) -> None:
    shutil.rmtree(run / "model")


def _change_utterance_mode(run: Path) -> None:
    config = json.loads((run / "model" / "config.json").read_text())
    (run / "model" / "config.json").write_text(json.dumps(config | {"utterance_mode": "clip"}))


def _remove_the_record(run: Path) -> None:
    (run / "weights" / RECORD).unlink()


def _remove_the_seed(run: Path) -> None:
    path = run / "weights" / RECORD
    record = json.loads(path.read_text())
    del record["seed"]
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_remove_a_weight, r"model\.video_qformer\.queries was trained to values that are not released"),
        (_remove_the_lora, r"model\.language_model\..*_proj\.weight was trained to values that are not released"),
        (_overflow, r"model\.video_qformer\.queries has values that are not finite in float16"),
        (_remove_the_model, r"model, to which the released weights are compared, is missing"),
        (_change_utterance_mode, r"trained with utterance_mode = 'clip', but microemo-mini has 'utterance'"),
        (_remove_the_record, r"must be the folder of a finished run"),
        (_remove_the_seed, r"must have recipe, seed, .*, but lacks seed"),
    ],
)
def test_release_that_differs_from_the_run_is_refused(stages, tmp_path, capsys, damage, message):
    runs = tmp_path / "runs"
    shutil.copytree(stages.runs, runs)
    damage(runs / "evidence")
    out = _copy(stages.checkpoint, tmp_path / "mini")
    with pytest.raises(ValueError, match=message):
        release(runs / "evidence", out=out)
    assert _content(out) == _content(stages.checkpoint)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mini", "runs"]


def test_oversized_release_is_refused(stages, tmp_path, monkeypatch, capsys):
    out = _copy(stages.checkpoint, tmp_path / "mini")
    monkeypatch.setattr(release_mini, "MAX_BYTES", 1_000_000)
    assert main([str(stages.last_run), str(out)]) == 2
    error = capsys.readouterr().err
    assert "MB, more than 1:" in error and "streams.safetensors" in error
    assert _content(out) == _content(stages.checkpoint)


def test_folder_without_a_record_is_not_replaced(stages, tmp_path):
    (tmp_path / "thesis.txt").write_text("important")
    for out in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(ValueError, match="must be a checkpoint folder"):
            release(stages.last_run, out=out)
    assert _content(tmp_path) == {"thesis.txt": b"important"}


def test_new_folder_starts_from_the_packaged_checkpoint(stages, released, tmp_path, monkeypatch):
    monkeypatch.setattr(release_mini, "mini_checkpoint_folder", lambda: stages.checkpoint)
    new = release(stages.last_run, out=tmp_path / "new" / "mini")
    assert {path.name for path in new.iterdir()} == {path.name for path in released.iterdir()} - {"notes"}
    # Tensors, not bytes: safetensors writes metadata entries in any order.
    for name in {*NEW_FILES, TOWER_FILE}:
        expected = load_file(released / name)
        weights = load_file(new / name)
        assert weights.keys() == expected.keys()
        assert all(torch.equal(weights[key], value) for key, value in expected.items())


def test_every_part_has_a_release_file():
    parts = [part for group in RELEASE_FILES.values() for part in group]
    assert sorted(parts) == sorted(PARTS)


def _write_first_checkpoint(root: Path) -> Path:
    """The tower's file and record, as written by the training of the tower."""
    folder = root / "checkpoint"
    untrained = assemble_mini(cache_dir=root / "untrained", checkpoint_dir=root / "nothing")
    state = MicroEmoForConditionalGeneration.from_pretrained(untrained).state_dict()
    prefixes = ("model.face_tower.", "model.face_head.static_expression.")
    tower = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    folder.mkdir()
    save_file({key: value for key, value in tower.items() if key.startswith(prefixes)}, folder / TOWER_FILE)
    entry = {"file": TOWER_FILE, "sha256": file_sha256(folder / TOWER_FILE), "seed": 3}
    (folder / RECORD).write_text(json.dumps({"trained_parts": ["face_tower"], "face_tower": entry}))
    return folder


def _train_language(workshop, runs: Path, *, start: Path) -> Path:
    """Trains words, then evidence, which continues the LoRA of the words."""
    declared = {"declare": ["emotion_head", "explanations"]}
    language = {"model": {"path": str(start)}, "lora": LORA, "parts": ("emotion_head",)}
    words = _train(workshop, runs / "words", declared={"declare": ["emotion_head"]}, **language)
    lora = {**LORA, "continues": str(words / "weights" / LORA_FILE)}
    language = {"model": {"path": str(words / "model")}, "lora": lora, "parts": ("video_qformer", "emotion_head")}
    return _train(workshop, runs / "evidence", declared=declared, **language)


def _train(workshop, output: Path, *, declared: dict, **changes) -> Path:
    """Trains two steps at a learning rate that changes the outputs clearly."""
    recipe = workshop.recipe(output, learning_rate=1e-2, **changes)
    parts = replace(recipe.parts, declare_after=1, **{name: tuple(names) for name, names in declared.items()})
    return train(replace(recipe, parts=parts), data_root=workshop.root)


def _copy(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _logits(model: MicroEmoForConditionalGeneration) -> torch.Tensor:
    """Logits of a prompt with text, frames and faces."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.arange(6, 20)
    video = torch.full((model.config.video_qformer_config.num_query_tokens,), model.config.video_token_id)
    end = torch.tensor([model.config.utterance_end_token_id])
    with torch.no_grad():
        output = model(
            input_ids=torch.cat([tokens, video, video, end, tokens])[None],
            pixel_values_videos=torch.randn(1, 3, 3, FRAME_PIXELS, FRAME_PIXELS, generator=generator),
            frame_times=torch.tensor([[0.1, 0.5, 0.9]]),
            face_pixel_values=torch.randn(1, 4, 3, FACE_PIXELS, FACE_PIXELS, generator=generator),
            face_times=torch.tensor([[0.2, 0.3, 0.4, 0.5]]),
            utterance_times=torch.tensor([[[0.0, 1.0]]]),
        )
    return torch.cat([output.logits.flatten(), output.emotion_logits.flatten(), output.micro_logits.flatten()])
