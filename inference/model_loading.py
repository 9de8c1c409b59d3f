"""Loading a model folder so that a wrong or incomplete checkpoint is refused, never filled up with random weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError

from microemo import MicroEmoConfig, MicroEmoForConditionalGeneration
from microemo.conversion.mini.assemble_mini import assemble_mini
from microemo.conversion.quiet_transformers import quiet_transformers
from microemo.inference.stage_timer import Progress
from microemo.placement import has_fast_bfloat16, lay_out_for_cpu
from microemo.processing.face_landmarks import FaceLandmarker
from microemo.processing.processing_microemo import MicroEmoProcessor
from microemo.processing.speaker_embedding import SpeakerEmbedder
from microemo.processing.speech_recognition import SpeechRecognizer
from microemo.strict_loading import refuse_unmatched

MINI = "microemo-mini"
LONGEST_REASON = 500  # characters of a loader's message
SPEECH_RECOGNITION = "speech_recognition"  # subfolder of a model that brings its recognizer
FACE_LANDMARKS = "face_landmarks"  # and of one that brings landmark nets
SPEAKER_EMBEDDING = "speaker_embedding"  # the same for what tells voices apart
SPEAKER_RULES = ("auto", "none")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class ReadingModels:
    """What reads a video beside the model: speech, facial actions, voices; None where the folder does not bring it."""

    recognizer: SpeechRecognizer | None = None
    landmarker: FaceLandmarker | None = None
    voice_embedder: SpeakerEmbedder | None = None


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to use."""

    model_id: str
    model: MicroEmoForConditionalGeneration
    processor: MicroEmoProcessor
    reading: ReadingModels


def load_model(
    path_or_id: str | Path | None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache_dir: str | Path | None = None,
    speakers: str = "auto",
    progress: Progress | None = None,
) -> LoadedModel:
    """The model of a folder or Hub id; None is the embedded microemo-mini, assembled on first use.

    Args:
        device: None takes CUDA where there is one, else the CPU.
        dtype: None takes float32 on the CPU, else what the weights were saved in; "auto" takes bfloat16 on a CPU that
            is fast at it, and otherwise what None takes.
        cache_dir: where microemo-mini and Hub downloads are kept.
        speakers: "auto" has speakers told by their voices where the folder brings what it takes, "none" does not.

    Raises:
        ValueError: the folder holds no MicroEmo model, or its weights and the model do not match.
    """
    if speakers not in SPEAKER_RULES:
        raise ValueError(f"speakers must be one of {SPEAKER_RULES}, got {speakers!r}")
    device = resolve_device(device)
    folder, model_id = _folder(path_or_id, cache_dir=cache_dir, progress=progress)
    if progress is not None:
        progress("loading the model", 0, 1)
    with quiet_transformers():  # what it would warn of, unmatched weights, is an error here
        model = load_weights(folder, dtype=resolve_dtype(dtype, device=device)).eval()
        model.to(device)
        for tower in (model.model.frame_tower, model.model.face_tower):
            if tower is not None:
                lay_out_for_cpu(tower)
        with _naming(folder):
            processor = MicroEmoProcessor.from_pretrained(folder)
            reading = load_reading_models(folder, device=device, speakers=speakers)
    if progress is not None:
        progress("loading the model", 1, 1)
    return LoadedModel(model_id, model, processor, reading)


def load_reading_models(folder: Path, *, device: str | torch.device, speakers: str = "auto") -> ReadingModels:
    """The models in the subfolders of a model's folder; `speakers` as for `load_model`."""
    speech, landmarks, voices = (folder / name for name in (SPEECH_RECOGNITION, FACE_LANDMARKS, SPEAKER_EMBEDDING))
    tell = speakers == "auto" and voices.is_dir()
    embedder = SpeakerEmbedder.from_pretrained(voices, device=device) if tell else None
    recognizer = SpeechRecognizer.from_pretrained(speech, device=device) if speech.is_dir() else None
    if recognizer is not None:
        recognizer.voice_embedder = embedder
    return ReadingModels(recognizer, FaceLandmarker(landmarks) if landmarks.is_dir() else None, embedder)


def load_weights(folder: Path, *, dtype: torch.dtype | str) -> MicroEmoForConditionalGeneration:
    """The model of `folder` with every weight read from it.

    Raises `ValueError` that names weights which the model needs and the folder lacks, or which the model has no place
    for.
    """
    _check_model_type(folder)
    # transformers types this call as a model alone.
    with _naming(folder):
        loaded: Any = MicroEmoForConditionalGeneration.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    model, found = loaded
    problems = {
        "lacks weights that the model needs": found["missing_keys"],
        "has weights that the model has no place for": found["unexpected_keys"],
        "has weights of another shape": [str(key) for key in found["mismatched_keys"]],
    }
    refuse_unmatched(problems, source=str(folder))
    return model


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Whatever a damaged folder makes the loaders raise becomes a `ValueError` that names it.

    What is no fault of the folder stays as it is: a missing package, memory that is not there.
    """
    try:
        yield
    except (ImportError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if isinstance(error, ValueError) and str(folder) in str(error):
            raise
        reason = (str(error).strip().splitlines() or [""])[0][:LONGEST_REASON]
        raise ValueError(f"{folder} cannot be loaded: {type(error).__name__}: {reason}") from error


def resolve_device(device: str | torch.device | None) -> torch.device:
    """The device to use; raises `ValueError` for one that torch does not know or does not have."""
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {str(device)!r} cannot be used: {str(error).splitlines()[0]}") from error


def resolve_dtype(dtype: str | torch.dtype | None, *, device: torch.device) -> torch.dtype | str:
    """The type of the weights in memory; in the answer "auto" stands for the type they were saved in."""
    if dtype is None:
        return torch.float32 if device.type == "cpu" else "auto"
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype == "auto":
        fast = torch.bfloat16 if has_fast_bfloat16() else torch.float32
        return fast if device.type == "cpu" else "auto"
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of auto, {', '.join(DTYPES)}, got {dtype!r}")
    return DTYPES[dtype]


def weights_fingerprint(model: torch.nn.Module) -> str:
    """A hash that other weights hardly share: of each tensor's sum, which takes less time than all its bytes.

    Rounded, since the order of summing, and with it the last digits, depends on the number of threads.
    """
    sums = {name: f"{float(tensor.double().sum()):.6g}" for name, tensor in model.state_dict().items()}
    return hashlib.sha256(repr(sorted(sums.items())).encode()).hexdigest()


def _folder(
    path_or_id: str | Path | None, *, cache_dir: str | Path | None, progress: Progress | None
) -> tuple[Path, str]:
    """The model's folder on this machine and its name in reports."""
    if path_or_id is None:
        return assemble_mini(cache_dir=cache_dir, progress=progress), MINI
    path = Path(path_or_id).expanduser()
    if path.is_dir():
        return path, str(path_or_id)
    # A Hub id is "name" or "owner/name"; whatever else looks like a path is one that does not exist.
    if isinstance(path_or_id, Path) or str(path_or_id).startswith((".", "/", "~")) or len(path.parts) > 2:
        raise ValueError(f"path_or_id must be a model folder or a Hub id, but there is no folder {path}")
    try:
        return Path(snapshot_download(str(path_or_id), cache_dir=cache_dir)), str(path_or_id)
    except (OSError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"no folder and no reachable Hub model {str(path_or_id)!r}: {reason}") from error


def _check_model_type(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} is no model folder: it has no config.json")
    with _naming(folder):
        settings, _ = MicroEmoConfig.get_config_dict(folder)
        settings = dict(settings)
    if settings.get("model_type") != MicroEmoConfig.model_type:
        raise ValueError(f"{folder} holds a model of type {settings.get('model_type')!r}, not 'microemo'")
