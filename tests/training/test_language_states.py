"""What a frozen language model makes of prompts, computed once."""

import pytest
import torch
from tiny_model import collate, tiny_clip, tiny_model

from microemo import MicroEmoForConditionalGeneration, MicroEmoForEmotionClassification
from microemo.training.language_states import remember_states

ANOTHER_WORD = 9


@pytest.fixture
def model():
    return tiny_model(MicroEmoForEmotionClassification).requires_grad_(False)


def computed_prompts(model):
    """The lengths of the prompts that the language model reads from now on."""
    lengths = []
    first = model.model.language_model.layers[0]
    first.register_forward_hook(lambda module, given, output: lengths.append(given[0].shape[1]))
    return lengths


def test_remembered_states_give_the_models_emotions(model, tmp_path):
    batch = collate([tiny_clip(), tiny_clip(1, seed=1)])
    wanted = model(**batch)
    remember_states(model, folder=tmp_path)
    computed = computed_prompts(model)
    for _ in range(2):
        output = model(**batch, labels=torch.full_like(batch["input_ids"], -100))  # as the collator has it
        real = batch["utterance_mask"]
        for name in ("emotion_logits", "valence_arousal"):
            torch.testing.assert_close(output[name][real], wanted[name][real], rtol=1e-2, atol=1e-2)
    assert computed == batch["attention_mask"].sum(1).tolist(), "each prompt once, and without its padding"


def test_a_prompt_is_found_again_by_another_process(model, tmp_path):
    clip = tiny_clip()
    remember_states(model, folder=tmp_path)
    model(**clip)
    again = tiny_model(MicroEmoForEmotionClassification).requires_grad_(False)
    again.load_state_dict(model.state_dict())
    remember_states(again, folder=tmp_path)
    computed = computed_prompts(again)
    again(**clip)
    assert computed == []


def test_other_words_and_other_weights_are_other_states(model, tmp_path):
    clip = tiny_clip()
    remember_states(model, folder=tmp_path)
    computed = computed_prompts(model)
    model(**clip)
    model(**{**clip, "input_ids": clip["input_ids"].index_fill(1, torch.tensor([0]), ANOTHER_WORD)})
    assert len(computed) == 2
    other = tiny_model(MicroEmoForEmotionClassification, seed=1).requires_grad_(False)
    remember_states(other, folder=tmp_path)
    computed = computed_prompts(other)
    other(**clip)
    assert len(computed) == 1


def test_what_asks_for_more_than_states_is_left_alone(tmp_path):
    model = tiny_model(MicroEmoForConditionalGeneration).requires_grad_(False)
    clip = tiny_clip()
    wanted = model(**clip, output_hidden_states=True)
    remember_states(model, folder=tmp_path)
    output = model(**clip, output_hidden_states=True)
    assert len(output.hidden_states) == len(wanted.hidden_states)
    torch.testing.assert_close(output.logits, wanted.logits)
    assert model(**clip, use_cache=True).past_key_values is not None


def test_the_states_of_what_is_trained_are_not_kept(model, tmp_path):
    model.model.language_model.requires_grad_(True)
    with pytest.raises(ValueError, match="language_model cannot be kept, as it is trained"):
        remember_states(model, folder=tmp_path)
