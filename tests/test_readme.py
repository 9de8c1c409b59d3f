"""The README's code runs and prints what stands beside it."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from microemo.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def printed(code: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})
    return out.getvalue()


def test_the_result_stands_before_line_30():
    shown = blocks("text")[0]
    assert README[: README.index(shown)].count("\n") < 30


def test_the_commands_exist():
    named = set(re.findall(r"\bmicroemo ([a-z]+)", "".join(blocks("bash"))))
    assert named and named <= {command.name for command in COMMANDS}
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z-]+)", README):
        assert f"\n{target}:" in targets


def test_the_files_and_folders_exist():
    for name in re.findall(r"`([a-z_]+/(?:[a-z_]+\.[a-z0-9]+)?)`", README):
        assert (ROOT / name).exists(), name


@pytest.mark.slow
@pytest.mark.usefixtures("assembled_mini")
def test_the_code_prints_what_stands_beside_it(tmp_path, monkeypatch):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    first, second = blocks("python")
    assert printed(first) == blocks("text")[0]
    assert (tmp_path / "astronaut.html").stat().st_size > 100_000
    shown = re.search(r"# (\(.*?\) \(.*?\)):", second)
    assert printed(second).replace("torch.Size([", "(").replace("])", ")").strip() == shown[1]
