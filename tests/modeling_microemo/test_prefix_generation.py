"""Generation with a shared prefix equals generation from scratch and encodes the streams once."""

import pytest
import torch
from tiny_model import AUDIO_TOKEN_ID, UTTERANCE_END_TOKEN_ID, VIDEO_TOKEN_ID, collate, tiny_clip, tiny_model

from microemo import MicroEmoForConditionalGeneration

QUESTIONS = [torch.tensor([20, 21, 22]), torch.tensor([30]), torch.tensor([40, 41, 42, 43, 44])]
GREEDY = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False}


@pytest.fixture(scope="module")
def model():
    return tiny_model(MicroEmoForConditionalGeneration)


def from_scratch(model, clip, question, **settings):
    input_ids = torch.cat((clip["input_ids"], question[None]), dim=1)
    inputs = {**clip, "input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}
    return model.generate(**inputs, **settings)[:, input_ids.shape[1] :]


@pytest.mark.parametrize("settings", [{}, {"num_beams": 3}, {"num_beams": 4, "num_return_sequences": 2}])
def test_the_shared_prefix_equals_generation_from_scratch(model, settings):
    clip = tiny_clip(3)
    prefix = model.encode_prefix(**clip)
    answers = model.generate_from_prefix(prefix, QUESTIONS, **GREEDY, **settings)
    wanted = torch.cat([from_scratch(model, clip, question, **GREEDY, **settings) for question in QUESTIONS])
    assert torch.equal(answers, wanted)
    assert len(answers.unique(dim=0)) > 1  # the questions matter


def test_logits_behind_the_prefix_equal_those_from_scratch(model):
    clip = tiny_clip(2)
    prefix = model.encode_prefix(**clip)
    settings = {**GREEDY, "output_logits": True, "return_dict_in_generate": True}
    input_ids, mask = model._continued(prefix, QUESTIONS)
    cache = model.encode_prefix(**clip).output.past_key_values
    cache.batch_repeat_interleave(3)
    shared = model.generate(input_ids=input_ids, attention_mask=mask, past_key_values=cache, **settings).logits
    for row, question in enumerate(QUESTIONS):
        ids = torch.cat((clip["input_ids"], question[None]), dim=1)
        alone = model.generate(**{**clip, "input_ids": ids, "attention_mask": torch.ones_like(ids)}, **settings).logits
        for one, other in zip(shared, alone, strict=True):
            torch.testing.assert_close(one[row], other[0], atol=1e-5, rtol=1e-5)


def test_a_prefix_can_be_used_again(model):
    prefix = model.encode_prefix(**tiny_clip(2))
    first = model.generate_from_prefix(prefix, QUESTIONS, **GREEDY)
    assert torch.equal(model.generate_from_prefix(prefix, QUESTIONS[::-1], **GREEDY).flip(0), first)


def test_prefix_output_has_head_outputs(model):
    clip = tiny_clip(2)
    output, wanted = model.encode_prefix(**clip).output, model(**clip)
    torch.testing.assert_close(output.emotion_logits, wanted.emotion_logits)
    torch.testing.assert_close(output.micro_logits, wanted.micro_logits)


def test_a_prefix_is_one_unpadded_clip(model):
    with pytest.raises(ValueError, match="a prefix holds one clip, got input_ids of 2 clips"):
        model.encode_prefix(**collate([tiny_clip(1), tiny_clip(1, seed=1)]))
    clip = tiny_clip(1)
    clip["attention_mask"][0, 0] = 0
    with pytest.raises(ValueError, match="must not be padded"):
        model.encode_prefix(**clip)


@pytest.mark.parametrize("questions", [[], [torch.tensor([3]), torch.tensor([], dtype=torch.long)]])
def test_empty_question_is_refused(model, questions):
    prefix = model.encode_prefix(**tiny_clip(1))
    with pytest.raises(ValueError, match="every question needs at least one token"):
        model.generate_from_prefix(prefix, questions, **GREEDY)


def test_the_cache_changes_no_answer(model):
    clip = tiny_clip(2)
    assert torch.equal(model.generate(**clip, **GREEDY), model.generate(**clip, **GREEDY, use_cache=False))


def test_a_batch_answers_as_its_clips_do(model):
    clips = [tiny_clip(2, seed=seed) for seed in (1, 2)]
    together = model.generate(**collate(clips), **GREEDY)
    for row, clip in enumerate(clips):
        assert torch.equal(together[row], model.generate(**clip, **GREEDY)[0])


def test_beams_and_several_answers_repeat_the_streams_with_their_clip(model):
    clips = [tiny_clip(2, seed=seed) for seed in (1, 2)]
    settings = {**GREEDY, "num_beams": 3, "num_return_sequences": 2}
    together = model.generate(**collate(clips), **settings)
    alone = torch.cat([model.generate(**clip, **settings) for clip in clips])
    assert torch.equal(together, alone)


def test_the_towers_run_once_a_generation(model, monkeypatch):
    calls = []
    forward = model.model.frame_tower.forward
    monkeypatch.setattr(
        model.model.frame_tower, "forward", lambda *args, **kwargs: calls.append(1) or forward(*args, **kwargs)
    )
    model.generate(**tiny_clip(2), **GREEDY)
    assert len(calls) == 1


def test_no_placeholder_is_ever_written(model):
    torch.manual_seed(0)
    answers = model.generate(**tiny_clip(2), max_new_tokens=80, min_new_tokens=80, do_sample=True, temperature=50.0)
    new = answers[:, tiny_clip(2)["input_ids"].shape[1] :]
    assert not torch.isin(new, torch.tensor([VIDEO_TOKEN_ID, AUDIO_TOKEN_ID, UTTERANCE_END_TOKEN_ID])).any()
    assert len(new.unique()) > 20
