"""Preset configurations, stored as JSON next to this file, and their parameter counts."""

import json
from pathlib import Path

import torch

from .configuration_microemo import MicroEmoConfig
from .modeling_microemo import MicroEmoForConditionalGeneration

# Descriptions for tables and help texts.
PRESETS = {
    "mini": "microemo-mini, runs on a laptop",
    "7b": "size of the paper: utterances, micro-dynamics, audio",
    "acoustemo": "AcoustEmo: audio of each utterance, no micro-dynamics",
    "timechat": "TimeChat: sliding windows, no faces, no audio",
    "video_llama": "Video-LLaMA: the whole clip, frames without times, no audio",
}


def preset_config(name: str) -> MicroEmoConfig:
    """Returns the configuration of a preset; raises `ValueError` if the name is not in `PRESETS`."""
    if name not in PRESETS:
        raise ValueError(f"preset is {name!r}, allowed are {', '.join(PRESETS)}")
    file = Path(__file__).with_name(f"preset_{name}.json")
    return MicroEmoConfig(**json.loads(file.read_text(encoding="utf-8")))


def meta_model(config: MicroEmoConfig) -> MicroEmoForConditionalGeneration:
    """Returns the model on the meta device, without memory for its weights."""
    with torch.device("meta"):
        return MicroEmoForConditionalGeneration(config)


def parameter_counts(config: MicroEmoConfig) -> dict[str, int]:
    """Returns the number of parameters of each part, in the model's order. A shared tensor is counted once."""
    counts: dict[str, int] = {}
    for name, parameter in meta_model(config).named_parameters():
        part = name.removeprefix("model.").partition(".")[0]
        counts[part] = counts.get(part, 0) + parameter.numel()
    return counts


def parameter_table() -> str:
    """Returns a Markdown table of the presets: millions of parameters of each part, and sizes in GB."""
    counts = {name: parameter_counts(preset_config(name)) for name in PRESETS}
    parts = list(dict.fromkeys(part for preset in counts.values() for part in preset))
    rows = [["part (million parameters)", *PRESETS], ["---", *["---:"] * len(PRESETS)]]
    rows += [[f"`{part}`", *(_millions(preset.get(part)) for preset in counts.values())] for part in parts]
    totals = [sum(preset.values()) for preset in counts.values()]
    rows.append(["all", *(_millions(total) for total in totals)])
    rows.append(["GB in float32", *(f"{total * 4 / 1e9:.1f}" for total in totals)])
    rows.append(["GB in bfloat16", *(f"{total * 2 / 1e9:.1f}" for total in totals)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _millions(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:,.1f}"
