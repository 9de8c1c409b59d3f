"""`Trainer` for MicroEmo: logs each loss term, collects head outputs for metrics, supports learning rates by part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Sampler
from transformers import Trainer
from transformers.trainer_utils import EvalLoopOutput

from microemo.evaluation.metrics.trainer_metrics import OUTPUT_OF_LABEL
from microemo.processing.clip_tensors import IGNORE_INDEX
from microemo.training.length_sampler import LengthSampler
from microemo.training.parameter_groups import parameter_groups

EVAL_STEPS_ON_DEVICE = 16  # batches whose head outputs are held on the device in evaluation
LOSS_PARTS = ("language_loss", "emotion_loss", "face_loss")


class LossParts:
    """Running sums and counts of the loss terms."""

    def __init__(self) -> None:
        self.sums = torch.zeros(len(LOSS_PARTS), 2)

    def add(self, outputs: Mapping[str, Any], *, has_answers: bool) -> None:
        """Adds the losses of a batch. Missing terms are skipped, and the language loss of a batch without answers."""
        for index, name in enumerate(LOSS_PARTS):
            value = outputs.get(name)
            if value is not None and (has_answers or name != "language_loss"):
                self.sums[index] += torch.stack((value.detach().float().cpu(), torch.ones(())))

    def pop_means(self, reduce: Any) -> dict[str, float]:
        """Returns the means over all batches and processes, and resets them. reduce: sums a tensor over processes."""
        sums = reduce(self.sums).tolist()
        self.sums = torch.zeros_like(self.sums)
        return {name: total / count for name, (total, count) in zip(LOSS_PARTS, sums, strict=True) if count}


class MicroEmoTrainer(Trainer):
    """`Trainer` with the additions that MicroEmo needs.

    - `language_loss`, `emotion_loss` and `face_loss` are logged in training and in evaluation ("eval_face_loss").
    - Each loss term is a mean over its own labels, so batches are averaged without weights by token count.
    - Head outputs and labels are gathered by name with fixed shapes, whatever streams a batch lacks, as `HeadMetrics`
      expects. Language logits are computed for answer tokens only and are not gathered.
    - Gathered outputs move to the CPU every `EVAL_STEPS_ON_DEVICE` batches, unless `args.eval_accumulation_steps` is
      set.

    Args:
        learning_rates: see `parameter_groups`.
        eval_data_collator: collator for evaluation, without dropout and augmentation; defaults to `data_collator`.
        train_lengths: lengths of the training examples for `train_sampling_strategy="group_by_length"`, see
            `length_sampler`.
    """

    def __init__(
        self,
        *arguments: Any,
        learning_rates: Mapping[str, float] | None = None,
        eval_data_collator: Callable[[Any], dict[str, Any]] | None = None,
        train_lengths: Sequence[float] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        if self.args.eval_accumulation_steps is None:
            self.args.eval_accumulation_steps = EVAL_STEPS_ON_DEVICE
        self.learning_rates = dict(learning_rates or {})
        self.eval_data_collator = eval_data_collator or self.data_collator
        self.train_lengths = train_lengths
        self.model_accepts_loss_kwargs = False
        self._train_parts, self._eval_parts = LossParts(), LossParts()

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Creates the optimizer of `args.optim` over `parameter_groups`."""
        if self.optimizer is None:
            model = model or self.model
            optimizer_class, settings = self.get_optimizer_cls_and_kwargs(self.args, model)
            groups = parameter_groups(model, weight_decay=self.args.weight_decay, learning_rates=self.learning_rates)
            self.optimizer = optimizer_class(groups, **settings)
        return self.optimizer

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler | None:
        if self.train_lengths is None or self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(train_dataset)
        size = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return LengthSampler(self.train_lengths, batch_size=size, seed=self.args.data_seed or self.args.seed)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        """As in `Trainer`, with the evaluation collator."""
        training_collator, self.data_collator = self.data_collator, self.eval_data_collator
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = training_collator

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Moves the batch to the device, without entries that the model does not accept."""
        self._set_signature_columns_if_needed()
        accepted: set[str] = set(self._signature_columns or ())
        return super()._prepare_inputs({name: value for name, value in inputs.items() if name in accepted})

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Returns the weighted loss and records its terms for the logs."""
        outputs = model(**inputs, **self._logits_to_keep(inputs))
        if outputs.loss is None:
            raise ValueError(f"a batch must have labels of the model, but holds only {sorted(inputs)}")
        parts = self._train_parts if model.training else self._eval_parts
        parts.add(outputs, has_answers=_has_answers(inputs))
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def _logits_to_keep(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Restricts the language logits to the answers, as logits of whole prompts take much memory."""
        self._set_signature_columns_if_needed()
        labels = inputs.get("labels")
        if labels is None or "logits_to_keep" not in (self._signature_columns or ()):
            return {}
        positions = answer_positions(labels)
        if self.args.n_gpu > 1:  # `DataParallel` would split a tensor of positions among the devices
            return {"logits_to_keep": labels.shape[1] - int(positions[0])}
        return {"logits_to_keep": positions}

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As in `Trainer`, with the loss terms."""
        if "loss" in logs:
            logs = {**logs, **self._train_parts.pop_means(self._sum_over_processes)}
        super().log(logs, start_time)

    def evaluation_loop(
        self,
        dataloader: DataLoader,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """As in `Trainer`, with the loss terms among the metrics."""
        self._eval_parts = LossParts()
        output = super().evaluation_loop(
            dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix=metric_key_prefix
        )
        parts = self._eval_parts.pop_means(self._sum_over_processes)
        return output._replace(
            metrics={**(output.metrics or {}), **{f"{metric_key_prefix}_{name}": parts[name] for name in parts}}
        )

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor, Any, Any]:
        """Loss, head outputs by name and labels by name; the last two are None with `prediction_loss_only`."""
        prepared = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, outputs = self.compute_loss(model, prepared, return_outputs=True)
        if prediction_loss_only:
            return loss.detach(), None, None
        clips = len(next(iter(prepared.values())))
        sizes = self._head_sizes()
        predictions, labels = {}, {}
        for label_name, output_name in OUTPUT_OF_LABEL.items():
            size, label_size = sizes[output_name], () if label_name == "expression_labels" else sizes[output_name]
            label_type = torch.long if label_name == "expression_labels" else torch.float32
            predictions[output_name] = _or_empty(outputs.get(output_name), shape=(clips, 0, *size), device=loss.device)
            labels[label_name] = _or_empty(
                prepared.get(label_name), shape=(clips, 0, *label_size), device=loss.device, dtype=label_type
            )
        return loss.detach(), predictions, labels

    def _head_sizes(self) -> dict[str, tuple[int, ...]]:
        """Trailing dimensions of each head's output."""
        config: Any = self.accelerator.unwrap_model(self.model).config
        return {
            "emotion_logits": (len(config.emotion_id2label),),
            "valence_arousal": (2,),
            "micro_logits": (),
            "expression_logits": (len(config.expression_id2label),),
            "action_unit_logits": (len(config.action_unit_id2label),),
        }

    def _sum_over_processes(self, sums: torch.Tensor) -> torch.Tensor:
        return self.accelerator.reduce(sums.to(self.args.device), reduction="sum").cpu()


def answer_positions(labels: torch.Tensor) -> torch.Tensor:
    """Positions (K,) whose logits the loss needs: those with a label in any row of (B, N), and the ones before them.

    Positions between answers that end far apart in different rows are left out. A batch without answers keeps its
    last position.
    """
    is_answer = (labels != IGNORE_INDEX).any(0)
    predicts_answer = torch.cat((is_answer[1:], is_answer.new_zeros(1)))
    positions = (is_answer | predicts_answer).nonzero().flatten()
    return positions if len(positions) else torch.tensor([labels.shape[1] - 1], device=labels.device)


def _has_answers(inputs: Mapping[str, Any]) -> bool:
    labels = inputs.get("labels")
    return labels is not None and bool((labels != IGNORE_INDEX).any())


def _or_empty(
    value: torch.Tensor | None, *, shape: tuple[int, ...], device: torch.device, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Returns the value, or an empty tensor of the right number of dimensions if it is None."""
    if value is None:
        return torch.full(shape, IGNORE_INDEX, device=device, dtype=dtype)
    return value.detach().to(dtype)
