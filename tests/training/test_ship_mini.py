"""Runs of two stages on a tiny microemo-mini, shipped, assembled and trained again."""

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
from microemo.conversion.assemble_mini import assemble_mini
from microemo.conversion.lora_files import read_lora
from microemo.conversion.package_weights import file_sha256
from microemo.conversion.trained_parts import RECORD, read_checkpoint
from microemo.training import ship_mini
from microemo.training.parameter_groups import PARTS
from microemo.training.ship_mini import SHIPPED_FILES, main, ship
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
        return self.runs / "explanations"

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
    language = {"model": {"path": str(works.runs / "face_dynamics" / "model")}, "lora": LORA}
    declared = {"declare": ["emotion_head", "explanations"]}
    _train(workshop, works.last_run, declared=declared, parts=("video_qformer", "emotion_head"), **language)
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
    assert [stage["name"] for stage in record["stages"]] == ["face_dynamics", "explanations"]
    for stage in record["stages"]:
        assert stage["seed"] == 42 and len(stage["data"]["train"]) == 64
        assert {"step", "loss"} <= stage["curves"][0].keys()
        assert all(value == float(f"{value:.4g}") for entry in stage["curves"] for value in entry.values())
    assert record["stages"][1]["recipe"]["lora"]["alpha"] == LORA["alpha"]
    assert record["stages"][1]["recipe"]["training"]["output_dir"] == "explanations"
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


def test_a_run_that_began_with_the_shipped_model_builds_on_it(workshop, works, shipped, tmp_path):
    """Only its own part is in the run's weights; two LoRAs become one."""
    model = {"path": str(works.assemble(shipped))}
    run = _train(workshop, tmp_path / "runs" / "more", declared={}, model=model, parts=("emotion_head",), lora=LORA)
    out = tmp_path / "mini"
    shutil.copytree(shipped, out)
    with pytest.raises(ValueError, match=r"did not begin with the face_dynamics\.safetensors of the checkpoint"):
        ship(run, out=_copy(works.checkpoint, tmp_path / "older"))
    ship(run, out=out)
    assert [stage["name"] for stage in json.loads((out / RECORD).read_text())["stages"]][1:] == [
        "explanations",
        "more",
    ]
    assert read_lora(out / LORA_FILE).rank == 2 * LORA["r"]
    assert (out / "streams.safetensors").read_bytes() == (shipped / "streams.safetensors").read_bytes()


def test_halves_of_a_part_that_were_trained_side_by_side_come_together(workshop, works, shipped, tmp_path):
    """Each run keeps the whole part, with the other's half as it was."""
    mini, runs, out = str(works.assemble(shipped)), tmp_path / "runs", _copy(shipped, tmp_path / "mini")
    halves = ("dense", "classifier")
    for trained, frozen in (halves, halves[::-1]):
        declared = {"frozen": [f"emotion_head.{frozen}"]}
        _train(workshop, runs / trained, declared=declared, model={"path": mini}, parts=("emotion_head",))
    model = {"path": mini, "weights": [str(runs / half / "weights") for half in halves]}
    run = _train(workshop, runs / "both", declared={}, model=model, parts=("video_qformer",))
    after, before = (read_checkpoint(folder).state_dict for folder in (ship(run, out=out), shipped))
    for half in halves:
        name = f"model.emotion_head.{half}.weight"
        assert (after[name].float() - before[name].float()).abs().max() > 1e-3


def test_a_lora_that_is_trained_on_stays_one_of_its_rank(workshop, works, shipped, tmp_path):
    """`ship` compares the assembled model with the run's, so that nothing of the LoRA is there twice or lost."""
    before = read_lora(shipped / LORA_FILE)
    lora = {**LORA, "continues": str(shipped / LORA_FILE)}
    model = {"path": str(works.assemble(shipped))}
    run = _train(workshop, tmp_path / "runs" / "on", declared={}, model=model, parts=("emotion_head",), lora=lora)
    after = read_lora(ship(run, out=_copy(shipped, tmp_path / "mini")) / LORA_FILE)
    assert after.rank == before.rank and after.factors.keys() == before.factors.keys()
    moved = max((after.factors[name][1] - up).abs().max() for name, (_, up) in before.factors.items())
    assert 0.001 < moved < 0.1  # two steps of 0.01: it went on, and did not begin anew


def test_moved_runs_are_found_beside_each_other(works, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(works.runs, moved)
    record = json.loads((moved / "explanations" / "weights" / RECORD).read_text())
    record["recipe"]["model"]["path"] = "/nowhere/runs/face_dynamics/model"
    (moved / "explanations" / "weights" / RECORD).write_text(json.dumps(record))
    out = _copy(works.checkpoint, tmp_path / "mini")
    assert main([str(moved / "explanations"), str(out)]) == 0
    (moved / "face_dynamics").rename(moved / "dynamics")
    with pytest.raises(ValueError, match="which is neither microemo-mini nor a run"):
        ship(moved / "explanations", out=out)


def _lose_a_weight(run: Path) -> None:
    path = run / "weights" / "weights.safetensors"
    weights = load_file(path)
    save_file({key: value for key, value in weights.items() if key != "model.video_qformer.queries"}, path)


def _lose_the_lora(run: Path) -> None:
    (run / "weights" / LORA_FILE).unlink()


def _overflow(run: Path) -> None:
    path = run / "weights" / "weights.safetensors"
    save_file(load_file(path) | {"model.video_qformer.queries": torch.tensor([1e6])}, path)


def _train_the_tower(run: Path) -> None:
    path = run / "weights" / "weights.safetensors"
    save_file(load_file(path) | {"model.face_head.static_expression.bias": torch.full((8,), 9.0)}, path)


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
        (_train_the_tower, r"face_tower\.safetensors stays, but the run has another model\.face_head\.static_expr"),
        (_change_the_mode, r"trained with utterance_mode = 'clip', but microemo-mini has 'utterance'"),
        (_end_early, r"must be the folder of a finished run"),
        (_forget_the_seed, r"must tell recipe, seed, .*, but lacks seed"),
    ],
)
def test_a_shipment_that_is_not_the_run_is_refused(works, tmp_path, capsys, damage, message):
    runs = tmp_path / "runs"
    shutil.copytree(works.runs, runs)
    damage(runs / "explanations")
    out = _copy(works.checkpoint, tmp_path / "mini")
    with pytest.raises(ValueError, match=message):
        ship(runs / "explanations", out=out)
    assert _content(out) == _content(works.checkpoint)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mini", "runs"]


def test_too_much_is_refused_with_its_size(works, tmp_path, monkeypatch, capsys):
    out = _copy(works.checkpoint, tmp_path / "mini")
    monkeypatch.setattr(ship_mini, "MOST_BYTES", 1_000_000)
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
    monkeypatch.setattr(ship_mini, "mini_checkpoint_folder", lambda: works.checkpoint)
    new = ship(works.last_run, out=tmp_path / "new" / "mini", check=False)
    assert {path.name for path in new.iterdir()} == {path.name for path in shipped.iterdir()} - {"notes"}
    # Not the bytes: safetensors writes the entries of a LoRA's metadata in any order.
    for name in {*NEW_FILES, TOWER_FILE}:
        expected = load_file(shipped / name)
        found = load_file(new / name)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_without_the_model_it_goes_on_unchecked(works, tmp_path, capsys):
    runs = tmp_path / "runs"
    shutil.copytree(works.runs, runs, ignore=shutil.ignore_patterns("model"))
    out = _copy(works.checkpoint, tmp_path / "mini")
    assert main([str(runs / "explanations"), str(out)]) == 2
    assert "--unchecked goes on" in capsys.readouterr().err
    assert main([str(runs / "explanations"), str(out), "--unchecked"]) == 0
    assert read_checkpoint(out).files.keys() == {*NEW_FILES, TOWER_FILE, RECORD}
    assert "trained: face_tower, micro_dynamics, emotion_head, explanations" in capsys.readouterr().out


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


def test_a_file_whose_weights_stay_keeps_its_bytes(tmp_path):
    weights = {"model.emotion_head.bias": torch.arange(3.0), "model.face_readout.gate": torch.ones(1)}
    before = {tmp_path / name: b"" for name in ("same", "other", "gone")}
    for path in before:
        save_file(weights, path, metadata={"order": "first"})
    contents = {path: path.read_bytes() for path in before}
    save_file(weights, tmp_path / "same", metadata={"order": "second"})
    save_file({**weights, "model.face_readout.gate": torch.zeros(1)}, tmp_path / "other")
    (tmp_path / "gone").unlink()
    changed = (tmp_path / "other").read_bytes()
    ship_mini._keep_unchanged(contents)
    assert (tmp_path / "same").read_bytes() == contents[tmp_path / "same"]
    assert (tmp_path / "other").read_bytes() == changed
    assert not (tmp_path / "gone").exists()
