"""The README's code runs and prints what stands beside it; the commands of README and docs exist."""

import contextlib
import importlib.util
import io
import re
from pathlib import Path

import pytest

from microemo.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TUTORIAL = ROOT / "docs" / "tutorials" / "developer.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = ("runs/", "speech_recognition/")  # by commands, and into an exported folder


def blocks(language: str, *, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def printed(code: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})
    return out.getvalue()


def test_the_readme_is_short():
    assert README.count("\n") <= 220


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_exist(page):
    text = page.read_text(encoding="utf-8")
    shown = "\n".join([*blocks("bash", text=text), *re.findall(r"`(microemo [^`]*)`", text)])
    assert set(re.findall(r"\bmicroemo ([a-z]+)\b(?!-)", shown)) <= {command.name for command in COMMANDS}
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"[`\n]make ([a-z-]+)", text):
        assert f"\n{target}:" in targets
    for module in re.findall(r"python -m (microemo\.[a-z_.]+)", text):
        assert importlib.util.find_spec(module), module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_files_and_folders_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.[a-z0-9]+)?)`", text):
        assert name.startswith(WRITTEN) or (ROOT / name).exists(), name
    for name in re.findall(r"\]\(([A-Za-z_./-]+)(?:#[a-z-]+)?\)", text):
        assert (page.parent / name).exists(), name


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


@pytest.mark.slow
@pytest.mark.usefixtures("assembled_mini")
def test_the_developers_tutorial_runs(tmp_path, monkeypatch):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    text = TUTORIAL.read_text(encoding="utf-8")
    assert blocks("text", text=text)[0] in printed("\n".join(blocks("python", text=text)))
