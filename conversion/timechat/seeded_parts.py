"""Initial values, from one seed, of the parts that the original checkpoints do not have."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterable, Sequence

import torch

from microemo.conversion.timechat.key_rules import KeyRule, original_keys, refuse
from microemo.conversion.timechat.tensor_parts import LORA_DOWN, LORA_UP
from microemo.modeling_microemo import MicroEmoForConditionalGeneration

# Parts that MicroEmo adds to TimeChat. The gate of the global-local attention is initialised to zero, so that the
# converted model still computes the same as TimeChat.
SEEDED_KEYS = (
    "model.micro_dynamics.",
    "model.global_local_attention.",
    "model.face_head.",
    "model.video_qformer.null_key",
    "model.audio_qformer.",
    "model.audio_projector.",
    "model.emotion_head.",
)


def check_seedable(missing: Iterable[str], *, rules: Sequence[KeyRule]) -> None:
    """Raises `ValueError` with the original names of weights that are missing and cannot be seeded.

    Args:
        missing: Target keys without an original key.
        rules: The key rules.
    """
    required = [key for key in missing if not key.startswith(SEEDED_KEYS)]
    refuse([_original_name(key, rules=rules) for key in required], "needed by the model and in none of the files")


def _original_name(key: str, *, rules: Sequence[KeyRule]) -> str:
    parts = original_keys(key, rules=rules)
    originals = [original for part, original in parts.items() if part not in (LORA_DOWN, LORA_UP)]
    return f"{' + '.join(originals)} (-> {key})" if originals else f"what makes {key}"


class SeededParts:
    """Initialises a part when one of its tensors is requested, and caches it until another part is requested.

    Each part has its own seed, so that its values depend neither on other parts nor on the order of requests.
    """

    def __init__(self, model: MicroEmoForConditionalGeneration, *, seed: int):
        self.model = model  # on the meta device
        self.seed = seed
        self._part: str | None = None
        self._values: dict[str, torch.Tensor] = {}

    def tensor(self, key: str) -> torch.Tensor:
        """Returns the float32 tensor of a target key."""
        part, _, name = key.removeprefix("model.").partition(".")
        if part != self._part:
            self._part, self._values = part, self._draw(part)
        return self._values[name]

    @torch.no_grad()
    def _draw(self, part: str) -> dict[str, torch.Tensor]:
        module = copy.deepcopy(self.model.model.get_submodule(part)).to_empty(device="cpu").float()
        for parameter in module.parameters():
            parameter.fill_(float("nan"))  # to detect parameters without initialisation
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed + zlib.crc32(part.encode()))
            module.apply(self.model._init_weights)
        uninitialised = [name for name, parameter in module.named_parameters() if parameter.isnan().any()]
        if uninitialised:
            raise RuntimeError(f"{part} has parameters that its initialisation leaves out: {uninitialised}")
        return dict(module.named_parameters())
