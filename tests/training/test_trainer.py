"""Trainer runs: logged losses, exact resumption, adapters, head metrics."""

import json

import pytest
import torch
from torch import nn

from microemo import MicroEmoForConditionalGeneration
from microemo.training.length_sampler import LengthSampler
from microemo.training.train import finish, train
from microemo.training.trainer import LossParts

peft = pytest.importorskip("peft", reason="adapters need PEFT")

LORA = {"r": 4, "alpha": 8, "dropout": 0.0}


def weights_of(run):
    return {name: value.detach().clone() for name, value in run.trainer.model.state_dict().items()}


def assert_same_weights(weights, other, **tolerance):
    assert weights.keys() == other.keys()
    for name, value in weights.items():
        torch.testing.assert_close(value, other[name], msg=name, **tolerance)


def test_every_loss_term_is_logged(workshop, tmp_path):
    run = workshop.prepare(tmp_path)
    run.trainer.train()
    steps = [entry for entry in run.trainer.state.log_history if "loss" in entry]
    assert len(steps) == 2
    for entry in steps:
        assert entry["loss"] == pytest.approx(
            entry["language_loss"] + entry["emotion_loss"] + entry["face_loss"], rel=1e-5
        )


def test_batch_without_answers_is_left_out_of_the_language_loss():
    parts = LossParts()
    parts.add({"language_loss": torch.tensor(2.0)}, has_answers=True)
    parts.add({"language_loss": torch.tensor(0.0), "emotion_loss": torch.tensor(1.0)}, has_answers=False)
    assert parts.pop_means(lambda sums: sums) == {"language_loss": 2.0, "emotion_loss": 1.0}


def test_loss_is_computed_from_answer_logits_only(workshop, tmp_path):
    run = workshop.prepare(tmp_path)
    inputs = run.trainer._prepare_inputs(next(iter(run.trainer.get_train_dataloader())))
    model = run.trainer.model.eval()
    whole = model(**inputs)
    run.trainer.model_wrapped = model
    loss, outputs = run.trainer.compute_loss(model, inputs, return_outputs=True)
    assert outputs.logits.shape[1] < whole.logits.shape[1]
    torch.testing.assert_close(outputs.language_loss, whole.language_loss)
    torch.testing.assert_close(loss, whole.loss)


def test_group_by_length_uses_the_length_sampler(workshop, tmp_path):
    run = workshop.prepare(tmp_path, train_sampling_strategy="group_by_length")
    sampler = run.trainer.get_train_dataloader().batch_sampler.sampler
    assert isinstance(sampler, LengthSampler)
    assert len(sampler.lengths) == len(run.trainer.train_dataset) and min(sampler.lengths) > 0
    run.trainer.train()
    assert not isinstance(workshop.prepare(tmp_path).trainer._get_train_sampler(), LengthSampler)


def test_only_named_parts_change(workshop, tmp_path):
    run = workshop.prepare(tmp_path, parts=("emotion_head",))
    before = weights_of(run)
    run.trainer.train()
    changed = {name for name, value in weights_of(run).items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("model.emotion_head.") for name in changed)


def test_accumulated_batches_weigh_every_loss_alike(workshop, tmp_path):
    """Gradients of two batches of two are those of their mean, for heads and words."""
    gradients = []
    for name, batch, accumulated in (("a", 4, 1), ("b", 2, 2)):
        run = workshop.prepare(
            tmp_path / name,
            max_steps=1,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulated,
            learning_rate=0.0,
            max_grad_norm=0.0,
        )
        norms = record_gradients(run.trainer, "emotion_head.classifier.weight")
        run.trainer.train()
        gradients.append(norms[-1])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-5)


def record_gradients(trainer, name):
    """The gradients of a parameter, as they stand before each step."""
    from transformers import TrainerCallback

    seen = []

    class Recorder(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
            seen.append(dict(model.named_parameters())[f"model.{name}"].grad.clone())

    trainer.add_callback(Recorder())
    return seen


def test_resumed_run_equals_an_uninterrupted_one(workshop, tmp_path):
    dropped = {"dropout": {"voice": 0.3, "pictures": 0.3}}
    settings = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, "data": dropped, "parts": ("emotion_head",)}
    whole = workshop.prepare(tmp_path / "whole", **settings)
    enable_dropout(whole.trainer.model)
    whole.trainer.train()
    resumed = workshop.prepare(tmp_path / "resumed", **settings)
    enable_dropout(resumed.trainer.model)
    resumed.trainer.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    assert resumed.trainer.state.global_step == 4
    assert_same_weights(weights_of(whole), weights_of(resumed), rtol=0, atol=0)
    losses = [
        [entry["loss"] for entry in run.trainer.state.log_history if "loss" in entry] for run in (whole, resumed)
    ]
    assert losses[0] == losses[1]


def enable_dropout(model):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.2


def test_gradient_checkpointing_gives_the_same_weights(workshop, tmp_path):
    runs = [
        workshop.prepare(
            tmp_path / str(checkpointing), lora=LORA, gradient_checkpointing=checkpointing, learning_rate=1e-2
        )
        for checkpointing in (False, True)
    ]
    for run in runs:
        run.trainer.train()
    assert any(getattr(module, "gradient_checkpointing", False) for module in runs[1].trainer.model.modules())
    assert_same_weights(weights_of(runs[0]), weights_of(runs[1]), rtol=1e-4, atol=1e-5)


def test_saved_adapter_restores_the_trained_model(workshop, tmp_path):
    run = workshop.prepare(tmp_path, lora=LORA, learning_rate=1e-2)
    run.trainer.train()
    batch = run.trainer.data_collator([run.trainer.train_dataset[0]])
    trained = run.trainer.model.eval()
    with torch.no_grad():
        expected = trained(**batch)
    finish(run)

    base = MicroEmoForConditionalGeneration.from_pretrained(workshop.root / "model")
    with torch.no_grad():
        untrained = base(**batch).logits
        adapted = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()(**batch)
        merged = MicroEmoForConditionalGeneration.from_pretrained(tmp_path / "model")(**batch)
    assert (untrained - expected.logits).abs().max() > 1e-2
    for output in (adapted, merged):
        for name in ("logits", "emotion_logits", "micro_logits"):
            torch.testing.assert_close(output[name], expected[name], rtol=1e-4, atol=1e-4)


def test_resumed_adapters_equal_uninterrupted_ones(workshop, tmp_path):
    settings = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, "lora": LORA}
    whole = workshop.prepare(tmp_path / "whole", **settings)
    whole.trainer.train()
    resumed = workshop.prepare(tmp_path / "resumed", **settings)
    resumed.trainer.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    assert_same_weights(weights_of(whole), weights_of(resumed), rtol=0, atol=0)


def test_adapters_are_in_the_language_model_only(workshop, tmp_path):
    run = workshop.prepare(tmp_path, lora=LORA, parts=("emotion_head",))
    trained = {name for name, parameter in run.trainer.model.named_parameters() if parameter.requires_grad}
    lora = {name for name in trained if ".lora_" in name}
    assert len(lora) == 2 * 4 * 2 and all(".language_model.layers." in name for name in lora)
    assert all(".emotion_head.modules_to_save." in name for name in trained - lora)


@pytest.mark.parametrize("without", ["faces", "pictures"])
def test_head_metrics_do_not_depend_on_missing_streams(workshop, tmp_path, without):
    lines = [json.loads(line) for line in (workshop.root / "clips.jsonl").read_text().splitlines()]
    root = str(workshop.root)
    for line in lines:
        line["video"], line["faces"] = f"{root}/{line['video']}", f"{root}/{line['faces']}"
    if without == "faces":
        del lines[1]["faces"]
    else:
        lines[1] = {"utterances": [{"text": "thanks", "goemotions": ["gratitude"]}]}
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text("\n".join(map(json.dumps, lines)))
    evaluation = [{"reader": "jsonl", "path": str(mixed)}]
    run = workshop.prepare(tmp_path, data={"evaluation": evaluation}, per_device_eval_batch_size=1)
    metrics = run.trainer.evaluate()
    metric_names = {"emotion_micro_f1", "micro_mean_average_precision", "expression_uar", "action_unit_macro_f1"}
    assert {f"eval_{name}" for name in metric_names} <= metrics.keys()
    parts = sum(metrics[f"eval_{name}"] for name in ("language_loss", "emotion_loss", "face_loss"))
    assert metrics["eval_loss"] <= parts, "parts are means over the batches that have them"
    together = workshop.prepare(tmp_path, data={"evaluation": evaluation}, per_device_eval_batch_size=8)
    again = together.trainer.evaluate()
    for name in metric_names:
        assert metrics[f"eval_{name}"] == pytest.approx(again[f"eval_{name}"], abs=1e-6), name


def test_learning_rates_differ_by_part(workshop, tmp_path):
    run = workshop.prepare(tmp_path, lora=LORA)
    run.trainer.learning_rates = {"emotion_head": 1e-2, "lora": 3e-4}
    rates = {group["lr"] for group in run.trainer.create_optimizer().param_groups}
    assert rates == {1e-2, 3e-4, 1e-3}


def test_losses_are_logged_to_tensorboard(workshop, tmp_path):
    loading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(workshop.recipe(tmp_path, report_to=["tensorboard"]), data_root=workshop.root)
    (events,) = {path.parent for path in (tmp_path / "runs").rglob("events*")}
    log = loading.EventAccumulator(str(events))
    log.Reload()
    assert {"train/loss", "train/language_loss", "train/emotion_loss", "train/face_loss"} <= set(log.Tags()["scalars"])


def test_batch_without_faces_is_an_error_for_the_face_objective(workshop, tmp_path):
    run = workshop.prepare(tmp_path, model={"objective": "face"}, parts=("face_head",))
    with pytest.raises(ValueError, match="no clip of the batch has a face"):
        run.trainer.model(input_ids=torch.zeros(1, 3, dtype=torch.long))
