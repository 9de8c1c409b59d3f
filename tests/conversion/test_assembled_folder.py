from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from microemo.conversion.mini import assembled_folder
from microemo.conversion.mini.assembled_folder import CHECKED, MANIFEST, assemble_once, fingerprint_of, is_complete
from microemo.data.package_weights import file_sha256

RECIPE = {"version": 1, "hashes": {"a": "1"}}
FORK = multiprocessing.get_context("fork")  # a spawned process would import torch first


def write_files(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "weights.bin").write_bytes(b"x" * 1000)
    (folder / "sub" / "config.json").write_text("{}")


def _refuse(folder: Path) -> None:
    raise AssertionError(f"{folder} must not be written again")


def test_second_run_is_a_no_op(tmp_path: Path) -> None:
    target = assemble_once(tmp_path / "mini", recipe=RECIPE, write=write_files)
    before = {path: path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))}
    assert assemble_once(target, recipe=RECIPE, write=_refuse) == target
    assert {path: path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))} == before


def test_manifest_has_recipe_and_files(tmp_path: Path) -> None:
    target = assemble_once(tmp_path / "mini", recipe=RECIPE, write=write_files)
    manifest = json.loads((target / MANIFEST).read_text())
    assert manifest["recipe"] == RECIPE
    assert manifest["fingerprint"] == fingerprint_of(RECIPE)
    assert manifest["files"].keys() == {"weights.bin", "sub/config.json"}
    assert manifest["files"]["weights.bin"]["bytes"] == 1000


@pytest.mark.parametrize("damage", ["sub/config.json", "weights.bin", MANIFEST])
def test_missing_file_triggers_assembly(tmp_path: Path, damage: str) -> None:
    target = assemble_once(tmp_path / "mini", recipe=RECIPE, write=write_files)
    (target / damage).unlink()
    assemble_once(target, recipe=RECIPE, write=write_files, replace_unknown=True)
    assert is_complete(target, fingerprint=fingerprint_of(RECIPE))


def test_truncated_file_triggers_assembly(tmp_path: Path) -> None:
    target = assemble_once(tmp_path / "mini", recipe=RECIPE, write=write_files)
    (target / "weights.bin").write_bytes(b"x")
    assemble_once(target, recipe=RECIPE, write=write_files)
    assert (target / "weights.bin").stat().st_size == 1000


def change_a_byte(path: Path) -> None:
    """As a bad disk or another program does: size and, by `os.utime`, even the time of writing stay."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(500)
        file.write(b"y")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_changed_byte_makes_it_assemble_again(tmp_path: Path) -> None:
    target = assemble_once(tmp_path / "mini", recipe=RECIPE, write=write_files)
    change_a_byte(target / "weights.bin")
    assert not is_complete(target, fingerprint=fingerprint_of(RECIPE))
    assemble_once(target, recipe=RECIPE, write=write_files)
    assert (target / "weights.bin").read_bytes() == b"x" * 1000


def test_a_good_folder_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = assemble_once(tmp_path / "mini", recipe=RECIPE, write=write_files)
    copied = Path(shutil.copytree(target, tmp_path / "copied"))
    hashed: list[str] = []
    monkeypatch.setattr(assembled_folder, "file_sha256", lambda path: hashed.append(path.name) or file_sha256(path))
    for _ in range(2):
        assert is_complete(target, fingerprint=fingerprint_of(RECIPE))
        assert is_complete(copied, fingerprint=fingerprint_of(RECIPE))
    assert sorted(hashed) == ["config.json", "weights.bin"]  # of the copy, once
    (target / CHECKED).write_text("[broken")
    assert is_complete(target, fingerprint=fingerprint_of(RECIPE)) and len(hashed) == 4


def test_changed_recipe_replaces_the_folder(tmp_path: Path) -> None:
    target = assemble_once(tmp_path / "mini", recipe=RECIPE, write=write_files)
    (target / "stale").touch()
    assemble_once(target, recipe={"version": 2}, write=write_files)
    assert not (target / "stale").exists()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["mini"]


def test_unknown_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").touch()
    with pytest.raises(ValueError, match=f"photos has files but no {MANIFEST}"):
        assemble_once(tmp_path / "photos", recipe=RECIPE, write=write_files)
    assert (tmp_path / "photos" / "one.jpg").exists()


def test_failed_write_keeps_the_old_folder_and_cleans_up(tmp_path: Path) -> None:
    target = assemble_once(tmp_path / "mini", recipe=RECIPE, write=write_files)

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError("no space left")

    with pytest.raises(RuntimeError, match="no space left"):
        assemble_once(target, recipe={"version": 2}, write=fail)
    assert is_complete(target, fingerprint=fingerprint_of(RECIPE))
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["mini"]


def test_killed_assembly_leaves_no_result(tmp_path: Path) -> None:
    process = FORK.Process(target=assemble_forever, args=(tmp_path,))
    process.start()
    while not (tmp_path / "started").exists():
        assert process.is_alive()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not (tmp_path / "mini").exists()
    assert len(list(tmp_path.glob(".mini.partial-*"))) == 1

    target = assemble_once(tmp_path / "mini", recipe=RECIPE, write=write_files)
    assert is_complete(target, fingerprint=fingerprint_of(RECIPE))
    assert list(tmp_path.glob(".mini.partial-*")) == []


def test_only_one_of_several_processes_writes(tmp_path: Path) -> None:
    processes = [FORK.Process(target=assemble_counting, args=(tmp_path, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(list(tmp_path.glob("written-*"))) == 1


def assemble_forever(folder: Path) -> None:
    def write(staging: Path) -> None:
        write_files(staging)
        (folder / "started").touch()
        time.sleep(60)

    assemble_once(folder / "mini", recipe=RECIPE, write=write)


def assemble_counting(folder: Path, number: int) -> None:
    def write(staging: Path) -> None:
        write_files(staging)
        (folder / f"written-{number}").touch()
        time.sleep(0.5)  # the others arrive meanwhile

    target = assemble_once(folder / "mini", recipe=RECIPE, write=write)
    assert is_complete(target, fingerprint=fingerprint_of(RECIPE))
