"""Runs of three stages on a tiny microemo-mini, shipped, assembled, and its language part trained again."""

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
from microemo.training.release_mini import SHIPPED_FILES, main, ship
from microemo.training.train import train

TOWER_FILE, LORA_FILE = "face_tower.safetensors", "language_model_lora.safetensors"
NEW_FILES = {"face_dynamics.safetensors", "streams.safetensors", "heads.safetensors", LORA_FILE}
LORA = {"r": 2, "alpha": 6}


@dataclass(frozen=True)
class Works:
    """Where the stages were trained. checkpoint: what they began with; runs: the stages."""

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
def works(workshop, patched, tmp_path_factory) -> Works:
    root = tmp_path_factory.mktemp("works")
    works = Works(_write_first_checkpoint(root), root / "runs", root / "cache")
    mini = works.assemble(works.checkpoint)
    face = {
        "model": {"path": str(mini), "objective": "face"},
        "parts": ("micro_dynamics", "face_head"),
        "data": {"person": "largest"},
    }
    declared = {"declare": ["micro_dynamics"], "frozen": ["face_head.static_expression"]}
    _train(workshop, works.runs / "face_dynamics", declared=declared, **face)
    _train_language(workshop, works.runs, begin=works.runs / "face_dynamics" / "model")
    return works


@pytest.fixture(scope="module")
def shipped(works, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("shipped") / "mini"
    shutil.copytree(works.checkpoint, out)
    (out / "notes").mkdir()
    (out / "notes" / "kept.txt").write_text("not ours")
    return ship(works.last_run, out=out)


def test_the_files_are_the_groups_in_float16_and_the_tower_stays(works, shipped):
    assert {path.name for path in shipped.glob("*.safetensors")} == NEW_FILES | {TOWER_FILE}
    assert (shipped / TOWER_FILE).read_bytes() == (works.checkpoint / TOWER_FILE).read_bytes()
    for name in NEW_FILES:
        assert {value.dtype for value in load_file(shipped / name).values()} == {torch.float16}
        assert (shipped / name).stat().st_mode & 0o777 == 0o644
    assert (shipped / "notes" / "kept.txt").read_text() == "not ours"
    assert not list(shipped.parent.glob(".*"))


def test_the_record_tells_of_every_stage(works, shipped):
    record = json.loads((shipped / RECORD).read_text())
    assert record["trained_parts"] == ["face_tower", "micro_dynamics", "emotion_head", "explanations"]
    assert record["face_tower"] == json.loads((works.checkpoint / RECORD).read_text())["face_tower"]
    assert record["files"] == {name: file_sha256(shipped / name) for name in sorted(NEW_FILES)}
    assert [stage["name"] for stage in record["stages"]] == ["face_dynamics", "words", "evidence"]
    for stage in record["stages"]:
        assert stage["seed"] == 42 and len(stage["data"]["train"]) == 64
        assert {"step", "loss"} <= stage["curves"][0].keys()
        assert all(value == float(f"{value:.4g}") for entry in stage["curves"] for value in entry.values())
    assert record["stages"][1]["recipe"]["lora"]["alpha"] == LORA["alpha"]
    assert record["stages"][2]["recipe"]["training"]["output_dir"] == "evidence"
    assert str(works.runs) not in json.dumps(record)
    assert record["reading_settings"]["face_fps"] == 8.0


def test_the_assembled_model_answers_as_the_trained_one(works, shipped):
    folder = works.assemble(shipped)
    found = MicroEmoForConditionalGeneration.from_pretrained(folder)
    trained = MicroEmoForConditionalGeneration.from_pretrained(works.last_run / "model")
    assert found.dtype == torch.float32
    assert found.config.trained_parts == trained.config.trained_parts
    processors = [MicroEmoProcessor.from_pretrained(path) for path in (folder, works.last_run / "model")]
    assert processors[0].reading_settings == processors[1].reading_settings
    with torch.no_grad():
        logits = [_logits(model) for model in (found, trained)]
    torch.testing.assert_close(*logits, rtol=0, atol=2e-3)  # 11 bits of each weight
    begun_with = MicroEmoForConditionalGeneration.from_pretrained(works.assemble(works.checkpoint))
    assert (_logits(begun_with) - logits[1]).abs().max() > 0.05


def test_a_language_part_that_was_trained_anew_replaces_the_old_one(workshop, works, shipped, tmp_path):
    """`ship` compares the assembled model with the run's, so that nothing of the old LoRA is left in it."""
    start = works.assemble(write_perception(shipped, out=tmp_path / "perception"))
    assert MicroEmoForConditionalGeneration.from_pretrained(start).config.trained_parts == [
        "face_tower",
        "micro_dynamics",
    ]
    run = _train_language(workshop, tmp_path / "runs", begin=start)
    out = ship(run, out=_copy(shipped, tmp_path / "mini"))
    record = json.loads((out / RECORD).read_text())
    assert [stage["name"] for stage in record["stages"]] == ["face_dynamics", "words", "evidence"]
    before = json.loads((shipped / RECORD).read_text())
    assert record["stages"][0] == before["stages"][0] and record["stages"][1] != before["stages"][1]
    assert record["trained_parts"] == before["trained_parts"]
    assert read_lora(out / LORA_FILE).rank == LORA["r"]
    changed = {name for name in NEW_FILES if record["files"][name] != before["files"][name]}
    assert changed == {"streams.safetensors", "heads.safetensors", LORA_FILE}, "the face stays"


def test_a_face_that_was_trained_on_leaves_the_language_part(workshop, works, shipped, tmp_path):
    model = {"path": str(works.assemble(shipped)), "objective": "face"}
    settings = {"parts": ("micro_dynamics", "face_head"), "data": {"person": "largest"}}
    declared = {"frozen": ["face_head.static_expression"]}
    run = _train(workshop, tmp_path / "runs" / "face_flow", declared=declared, model=model, **settings)
    out = ship(run, out=_copy(shipped, tmp_path / "mini"))
    stages = json.loads((out / RECORD).read_text())["stages"]
    assert [stage["name"] for stage in stages] == ["face_dynamics", "words", "evidence", "face_flow"]
    for name in ("streams.safetensors", "heads.safetensors", LORA_FILE):
        assert (out / name).read_bytes() == (shipped / name).read_bytes()


def test_moved_runs_are_found_beside_each_other(works, tmp_path, capsys):
    moved = tmp_path / "elsewhere"
    shutil.copytree(works.runs, moved)
    path = moved / "evidence" / "weights" / RECORD
    record = json.loads(path.read_text())
    record["recipe"]["model"]["path"] = "/nowhere/runs/words/model"
    path.write_text(json.dumps(record))
    out = _copy(works.checkpoint, tmp_path / "mini")
    assert main([str(moved / "evidence"), str(out)]) == 0
    assert "trained: face_tower, micro_dynamics, emotion_head, explanations" in capsys.readouterr().out
    (moved / "words").rename(moved / "word")
    assert main([str(moved / "evidence"), str(out)]) == 2
    assert "which is neither microemo-mini nor a run" in capsys.readouterr().err


def _lose_a_weight(run: Path) -> None:
    path = run / "weights" / "weights.safetensors"
    weights = load_file(path)
    save_file({key: value for key, value in weights.items() if key != "model.video_qformer.queries"}, path)


def _lose_the_lora(run: Path) -> None:
    (run / "weights" / LORA_FILE).unlink()


def _overflow(run: Path) -> None:
    path = run / "weights" / "weights.safetensors"
    save_file(load_file(path) | {"model.video_qformer.queries": torch.tensor([1e6])}, path)


def _lose_the_model(run: Path) -> None:
    shutil.rmtree(run / "model")


def _change_the_mode(run: Path) -> None:
    config = json.loads((run / "model" / "config.json").read_text())
    (run / "model" / "config.json").write_text(json.dumps(config | {"utterance_mode": "clip"}))


def _end_early(run: Path) -> None:
    (run / "weights" / RECORD).unlink()


def _forget_the_seed(run: Path) -> None:
    path = run / "weights" / RECORD
    record = json.loads(path.read_text())
    del record["seed"]
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_lose_a_weight, r"model\.video_qformer\.queries was trained to values that are not shipped"),
        (_lose_the_lora, r"model\.language_model\..*_proj\.weight was trained to values that are not shipped"),
        (_overflow, r"model\.video_qformer\.queries has values that are not finite in float16"),
        (_lose_the_model, r"model, which the shipped weights are compared with, is missing"),
        (_change_the_mode, r"trained with utterance_mode = 'clip', but microemo-mini has 'utterance'"),
        (_end_early, r"must be the folder of a finished run"),
        (_forget_the_seed, r"must tell recipe, seed, .*, but lacks seed"),
    ],
)
def test_a_shipment_that_is_not_the_run_is_refused(works, tmp_path, capsys, damage, message):
    runs = tmp_path / "runs"
    shutil.copytree(works.runs, runs)
    damage(runs / "evidence")
    out = _copy(works.checkpoint, tmp_path / "mini")
    with pytest.raises(ValueError, match=message):
        ship(runs / "evidence", out=out)
    assert _content(out) == _content(works.checkpoint)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mini", "runs"]


def test_too_much_is_refused_with_its_size(works, tmp_path, monkeypatch, capsys):
    out = _copy(works.checkpoint, tmp_path / "mini")
    monkeypatch.setattr(release_mini, "MOST_BYTES", 1_000_000)
    assert main([str(works.last_run), str(out)]) == 2
    error = capsys.readouterr().err
    assert "MB, more than 1:" in error and "streams.safetensors" in error
    assert _content(out) == _content(works.checkpoint)


def test_a_folder_of_somebody_else_is_not_replaced(works, tmp_path):
    (tmp_path / "thesis.txt").write_text("important")
    for out in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(ValueError, match="must be a checkpoint folder"):
            ship(works.last_run, out=out)
    assert _content(tmp_path) == {"thesis.txt": b"important"}


def test_a_new_folder_begins_as_the_packaged_checkpoint(works, shipped, tmp_path, monkeypatch):
    monkeypatch.setattr(release_mini, "mini_checkpoint_folder", lambda: works.checkpoint)
    new = ship(works.last_run, out=tmp_path / "new" / "mini")
    assert {path.name for path in new.iterdir()} == {path.name for path in shipped.iterdir()} - {"notes"}
    # Not the bytes: safetensors writes the entries of a LoRA's metadata in any order.
    for name in {*NEW_FILES, TOWER_FILE}:
        expected = load_file(shipped / name)
        found = load_file(new / name)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_every_part_has_a_file():
    parts = [part for group in SHIPPED_FILES.values() for part in group]
    assert sorted(parts) == sorted(PARTS)


def _write_first_checkpoint(root: Path) -> Path:
    """The tower's file and its record, as training the tower leaves them."""
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


def _train_language(workshop, runs: Path, *, begin: Path) -> Path:
    """Words, then evidence, which trains on their LoRA."""
    declared = {"declare": ["emotion_head", "explanations"]}
    language = {"model": {"path": str(begin)}, "lora": LORA, "parts": ("emotion_head",)}
    words = _train(workshop, runs / "words", declared={"declare": ["emotion_head"]}, **language)
    lora = {**LORA, "continues": str(words / "weights" / LORA_FILE)}
    language = {"model": {"path": str(words / "model")}, "lora": lora, "parts": ("video_qformer", "emotion_head")}
    return _train(workshop, runs / "evidence", declared=declared, **language)


def _train(workshop, output: Path, *, declared: dict, **changes) -> Path:
    """A run of two steps that are large enough to be seen."""
    recipe = workshop.recipe(output, learning_rate=1e-2, **changes)
    parts = replace(recipe.parts, declare_after=1, **{name: tuple(names) for name, names in declared.items()})
    return train(replace(recipe, parts=parts), data_root=workshop.root)


def _copy(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _logits(model: MicroEmoForConditionalGeneration) -> torch.Tensor:
    """Of a prompt of words and one of frames and faces."""
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
