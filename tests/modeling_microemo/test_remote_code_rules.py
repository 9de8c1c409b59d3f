"""Both folders obey the rules of remote code on the Hub, checked with transformers' import scanner."""

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from transformers.dynamic_module_utils import get_imports, get_relative_import_files, get_relative_imports

ROOT = Path(__file__).parents[2]
FOLDERS = ("modeling_microemo", "processing")
# Facades are not copied to the Hub: a copied module never imports its package's __init__.
MODULES = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.py")) if path.name != "__init__.py"]
ENTRIES = {
    "modeling_microemo": ("configuration_microemo", "modeling_microemo"),
    "processing": ("processing_microemo", "video_processing_microemo"),
}
# Packages that every user of a model on the Hub has.
REQUIRED = {"torch", "transformers", "huggingface_hub", "numpy"}


def module_id(path):
    return f"{path.parent.name}/{path.name}"


def test_there_are_modules_to_ask_about():
    assert {path.parent.name for path in MODULES} == set(FOLDERS)
    for folder, names in ENTRIES.items():
        assert all((ROOT / folder / f"{name}.py") in MODULES for name in names)


def test_file_names_are_unique_across_both_folders():
    counts = Counter(path.name for path in MODULES)
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_are_flat(folder):
    assert [path for path in (ROOT / folder).iterdir() if path.is_dir() and path.name != "__pycache__"] == []


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_relative_imports_name_a_module_of_the_same_folder(path):
    siblings = {other.stem for other in MODULES if other.parent == path.parent}
    assert set(get_relative_imports(path)) <= siblings
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1 and node.module in siblings, f"line {node.lineno}"


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_no_docstring_reads_like_a_relative_import(path):
    # The scanner also matches lines in docstrings.
    lines = [
        line for line in path.read_text(encoding="utf-8").splitlines() if re.match(r"\s*from\s+\.\S*\s+import", line)
    ]
    code = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert len(lines) == len(code)


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_required_packages_are_few_and_the_rest_is_guarded(path):
    imports = set(get_imports(path))
    assert "microemo" not in imports
    assert imports - sys.stdlib_module_names <= REQUIRED, "guard it by try / except ImportError at the top of the file"


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_installed_package_name_is_not_imported(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    assert [name for name in names if name.split(".")[0] in ("microemo", *FOLDERS)] == []


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_packages_are_imported_at_the_top_of_a_file(path):
    # A missing package inside a function fails on loading, although the function is never called.
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = [
        node
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert inside == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_entries_files_are_found_by_the_scanner(folder):
    for name in ENTRIES[folder]:
        files = {Path(file) for file in get_relative_import_files(str(ROOT / folder / f"{name}.py"))}
        assert all(file.is_file() and file.parent == ROOT / folder for file in files)
