"""What an evaluation keeps grows with what the heads say, not with the words' logits; clips are of unequal length."""

import numpy as np
import torch
from tiny_model import LLAMA, collate, tiny_clip, tiny_model
from transformers import Trainer, TrainingArguments

from microemo import MicroEmoForConditionalGeneration
from microemo.training.trainer import EVAL_STEPS_ON_DEVICE, MicroEmoTrainer, answer_places

VOCABULARY = 1031  # as no other dimension
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


def trainer_of(kind, folder, *, seen, **arguments):
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
        compute_metrics=lambda evaluated: seen.append(evaluated) or {},
    )


def test_transformers_own_trainer_keeps_the_heads_alone(tmp_path):
    seen = []
    trainer = trainer_of(Trainer, tmp_path, seen=seen)
    assert np.isfinite(trainer.evaluate()["eval_loss"])
    (evaluated,) = seen
    shapes = [array.shape for array in evaluated.predictions]
    assert (CLIPS, 4, 3) in shapes and (CLIPS, 11) in shapes  # emotions of utterances, micro-expressions of crops
    assert not any(VOCABULARY in shape for shape in shapes)
    assert sum(array.nbytes for array in evaluated.predictions) < CLIPS * 1000


def test_words_are_kept_where_somebody_asks_for_them(tmp_path):
    trainer = trainer_of(Trainer, tmp_path, seen=[])
    predicted = trainer.predict(trainer.eval_dataset[:4], ignore_keys=["past_key_values", "cache"])
    assert any(np.ndim(array) == 3 and array.shape[-1] == VOCABULARY for array in predicted.predictions)


def test_our_trainer_clears_the_device_by_default(tmp_path):
    seen = []
    trainer = trainer_of(MicroEmoTrainer, tmp_path, seen=seen)
    assert trainer.args.eval_accumulation_steps == EVAL_STEPS_ON_DEVICE
    trainer.evaluate()
    assert seen[0].predictions["emotion_logits"].shape == (CLIPS, 4, 3)
    chosen = trainer_of(MicroEmoTrainer, tmp_path, seen=seen, eval_accumulation_steps=2)
    assert chosen.args.eval_accumulation_steps == 2


def test_rows_of_unequal_length_keep_no_logits_between_their_answers():
    labels = torch.full((2, 1000), -100)
    labels[0, 10:13] = 7
    labels[1, 900:902] = 7
    assert answer_places(labels).tolist() == [9, 10, 11, 12, 899, 900, 901]
    assert answer_places(torch.full((2, 5), -100)).tolist() == [4]


def test_the_loss_of_these_places_is_the_whole_loss():
    clips = [labelled_clip(0), labelled_clip(3)]
    batch = collate(clips)
    batch["labels"] = batch["labels"].masked_fill(batch["attention_mask"] == 0, -100)
    model = tiny_model(MicroEmoForConditionalGeneration)
    with torch.no_grad():
        whole, kept = model(**batch), model(**batch, logits_to_keep=answer_places(batch["labels"]))
    assert kept.logits.shape[1] < whole.logits.shape[1]
    torch.testing.assert_close(kept.language_loss, whole.language_loss)
