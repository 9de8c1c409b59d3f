"""Remote code of an exported model, so that it loads without this package.

    AutoModelForMultimodalLM.from_pretrained("user/model", trust_remote_code=True)

The auto maps are written directly into the folder. `register_for_auto_class` of transformers would change the classes
for the rest of the process and supports only one Auto class for each class.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from transformers.dynamic_module_utils import get_relative_import_files

from microemo import configuration_microemo, modeling_microemo
from microemo.processing import processing_microemo, video_processing_microemo

# Auto class -> "module.Class", as in config.json.
MODEL_AUTO_MAP = {
    "AutoConfig": "configuration_microemo.MicroEmoConfig",
    "AutoModel": "modeling_microemo.MicroEmoModel",
    "AutoModelForImageTextToText": "modeling_microemo.MicroEmoForConditionalGeneration",
    "AutoModelForMultimodalLM": "modeling_microemo.MicroEmoForConditionalGeneration",
}
# The same for processor_config.json and its video processor.
PROCESSOR_AUTO_MAP = {"AutoProcessor": "processing_microemo.MicroEmoProcessor"}
VIDEO_PROCESSOR_AUTO_MAP = {"AutoVideoProcessor": "video_processing_microemo.MicroEmoVideoProcessor"}

ENTRY_MODULES = (configuration_microemo, modeling_microemo, processing_microemo, video_processing_microemo)


def code_files() -> tuple[Path, ...]:
    """Returns the entry modules and all modules that they import relatively, sorted by name."""
    files: set[Path] = set()
    for module in ENTRY_MODULES:
        entry = str(module.__file__)
        files |= {Path(entry), *map(Path, get_relative_import_files(entry))}
    return tuple(sorted(files, key=lambda file: file.name))


def copy_code(folder: Path) -> tuple[str, ...]:
    """Copies the modules into `folder` without subfolders, as transformers requires; returns their names."""
    files = code_files()
    for file in files:
        shutil.copyfile(file, folder / file.name)
    return tuple(file.name for file in files)
