"""What Hugging Face reads of the Space: front matter, pinned requirements, Debian packages, the program."""

import ast
import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from microemo.processing.media_index import index_media
from microemo.spaces_demo.examples import EXAMPLES
from microemo.spaces_demo.limits import MEGABYTE

ROOT = Path(__file__).parents[2]
SPACE = ROOT / "spaces_demo"
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)


def requirements() -> list[Requirement]:
    lines = (SPACE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def declared() -> set[str]:
    """What the package and its demo need, by `setup.py`."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    lists = {"INSTALL", "DEMO", "DECORD"}
    assigned = [node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id in lists]
    texts = [node.value for value in assigned for node in ast.walk(value) if isinstance(node, ast.Constant)]
    return {canonicalize_name(Requirement(text).name) for text in texts}


def test_requirements_are_the_packages_own_at_the_tested_versions():
    pins = {canonicalize_name(name): version for name, version in PINS.items()}
    assert {canonicalize_name(one.name) for one in requirements()} == declared()
    for one in requirements():
        assert str(one.specifier) == f"=={pins[canonicalize_name(one.name)]}", one.name


def test_the_front_matter_names_program_and_versions():
    front = yaml.safe_load((SPACE / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert (front["sdk"], front["sdk_version"]) == ("gradio", PINS["gradio"])
    assert (SPACE / front["app_file"]).is_file() and len(front["short_description"]) <= 60
    assert front["license"] == "apache-2.0" and front["python_version"] == "3.11"


def test_debian_packages_stand_one_a_line():
    names = (SPACE / "packages.txt").read_text(encoding="utf-8").splitlines()
    assert "ffmpeg" in names and all(re.fullmatch(r"[a-z0-9.+-]+", name) for name in names)


def test_the_program_runs_only_as_a_program():
    """A worker's process imports the program once more, and must not start a second server."""
    tree = ast.parse((SPACE / "app.py").read_text(encoding="utf-8"))
    calls = [node for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    assert not calls and isinstance(tree.body[-1], ast.If) and "__name__" in ast.unparse(tree.body[-1].test)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_examples_say_what_they_are(example):
    assert ("synthetic" in example.title) == (example.package is None)
    assert example.picture.stat().st_size < 20_000


@pytest.mark.parametrize("example", [one for one in EXAMPLES if one.package is None], ids=lambda example: example.name)
def test_own_examples_are_short_and_small(example):
    assert example.video.stat().st_size < MEGABYTE
    index = index_media(example.video)
    assert index.has_audio and index.video is not None and index.end_seconds < 10
