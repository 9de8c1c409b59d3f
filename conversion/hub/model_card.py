"""The model card of an exported model: metadata for the Hub and a README.

MODEL_CARD.md at the repository's root is the card of microemo-mini, from the same template. After a change of the
template or of the training record `make card` writes it again.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from microemo.configuration_microemo import TRAINABLE_PARTS, MicroEmoConfig
from microemo.conversion.hub.model_figures import Figure, TrainingRecord, read_training_record
from microemo.conversion.mini.trained_parts import RECORD, mini_checkpoint_folder

TEMPLATE = Path(__file__).with_name("model_card_template.md")
PIPELINE_TAG = "video-text-to-text"
LIBRARY = "transformers"
TAGS = ("microemo", "emotion-recognition", "micro-expression", "facial-expression", "video", "audio", "multimodal")
MINI_LICENCE = "cc-by-nc-sa-4.0"  # the strictest licence of the training data, that of RAVDESS
# Base models and training data of microemo-mini, as Hub ids.
MINI_BASE_MODELS = ("HuggingFaceTB/SmolLM2-135M-Instruct", "openai/whisper-base")
MINI_DATASETS = ("google-research-datasets/go_emotions", "declare-lab/MELD")
MINI_METRICS = ("recall", "f1")
MINI_PARAMETERS, MINI_BYTES = 174_140_078, 696_730_888  # of the assembled folder, in float32
# Part in `config.trained_parts` -> name in the card.
PART_NAMES = {
    "face_tower": "facial expressions",
    "micro_dynamics": "micro-expressions, action units",
    "voice_head": "emotions of the voice",
    "emotion_head": "emotions with probabilities, valence, arousal",
    "explanations": "explanations in words",
}


@dataclass(frozen=True)
class CardFacts:
    """Facts for the card that are not in the config. sources: package, version and licence of pretrained parts.

    is_mini: whether the weights are those of microemo-mini, whose figures and data are in the template.
    """

    name: str
    repo_id: str
    licence: str | None
    record: TrainingRecord
    sources: tuple[Mapping[str, str], ...]
    parameters: int
    dtype: str
    weight_bytes: int
    num_files: int
    has_speech_recognition: bool
    is_mini: bool = False


def model_card(config: MicroEmoConfig, *, facts: CardFacts) -> ModelCard:
    """Returns the card of a model with this config."""
    trained = config.trained_parts
    parts = [(PART_NAMES[part], "trained" if part in trained else "**untrained**") for part in TRAINABLE_PARTS]
    return ModelCard.from_template(
        card_metadata(facts),
        template_path=str(TEMPLATE),
        name=facts.name,
        repo_id=facts.repo_id,
        parts=parts,
        figures=facts.record.figures,
        sources=facts.sources,
        parameters=facts.parameters,
        dtype=facts.dtype,
        weight_bytes=facts.weight_bytes,
        num_files=facts.num_files,
        has_speech_recognition=facts.has_speech_recognition,
        is_mini=facts.is_mini,
        licence=facts.licence,
    )


def mini_card() -> str:
    """Returns the card of microemo-mini as the package brings it: the text of MODEL_CARD.md."""
    facts = CardFacts(
        name="microemo-mini",
        repo_id="user/microemo-mini",
        licence=MINI_LICENCE,
        record=read_training_record(mini_checkpoint_folder() / RECORD),
        sources=(),
        parameters=MINI_PARAMETERS,
        dtype="float32",
        weight_bytes=MINI_BYTES,
        num_files=1,
        has_speech_recognition=True,
        is_mini=True,
    )
    return f"{model_card(MicroEmoConfig(), facts=facts)}\n"


def card_metadata(facts: CardFacts) -> ModelCardData:
    """Returns the metadata with figures as `model-index`; unknown entries are left out."""
    results = [_eval_result(figure) for figure in facts.record.figures] or None
    datasets = facts.record.datasets or (MINI_DATASETS if facts.is_mini else ())
    return ModelCardData(
        language="en",
        license=facts.licence,
        library_name=LIBRARY,
        pipeline_tag=PIPELINE_TAG,
        tags=list(TAGS),
        base_model=list(MINI_BASE_MODELS) if facts.is_mini else None,
        datasets=list(datasets) or None,
        metrics=list(MINI_METRICS) if facts.is_mini else None,
        model_name=facts.name if results else None,  # used by the model-index only
        eval_results=results,
    )


def _eval_result(figure: Figure) -> EvalResult:
    return EvalResult(
        task_type=_slug(figure.task),
        task_name=figure.task,
        dataset_type=_slug(figure.dataset),
        dataset_name=figure.dataset,
        metric_type=_slug(figure.metric),
        metric_name=figure.metric,
        metric_value=figure.value,
        metric_args={"command": figure.command},
    )


def _slug(text: str) -> str:
    """Converts a name to a Hub type without spaces, such as "unweighted-average-recall"."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(mini_card(), encoding="utf-8")
