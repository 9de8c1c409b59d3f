"""Evaluation gathers head outputs only, not language logits; clips have different lengths."""

import numpy as np
import torch
from tiny_model import LLAMA, collate, tiny_clip, tiny_model
from transformers import Trainer, TrainingArguments

from microemo import MicroEmoForConditionalGeneration
from microemo.training.trainer import EVAL_STEPS_ON_DEVICE, MicroEmoTrainer, answer_positions

VOCABULARY = 1031  # unlike every other dimension
CLIPS = 24


def labelled_clip(number):
    clip = tiny_clip(1 + number % 4, num_faces=3 + number % 9, seed=number)
    utterances, faces = clip["utterance_times"].shape[1], clip["face_times"].shape[1]
    labels = torch.full_like(clip["input_ids"], -100)
    labels[:, -2:] = clip["input_ids"][:, -2:]
    return {
        **clip,
        "labels": labels,
        "emotion_labels": torch.zeros(1, utterances, 3),
        "micro_labels": torch.zeros(1, faces),
    }


def trainer_of(kind, folder, *, gathered, **arguments):
    torch.manual_seed(0)
    return kind(
        tiny_model(MicroEmoForConditionalGeneration, text_config={**LLAMA, "vocab_size": VOCABULARY}),
        TrainingArguments(
            str(folder),
            per_device_eval_batch_size=4,
            remove_unused_columns=False,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            label_names=["labels", "emotion_labels", "micro_labels"],
            **arguments,
        ),
        data_collator=collate,
        eval_dataset=[labelled_clip(number) for number in range(CLIPS)],
        compute_metrics=lambda evaluated: gathered.append(evaluated) or {},
    )


def test_plain_trainer_gathers_head_outputs_only(tmp_path):
    gathered = []
    trainer = trainer_of(Trainer, tmp_path, gathered=gathered)
    assert np.isfinite(trainer.evaluate()["eval_loss"])
    (evaluated,) = gathered
    shapes = [array.shape for array in evaluated.predictions]
    assert (CLIPS, 4, 3) in shapes and (CLIPS, 11) in shapes  # emotions of utterances, micro-expressions of crops
    assert not any(VOCABULARY in shape for shape in shapes)
    assert sum(array.nbytes for array in evaluated.predictions) < CLIPS * 1000


def test_language_logits_are_gathered_on_request(tmp_path):
    trainer = trainer_of(Trainer, tmp_path, gathered=[])
    predicted = trainer.predict(trainer.eval_dataset[:4], ignore_keys=["past_key_values", "cache"])
    assert any(np.ndim(array) == 3 and array.shape[-1] == VOCABULARY for array in predicted.predictions)


def test_trainer_sets_eval_accumulation_steps(tmp_path):
    gathered = []
    trainer = trainer_of(MicroEmoTrainer, tmp_path, gathered=gathered)
    assert trainer.args.eval_accumulation_steps == EVAL_STEPS_ON_DEVICE
    trainer.evaluate()
    assert gathered[0].predictions["emotion_logits"].shape == (CLIPS, 4, 3)
    chosen = trainer_of(MicroEmoTrainer, tmp_path, gathered=gathered, eval_accumulation_steps=2)
    assert chosen.args.eval_accumulation_steps == 2


def test_positions_between_answers_are_left_out():
    labels = torch.full((2, 1000), -100)
    labels[0, 10:13] = 7
    labels[1, 900:902] = 7
    assert answer_positions(labels).tolist() == [9, 10, 11, 12, 899, 900, 901]
    assert answer_positions(torch.full((2, 5), -100)).tolist() == [4]


def test_loss_of_answer_positions_equals_the_full_loss():
    clips = [labelled_clip(0), labelled_clip(3)]
    batch = collate(clips)
    batch["labels"] = batch["labels"].masked_fill(batch["attention_mask"] == 0, -100)
    model = tiny_model(MicroEmoForConditionalGeneration)
    with torch.no_grad():
        full, partial = model(**batch), model(**batch, logits_to_keep=answer_positions(batch["labels"]))
    assert partial.logits.shape[1] < full.logits.shape[1]
    torch.testing.assert_close(partial.language_loss, full.language_loss)
