"""Models that answer an example's own question in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedConfig

from microemo import MicroEmoConfig
from microemo.data.example import Example
from microemo.evaluation.model_runs import RunSettings, clip_loader, model_fingerprint
from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.model_loading import resolve_device, resolve_dtype
from microemo.inference.stage_timer import Progress
from microemo.processing.frame_sampling import spread_indices
from microemo.processing.video_reading import fit_size, open_video

ANSWER_TOKENS = 128
PICTURES_OF_A_VIDEO = 8
LONGEST_SIDE = 768  # px, of pictures for other models, which scale them as they need


class Answerer(Protocol):
    """Whatever answers the question of an example about its video, picture or sound. identity: for the table."""

    identity: str

    def __call__(self, example: Example) -> str:
        """The answer as the model wrote it."""


def load_answerer(
    place: str | None,
    *,
    settings: RunSettings,
    device: str | None = None,
    dtype: str | None = None,
    progress: Progress | None = None,
) -> Answerer:
    """The answerer of a folder or Hub id: a model of this package, or any vision-language model of transformers.

    Args:
        place: None is microemo-mini.
        settings: how models of this package read their clips.
    """
    if place is None or is_microemo(place):
        analyzer = EmotionAnalyzer.from_pretrained(place, device=device, dtype=dtype, progress=progress)
        return MicroEmoAnswerer(analyzer, settings=settings)
    return VisionLanguageAnswerer.from_pretrained(place, device=device, dtype=dtype)


def is_microemo(place: str) -> bool:
    """Whether a folder or Hub id holds a model of this package; raises `ValueError` where it holds none at all."""
    try:
        return PreTrainedConfig.get_config_dict(place)[0].get("model_type") == MicroEmoConfig.model_type
    except OSError as error:
        raise ValueError(f"--model ({place}) must be a model folder or a reachable Hub id: {error}") from error


class MicroEmoAnswerer:
    """A model of this package: perceives the clip, then is asked with the evidence in its prompt."""

    identity: str

    def __init__(self, analyzer: EmotionAnalyzer, *, settings: RunSettings) -> None:
        self.analyzer = analyzer
        self.identity = f"weights and config {model_fingerprint(analyzer)[:12]}"
        self.loader = clip_loader(analyzer, settings=settings)

    @torch.no_grad()
    def __call__(self, example: Example) -> str:
        """Greedy decoding, so that the same example gives the same answer."""
        model, processor = self.analyzer.model, self.analyzer.processor
        clip = self.loader.load(example).clip
        inputs = processor.from_clip(clip).to(model.device, model.dtype)
        evidence = processor.evidence(model.perceive(**inputs), clip) if model.config.use_evidence_prompt else None
        question = example.turn.question if example.turn is not None else None
        asked = processor.from_clip(
            clip, question=question, evidence=evidence, soft_tokens=model.config.use_soft_tokens
        ).to(model.device, model.dtype)
        written = model.generate(**asked, max_new_tokens=ANSWER_TOKENS, do_sample=False)
        answer = written[0, asked["input_ids"].shape[1] :]
        return processor.tokenizer.decode(answer, skip_special_tokens=True).strip()


class VisionLanguageAnswerer:
    """Any `AutoModelForImageTextToText`: sees a picture, or evenly spread pictures of a video, and reads the words."""

    def __init__(self, model: Any, processor: Any, *, name: str, pictures: int = PICTURES_OF_A_VIDEO) -> None:
        self.model, self.processor, self.pictures = model.eval(), processor, pictures
        dtype = str(model.dtype).removeprefix("torch.")
        self.identity = f"{name}, {model.config.model_type}, {dtype}, {pictures} pictures of a video"

    @classmethod
    def from_pretrained(
        cls, place: str, *, device: str | None = None, dtype: str | None = None
    ) -> VisionLanguageAnswerer:
        """The model of a folder or Hub id; device and dtype as `EmotionAnalyzer.from_pretrained` takes them."""
        where = resolve_device(device)
        try:
            model: Any = AutoModelForImageTextToText.from_pretrained(place, dtype=resolve_dtype(dtype, device=where))
        except ValueError as error:
            raise ValueError(f"--model ({place}) must be a vision-language model: {error}") from error
        return cls(model.to(where), AutoProcessor.from_pretrained(place), name=Path(place).name)

    @torch.no_grad()
    def __call__(self, example: Example) -> str:
        """Greedy decoding, so that the same example gives the same answer."""
        if example.turn is None:
            raise ValueError(f"example {example.example_id!r} asks nothing")
        said = " ".join(utterance.text for utterance in example.utterances if utterance.text)
        text = f'The person says: "{said}"\n{example.turn.question}' if said else example.turn.question
        content = [{"type": "image", "image": picture} for picture in self._pictures(example)]
        message = {"role": "user", "content": [*content, {"type": "text", "text": text}]}
        inputs = self.processor.apply_chat_template(
            [message], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        ).to(self.model.device, self.model.dtype)
        written = self.model.generate(**inputs, max_new_tokens=ANSWER_TOKENS, do_sample=False)
        answer = written[:, inputs["input_ids"].shape[1] :]
        return self.processor.batch_decode(answer, skip_special_tokens=True)[0].strip()

    def _pictures(self, example: Example) -> list[Image.Image]:
        if example.video is None:
            return []
        try:
            with open_video(Path(example.video)) as video:
                chosen = spread_indices(np.asarray(video.times), count=min(self.pictures, len(video)))
                size = fit_size(height=video.height, width=video.width, longest=LONGEST_SIDE)
                return [Image.fromarray(picture) for _, batch in video.read(chosen, size=size) for picture in batch]
        except (ValueError, OSError) as error:
            raise ValueError(f"example {example.example_id!r} cannot be read: {error}") from error
