"""Values for the parts that no original checkpoint holds: those of MicroEmo's own initialisation, from one seed."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterable, Sequence

import torch

from microemo.conversion.timechat.key_rules import KeyRule, original_keys, refuse
from microemo.conversion.timechat.tensor_parts import LORA_DOWN, LORA_UP
from microemo.modeling_microemo import MicroEmoForConditionalGeneration

# What MicroEmo adds to TimeChat. The gate of the global-local attention begins at zero, which makes it TimeChat still.
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
    """Raises `ValueError` that names the original keys, and ours, of what must come from a checkpoint and is missing.

    Args:
        missing: Keys of ours that nothing leads to.
        rules: The table that leads to them.
    """
    wanted = [key for key in missing if not key.startswith(SEEDED_KEYS)]
    refuse([_original_name(key, rules=rules) for key in wanted], "needed by the model and in none of the files")


def _original_name(key: str, *, rules: Sequence[KeyRule]) -> str:
    parts = original_keys(key, rules=rules)
    originals = [original for part, original in parts.items() if part not in (LORA_DOWN, LORA_UP)]
    return f"{' + '.join(originals)} (-> {key})" if originals else f"what makes {key}"


class SeededParts:
    """Draws the values of a part when one of its tensors is asked for, and keeps them until another part's turn.

    Each part has a generator of its own, so that its values depend neither on the others nor on the order.
    """

    def __init__(self, model: MicroEmoForConditionalGeneration, *, seed: int):
        self.model = model  # on the meta device
        self.seed = seed
        self._part: str | None = None
        self._values: dict[str, torch.Tensor] = {}

    def tensor(self, key: str) -> torch.Tensor:
        """Returns the tensor of one of our keys, float32."""
        part, _, name = key.removeprefix("model.").partition(".")
        if part != self._part:
            self._part, self._values = part, self._draw(part)
        return self._values[name]

    @torch.no_grad()
    def _draw(self, part: str) -> dict[str, torch.Tensor]:
        module = copy.deepcopy(self.model.model.get_submodule(part)).to_empty(device="cpu").float()
        for parameter in module.parameters():
            parameter.fill_(float("nan"))  # a parameter which no rule initialises must not go unnoticed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed + zlib.crc32(part.encode()))
            module.apply(self.model._init_weights)
        forgotten = [name for name, parameter in module.named_parameters() if parameter.isnan().any()]
        if forgotten:
            raise RuntimeError(f"{part} has parameters that its initialisation leaves out: {forgotten}")
        return dict(module.named_parameters())
