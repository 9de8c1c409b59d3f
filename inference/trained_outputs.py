"""Which outputs a report may show: those whose weights were trained, and which the mode asked for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from microemo.inference.report.report import OutputStatus, Status


@dataclass(frozen=True)
class TrainedOutputs:
    """The outputs to compute. What is False is neither computed nor shown."""

    expressions: bool
    micro_expressions: bool
    emotions: bool
    explanations: bool
    voice: bool = False

    @property
    def face(self) -> bool:
        """Whether the face head has anything to say."""
        return self.expressions or self.micro_expressions

    @property
    def language_model(self) -> bool:
        """Whether the language model has to read the clip."""
        return self.emotions or self.explanations


def trained_outputs(
    trained_parts: Collection[str], *, use_local_branch: bool, has_voice_head: bool, mode: str
) -> TrainedOutputs:
    """The outputs of a model with these trained parts (`MicroEmoConfig.trained_parts`) in this mode.

    A model without local branch has no face head, one without voice head tells no emotions of voices.
    """
    return TrainedOutputs(
        expressions=use_local_branch and "face_tower" in trained_parts,
        micro_expressions=use_local_branch and "micro_dynamics" in trained_parts,
        emotions="emotion_head" in trained_parts,
        explanations="explanations" in trained_parts and mode == "explain",
        voice=has_voice_head and "voice_head" in trained_parts,
    )


def output_status(outputs: TrainedOutputs, *, trained_parts: Collection[str]) -> OutputStatus:
    """What the report says of each output."""
    explanations: Status = "trained" if outputs.explanations else "untrained"
    if not outputs.explanations and "explanations" in trained_parts:
        explanations = "not_requested"
    return OutputStatus(
        face_expressions=_status(outputs.expressions),
        micro_expressions=_status(outputs.micro_expressions),
        emotions=_status(outputs.emotions),
        explanations=explanations,
        voice=_status(outputs.voice),
    )


def _status(is_trained: bool) -> Status:
    return "trained" if is_trained else "untrained"
