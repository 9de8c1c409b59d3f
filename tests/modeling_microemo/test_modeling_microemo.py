"""The whole model: shapes, placeholders, padding, precision, saving and loading."""

import pytest
import torch
from tiny_model import (
    AUDIO_TOKEN_ID,
    AUDIO_TOKENS,
    UTTERANCE_END_TOKEN_ID,
    VIDEO_TOKEN_ID,
    VIDEO_TOKENS,
    VOCAB_SIZE,
    collate,
    tiny_clip,
    tiny_model,
)
from torch import nn
from transformers import AutoModel
from transformers.modeling_outputs import BaseModelOutputWithPast

from microemo import MicroEmoForConditionalGeneration, MicroEmoForEmotionClassification, MicroEmoModel

HEADS = ("emotion_logits", "valence_arousal", "micro_logits", "expression_logits", "action_unit_logits")
ACTIONS = ("face_actions", "relative_face_actions", "face_actions_mask")
UNEVEN = [
    {"num_utterances": 2, "seed": 1},
    {"num_utterances": 0, "num_frames": 3, "num_faces": 5, "seed": 2},
    {"num_utterances": 3, "num_frames": 6, "num_faces": 20, "seed": 3},
]


class PassThrough(nn.Module):
    """A language model that returns its input embeddings."""

    def __init__(self, language_model):
        super().__init__()
        self.embed_tokens = language_model.embed_tokens

    def get_input_embeddings(self):
        return self.embed_tokens

    def forward(self, inputs_embeds, **kwargs):
        return BaseModelOutputWithPast(last_hidden_state=inputs_embeds)


@pytest.fixture(scope="module")
def model():
    return tiny_model(MicroEmoForConditionalGeneration)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def assert_same_clip(batch_output, row, output, *, length):
    torch.testing.assert_close(batch_output.logits[row, :length], output.logits[0], atol=1e-5, rtol=1e-5)
    for name in HEADS:
        if output.get(name) is not None:
            alone = output[name][0]
            torch.testing.assert_close(batch_output[name][row, : len(alone)], alone, atol=1e-5, rtol=1e-5)


def test_shapes(model):
    batch = collate([tiny_clip(**settings) for settings in UNEVEN])
    output = model(**batch)
    assert output.logits.shape == (*batch["input_ids"].shape, VOCAB_SIZE)
    assert output.emotion_logits.shape == (3, 3, 3)
    assert output.valence_arousal.shape == (3, 3, 2)
    assert output.valence_arousal.abs().max() <= 1
    assert output.micro_logits.shape == (3, 20)
    assert output.expression_logits.shape == (3, 20, 2)
    assert output.action_unit_logits.shape == (3, 20, 3)
    assert output.loss is None

    faces = model.get_face_features(batch["face_pixel_values"], batch["face_times"], face_mask=batch["face_mask"])
    assert faces.last_hidden_state.shape == (3, 20, 6, 32)  # movement, flow, and 2 x 2 regions of a 64 pixel crop
    assert faces.pooler_output.shape == (3, 20, model.config.dynamics_config.encoder_hidden_size)
    video = model.get_video_features(
        batch["pixel_values_videos"], batch["frame_times"], frame_mask=batch["frame_mask"]
    )
    assert video.last_hidden_state.shape == (3, 6, 4, 32)
    assert [tuple(clip.shape) for clip in video.pooler_output] == [(VIDEO_TOKENS, 32)] * 3  # no utterances: the clip
    audio = model.get_audio_features(
        batch["input_features"],
        audio_mask=batch["audio_mask"],
        utterance_times=batch["utterance_times"],
        utterance_mask=batch["utterance_mask"],
    )
    assert audio.last_hidden_state.shape == (3, 3 * 50, 32)
    assert [len(clip) for clip in audio.pooler_output] == [3 * AUDIO_TOKENS, AUDIO_TOKENS, 4 * AUDIO_TOKENS]


def test_every_streams_tokens_stand_at_their_placeholders(model):
    base = tiny_model(MicroEmoModel)
    base.language_model = PassThrough(base.language_model)
    batch = collate([tiny_clip(**settings) for settings in UNEVEN])  # 2, 0 and 3 utterances
    faces = base.get_face_features(batch["face_pixel_values"], batch["face_times"], batch["face_mask"])
    times = {name: batch[name] for name in ("utterance_times", "utterance_mask")}
    frames = {name: batch[name] for name in ("frame_times", "frame_mask")}
    crops = {name: batch[name] for name in ("face_times", "face_mask")}
    video = base.get_video_features(batch["pixel_values_videos"], face_features=faces, **frames, **crops, **times)
    audio = base.get_audio_features(batch["input_features"], batch["audio_mask"], **times)

    fed = base(**batch).last_hidden_state
    words = base.get_input_embeddings()(batch["input_ids"])
    for row, ids in enumerate(batch["input_ids"]):
        assert torch.equal(fed[row, ids == VIDEO_TOKEN_ID], video.pooler_output[row])
        assert torch.equal(fed[row, ids == AUDIO_TOKEN_ID], audio.pooler_output[row])
        is_word = (ids != VIDEO_TOKEN_ID) & (ids != AUDIO_TOKEN_ID)
        assert torch.equal(fed[row, is_word], words[row, is_word])


def test_the_emotion_head_reads_the_end_of_each_utterance(model):
    batch = collate([tiny_clip(**settings) for settings in UNEVEN])
    states = model.model(**batch).last_hidden_state
    output = model(**batch)
    for row, ids in enumerate(batch["input_ids"]):
        ends = states[row, ids == UTTERANCE_END_TOKEN_ID]
        wanted = model.model.emotion_head(ends[None]).logits[0]
        torch.testing.assert_close(output.emotion_logits[row, : len(ends)], wanted)


def test_a_batch_equals_its_clips_one_by_one(model):
    clips = [tiny_clip(**settings) for settings in UNEVEN]
    together = model(**collate(clips))
    for row, clip in enumerate(clips):
        assert_same_clip(together, row, model(**clip), length=clip["input_ids"].shape[1])


@pytest.mark.parametrize("stream", ["frames", "faces", "utterances", "audio", "text"])
def test_padding_changes_nothing(model, stream):
    clip = tiny_clip(2)
    names = {
        "frames": ("pixel_values_videos", "frame_times", "frame_mask"),
        "faces": ("face_pixel_values", "face_times", "face_mask", *ACTIONS),
        "utterances": ("utterance_times", "utterance_mask"),
        "audio": ("input_features", "audio_mask"),
        "text": ("input_ids", "attention_mask"),
    }[stream]
    padded = dict(clip)
    for name in names:
        value = clip[name]
        # The contents of the padding must not matter: noise in masked positions, False in the mask itself.
        filler = torch.zeros_like(value[:, :2]) if name.endswith("mask") else torch.ones_like(value[:, :2]) * 9
        padded[name] = torch.cat((value, filler), dim=1)
    assert_same_clip(model(**padded), 0, model(**clip), length=clip["input_ids"].shape[1])


def test_padding_on_the_left_changes_nothing(model):
    clip = tiny_clip(2)
    padded = dict(clip)
    padded["input_ids"] = torch.cat((torch.zeros(1, 3, dtype=torch.long), clip["input_ids"]), dim=1)
    padded["attention_mask"] = torch.cat((torch.zeros(1, 3, dtype=torch.long), clip["attention_mask"]), dim=1)
    padded["position_ids"] = (padded["attention_mask"].cumsum(1) - 1).clamp(min=0)
    one, other = model(**clip), model(**padded)
    torch.testing.assert_close(other.logits[:, 3:], one.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(other.emotion_logits, one.emotion_logits, atol=1e-5, rtol=1e-5)


def test_ids_or_embeddings_but_not_both(model):
    clip = tiny_clip(2)
    embeds = model.get_input_embeddings()(clip["input_ids"])
    with pytest.raises(ValueError, match="exactly one of input_ids and inputs_embeds"):
        model(**clip, inputs_embeds=embeds)
    by_ids = model(**clip)
    del clip["input_ids"]
    by_embeds = model(**clip, inputs_embeds=embeds)
    torch.testing.assert_close(by_embeds.logits, by_ids.logits)
    torch.testing.assert_close(by_embeds.emotion_logits, by_ids.emotion_logits)


def test_sdpa_equals_eager():
    clip = tiny_clip(2)
    sdpa = tiny_model(MicroEmoForConditionalGeneration, attn_implementation="sdpa")
    eager = tiny_model(MicroEmoForConditionalGeneration, attn_implementation="eager")
    assert sdpa.model.video_qformer.config._attn_implementation == "sdpa"
    assert eager.model.video_qformer.config._attn_implementation == "eager"
    one, other = sdpa(**clip), eager(**clip)
    for name in ("logits", *HEADS):
        torch.testing.assert_close(one[name], other[name], atol=1e-5, rtol=1e-5)


def realigned(model):
    """Moves weights that were read to memory of torch's own.

    A file's lie at any address, and on some CPUs the order of a sum, and so its last bit, depends on that.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()


def test_a_saved_model_is_bit_equal_when_read(model, tmp_path):
    clip = tiny_clip(2)
    model.save_pretrained(tmp_path)
    read = MicroEmoForConditionalGeneration.from_pretrained(tmp_path)
    for name, weight in model.state_dict().items():
        assert torch.equal(read.state_dict()[name], weight), name
    realigned(read)
    for name in ("logits", *HEADS):
        assert torch.equal(read(**clip)[name], model(**clip)[name])
    assert read.generation_config.suppress_tokens == [VIDEO_TOKEN_ID, AUDIO_TOKEN_ID, UTTERANCE_END_TOKEN_ID]


def test_the_other_classes_read_the_same_folder(model, tmp_path):
    clip = tiny_clip(2)
    model.save_pretrained(tmp_path)
    wanted = model(**clip)
    classifier, info = MicroEmoForEmotionClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    realigned(classifier)
    for name in HEADS:
        assert torch.equal(classifier(**clip)[name], wanted[name])
    base = AutoModel.from_pretrained(tmp_path)
    assert type(base) is MicroEmoModel
    realigned(base)
    assert torch.equal(base(**clip).emotion_logits, wanted.emotion_logits)


def test_the_face_timeline_needs_no_language_model(model):
    clip = tiny_clip(2)
    actions = {name: clip[name] for name in ACTIONS}
    face = model.model.get_face_logits(clip["face_pixel_values"], clip["face_times"], **actions)
    wanted = model(**clip)
    for name in ("micro_logits", "expression_logits", "action_unit_logits"):
        torch.testing.assert_close(face[name], wanted[name])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_runs(dtype):
    clip = tiny_clip(2)
    full = tiny_model(MicroEmoForConditionalGeneration)(**clip)
    half = tiny_model(MicroEmoForConditionalGeneration).to(dtype)(**clip)
    assert half.logits.dtype == dtype
    for name in ("logits", *HEADS):
        assert half[name].isfinite().all()
        assert (half[name].float() - full[name]).norm() / full[name].norm() < 0.3
