"""Reading data runs no code: no pickle, no unsafe YAML, no eval, anywhere in the package."""

import ast
from pathlib import Path

import pytest
from test_rooms import FILES, ROOT

# Labels that others publish as pickled dictionaries: read only where the user passes `allow_pickle=True`.
ASKED_FOR = {"data/readers/label_tables.py"}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {"eval", "exec", "yaml.unsafe_load", "yaml.full_load", "pandas.read_pickle", "os.system", "os.popen"}
# `pickle.UnpicklingError` is what torch raises for a file that `weights_only` refuses.
HARMLESS_NAMES = {"pickle.UnpicklingError"}
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def name_of(node: ast.expr) -> str:
    """Such as "torch.load"; "" for what is no dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := name_of(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in call.keywords if each.arg == name), None)


def problems_of(source: str) -> list[str]:
    """Each place where reading data could run code, as "line N: what"."""
    tree = ast.parse(source)
    safe_loaders = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and [name_of(base) for base in node.bases] == ["yaml.SafeLoader"]
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and name_of(node).split(".")[0] in UNSAFE_MODULES:
            found += [] if name_of(node) in HARMLESS_NAMES else [f"line {node.lineno}: {name_of(node)}"]
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNSAFE_MODULES:
            found.append(f"line {node.lineno}: from {node.module}")
        if isinstance(node, ast.Call):
            found += [f"line {node.lineno}: {problem}" for problem in call_problems(node, safe_loaders)]
    return found


def call_problems(call: ast.Call, safe_loaders: set[str]) -> list[str]:
    name = name_of(call.func)
    if name in UNSAFE_CALLS:
        return [name]
    if name == "torch.load" and getattr(keyword(call, "weights_only"), "value", None) is not True:
        return ["torch.load without weights_only=True"]
    pickles = keyword(call, "allow_pickle") or ast.Constant(False)
    if name in ("np.load", "numpy.load") and not (isinstance(pickles, ast.Constant) and pickles.value is False):
        return ["np.load with allow_pickle"]
    if name == "yaml.load":
        loader = keyword(call, "Loader")
        if loader is None or name_of(loader) not in {"yaml.SafeLoader", *safe_loaders}:
            return ["yaml.load without a safe loader"]
    if getattr(keyword(call, "shell"), "value", False) is not False:
        return ["a command through the shell"]
    return []


@pytest.mark.parametrize("file", [*FILES, *EXAMPLES], ids=lambda file: file.relative_to(ROOT).as_posix())
def test_reading_runs_no_code(file: Path):
    found = problems_of(file.read_text(encoding="utf-8"))
    if file.relative_to(ROOT).as_posix() in ASKED_FOR:
        assert len(found) == 1 and found[0].endswith("np.load with allow_pickle")
    else:
        assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.loads(b'')",
        "from pickle import loads",
        "import torch\ntorch.load('x')",
        "torch.load('x', weights_only=False)",
        "np.load('x', allow_pickle=True)",
        "np.load('x', allow_pickle=flag)",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "class Loader(yaml.Loader):\n    pass\nyaml.load(text, Loader=Loader)",
        "eval('1')",
        "subprocess.run('ls', shell=True)",
    ],
)
def test_the_search_finds_each_of_them(source):
    assert problems_of(source)


@pytest.mark.parametrize(
    "source",
    [
        "torch.load('x', weights_only=True)",
        "np.load('x')",
        "class Loader(yaml.SafeLoader):\n    pass\nyaml.load(text, Loader=Loader)",
        "model.eval()",
        "ast.literal_eval('1')",
    ],
)
def test_the_search_lets_safe_reading_pass(source):
    assert problems_of(source) == []
