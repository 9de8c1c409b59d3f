"""The common test mixins of transformers, unpacked from its source distribution.

The wheel ships no tests and the sdist only `tests/test_*.py`; the four modules that those import beside them are
written here as stubs, so that nothing of transformers has to be committed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest
import transformers

PACKAGE = "transformers_common_tests"  # import name of the unpacked `tests` folder

# Instead of the Hub the tests read local files of the same name, from the folder that this variable names.
MEDIA_VARIABLE = "MICROEMO_TEST_MEDIA"
FETCH_STUB = f"""import os


def url_to_local_path(url):
    folder = os.environ.get("{MEDIA_VARIABLE}")
    return os.path.join(folder, url.rsplit("/", 1)[-1]) if folder else url
"""

# Path -> text of a module that the sdist lacks but its tests import.
STUBS = {
    f"{PACKAGE}/__init__.py": "",
    f"{PACKAGE}/exporters/__init__.py": "",
    f"{PACKAGE}/exporters/test_export.py": "class ExportTesterMixin:\n    pass\n",
    f"{PACKAGE}/generation/__init__.py": "",
    f"{PACKAGE}/generation/test_utils.py": "class GenerationTesterMixin:\n    pass\n",
    f"{PACKAGE}/utils/__init__.py": "",
    f"{PACKAGE}/utils/test_configuration_utils.py": "config_common_kwargs = {}\n",
    "utils/fetch_hub_objects_for_ci.py": FETCH_STUB,  # imported by its bare name from the folder beside the package
}


def transformers_common_tests() -> Path:
    """Returns the folder that holds the package `transformers_common_tests`, and makes it importable.

    The sdist of the installed version is downloaded once by pip into `MICROEMO_TEST_CACHE` (or the user's cache
    folder); where it cannot be had the calling test is skipped with pip's own words.
    """
    cache = Path(os.environ.get("MICROEMO_TEST_CACHE", Path.home() / ".cache" / "microemo-tests"))
    root = cache / f"transformers-{transformers.__version__}"
    if not root.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            unpacked = Path(folder) / "unpacked"
            _unpack_tests(_download_sdist(Path(folder)), into=unpacked)
            if not root.is_dir():  # another process may have been faster
                os.rename(unpacked, root)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return root


def _download_sdist(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    command += ["--dest", str(folder), f"transformers=={transformers.__version__}"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        pytest.skip(f"the transformers sdist cannot be downloaded: {finished.stderr.strip()[-300:]}")
    return next(folder.glob("transformers-*.tar.gz"))


def _unpack_tests(archive: Path, *, into: Path) -> None:
    with tarfile.open(archive) as sdist:
        for member in sdist.getmembers():
            parts = Path(member.name).parts
            source = sdist.extractfile(member) if member.isfile() else None
            if source is not None and len(parts) == 3 and parts[1] == "tests":
                (into / PACKAGE).mkdir(parents=True, exist_ok=True)
                (into / PACKAGE / parts[2]).write_bytes(source.read())
    for name, text in STUBS.items():
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        (into / name).write_text(text, encoding="utf-8")
