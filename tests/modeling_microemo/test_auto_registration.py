"""Auto classes support MicroEmo for every order of imports; each case runs in a separate process."""

import json
import pickle
import subprocess
import sys
from types import ModuleType

import pytest
from tiny_model import tiny_model
from tiny_processor import tiny_processor

from microemo import MicroEmoConfig, MicroEmoForConditionalGeneration
from microemo.auto_registration import AutoRegistration, Registration

LOAD_EVERYTHING = """
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM, AutoProcessor
from transformers import AutoVideoProcessor
classes = (AutoConfig, AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM, AutoProcessor)
loaded = [auto.from_pretrained(FOLDER) for auto in (*classes, AutoVideoProcessor)]
RESULT = [f"{type(each).__module__}.{type(each).__name__}" for each in loaded]
"""
EVERYTHING = [
    "microemo.configuration_microemo.MicroEmoConfig",
    "microemo.modeling_microemo.MicroEmoModel",
    "microemo.modeling_microemo.MicroEmoForConditionalGeneration",
    "microemo.modeling_microemo.MicroEmoForConditionalGeneration",
    "microemo.processing.processing_microemo.MicroEmoProcessor",
    "microemo.processing.video_processing_microemo.MicroEmoVideoProcessor",
]
IMPORT_ORDERS = {
    "microemo first": "import microemo",
    "microemo last": "from transformers import AutoModel, AutoProcessor; import microemo",
    "a part of microemo": "from microemo.processing.clip_reading import ClipReader",
    "a module inside transformers": "import microemo; from transformers.generation.utils import GenerationMixin",
    "two threads": """
import microemo, threading
from importlib import import_module
names = ("transformers.models.auto.modeling_auto", "microemo.processing.processing_microemo")
threads = [threading.Thread(target=import_module, args=(name,)) for name in names]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
""",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_model(MicroEmoForConditionalGeneration).save_pretrained(folder)
    tiny_processor().save_pretrained(folder)
    return folder


def run_alone(code, *, folder=None):
    """Returns the value of RESULT after running `code` in a new process."""
    script = f"import json, sys\nFOLDER = {str(folder)!r}\n{code}\nprint('\\n' + json.dumps(RESULT))"
    finished = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.splitlines()[-1])


@pytest.mark.parametrize("order", IMPORT_ORDERS)
def test_the_auto_classes_load_it(folder, order):
    assert run_alone(IMPORT_ORDERS[order] + LOAD_EVERYTHING, folder=folder) == EVERYTHING


def test_the_import_alone_loads_neither_torch_nor_transformers():
    code = "import microemo\nRESULT = sorted({'torch', 'transformers', 'cv2', 'scipy', 'numpy'} & set(sys.modules))"
    assert run_alone(code) == []


def test_the_import_takes_less_than_the_promised_time_beyond_torch():
    code = "import time, torch\nstart = time.perf_counter()\nimport microemo\nRESULT = time.perf_counter() - start"
    assert run_alone(code) < 0.3


def test_the_commands_help_loads_neither_torch_nor_transformers():
    code = """
from microemo.cli.main import main
try: main(["--help"])
except SystemExit: RESULT = sorted({"torch", "transformers", "cv2", "numpy"} & set(sys.modules))
"""
    assert run_alone(code) == []


def test_unpickling_imports_the_module(tmp_path):
    path = tmp_path / "config.pickle"
    path.write_bytes(pickle.dumps(MicroEmoConfig(use_local_branch=False)))
    code = f"""
import pickle
config = pickle.load(open({str(path)!r}, "rb"))
RESULT = [type(config).__name__, config.use_local_branch]
"""
    assert run_alone(code) == ["MicroEmoConfig", False]


def test_modules_keep_their_own_loader():
    code = """
import inspect
from importlib.resources import files
import microemo
from microemo.configuration_microemo import MicroEmoConfig
module = sys.modules["microemo.configuration_microemo"]
loaders = {type(module.__loader__).__name__, type(module.__spec__.loader).__name__}
RESULT = [sorted(loaders), "class MicroEmoConfig" in inspect.getsource(module), files("microemo").is_dir()]
"""
    assert run_alone(code) == [["SourceFileLoader"], True, True]


@pytest.fixture
def trigger(monkeypatch):
    """A module in `sys.modules`."""
    module = ModuleType("imported_for_a_test")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_registration_waits_for_the_outermost_import(trigger):
    registered = []
    watcher = AutoRegistration([Registration(trigger.__name__, registered.append)])
    during = []

    def outer():
        watcher.importing(lambda: None)
        during.extend(registered)

    watcher.importing(outer)
    assert during == [] and registered == [trigger]
    watcher.importing(lambda: None)
    assert registered == [trigger]


def test_failed_import_defers_registration(trigger):
    registered = []
    watcher = AutoRegistration([Registration(trigger.__name__, registered.append)])
    with pytest.raises(ZeroDivisionError):
        watcher.importing(lambda: 1 / 0)
    assert registered == []
    watcher.importing(lambda: None)
    assert registered == [trigger]


def test_a_registration_may_import_the_trigger_of_another(monkeypatch, trigger):
    second = ModuleType("imported_by_a_registration")
    monkeypatch.delitem(sys.modules, second.__name__, raising=False)
    order = []

    def register_first(_):
        order.append("first")
        watcher.importing(lambda: monkeypatch.setitem(sys.modules, second.__name__, second))

    watcher = AutoRegistration(
        [
            Registration(second.__name__, lambda _: order.append("second")),
            Registration(trigger.__name__, register_first),
        ]
    )
    watcher.importing(lambda: None)
    assert order == ["first", "second"]
