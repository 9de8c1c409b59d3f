"""Q-Former layers against InstructBLIP's in transformers, and both timestamp modes of the frame Q-Former."""

import re

import pytest
import torch
from tiny_model import PART
from transformers import InstructBlipQFormerConfig, InstructBlipQFormerModel

from microemo import MicroEmoQFormerConfig
from microemo.visual_encoder import FrameQFormer

SENTENCE_LENGTH = 6

# Key of InstructBLIP's Q-Former -> key of the frame Q-Former.
RENAMED = [
    (r"^embeddings\.word_embeddings", "timestamp.words"),
    (r"^embeddings\.position_embeddings", "timestamp.positions"),
    (r"^embeddings\.layernorm", "norm"),
    (r"^encoder\.layer\.", "encoder.layers."),
    (r"\.crossattention\.", ".cross_attention."),
    (r"\.attention\.attention\.", ".self_attention.attention."),
    (r"\.cross_attention\.attention\.", ".cross_attention.attention."),
    (r"\.attention\.output\.", ".self_attention.output."),
    (r"_attention\.output\.dense", "_attention.attention.o_proj"),
    (r"_attention\.output\.LayerNorm", "_attention.norm"),
    (r"\.query\.", ".q_proj."),
    (r"\.key\.", ".k_proj."),
    (r"\.value\.", ".v_proj."),
    (r"\.intermediate_query\.", ".feed_forward."),
    (r"\.output_query\.dense", ".feed_forward.output"),
    (r"\.output_query\.LayerNorm", ".feed_forward.norm"),
    (r"\.intermediate\.", ".text_feed_forward."),
    (r"\.output\.dense", ".text_feed_forward.output"),
    (r"\.output\.LayerNorm", ".text_feed_forward.norm"),
]


def renamed(key):
    for pattern, replacement in RENAMED:
        key = re.sub(pattern, replacement, key)
    return key


@pytest.fixture
def pair():
    """The frame Q-Former and InstructBLIP's with the same weights."""
    torch.manual_seed(0)
    shared = {**PART, "cross_attention_frequency": 2, "encoder_hidden_size": 24, "vocab_size": 50}
    theirs = InstructBlipQFormerModel(InstructBlipQFormerConfig(**shared)).eval()
    ours = FrameQFormer(
        MicroEmoQFormerConfig(**shared, num_query_tokens=5, keep_text_tokens=True), timestamp="text"
    ).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    weights = {renamed(key): value for key, value in theirs.state_dict().items()}
    missing, unexpected = ours.load_state_dict(weights, strict=False)
    assert missing == ["queries"]
    assert unexpected == []
    torch.nn.init.normal_(ours.queries)
    return ours, theirs


def test_it_computes_what_instructblip_computes(pair):
    ours, theirs = pair
    patches, ids = torch.randn(3, 7, 24), torch.randint(1, 50, (3, SENTENCE_LENGTH))
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    tokens, real = ours(patches, times=torch.zeros(3), input_ids=ids, attention_mask=mask)
    wanted = theirs(
        input_ids=ids,
        attention_mask=torch.cat((torch.ones(3, 5), mask), dim=1),
        query_embeds=ours.queries.expand(3, -1, -1),
        encoder_hidden_states=patches,
    ).last_hidden_state
    torch.testing.assert_close(tokens, wanted, atol=1e-5, rtol=1e-5)
    assert real.sum(1).tolist() == [11, 9, 11]


def test_time_as_a_sentence_needs_the_sentence(pair):
    with pytest.raises(ValueError, match="qformer_input_ids and qformer_attention_mask must be given"):
        pair[0](torch.randn(3, 7, 24), times=torch.zeros(3))


def test_too_long_sentence_is_refused(pair):
    ids = torch.ones(1, 513, dtype=torch.long)
    with pytest.raises(ValueError, match="has 513 tokens per frame, at most 512"):
        pair[0](torch.randn(1, 7, 24), times=torch.zeros(1), input_ids=ids, attention_mask=ids)


def test_frames_that_look_alike_differ_by_their_time():
    torch.manual_seed(0)
    qformer = FrameQFormer(MicroEmoQFormerConfig(**PART, encoder_hidden_size=24), timestamp="fourier").eval()
    torch.nn.init.normal_(qformer.queries)
    patches = torch.randn(1, 7, 24).expand(3, -1, -1)
    tokens, real = qformer(patches, times=torch.tensor([1.0, 1.0, 1.04]))
    assert torch.equal(tokens[0], tokens[1])
    assert not torch.allclose(tokens[0], tokens[2], atol=1e-4)
    assert real.all()


def test_text_padding_is_unmasked_on_request(pair):
    ours = pair[0]
    ids = torch.randint(1, 50, (2, SENTENCE_LENGTH))
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    arguments = {"times": torch.zeros(2), "input_ids": ids, "attention_mask": mask}
    patches = torch.randn(2, 7, 24)
    tokens, masked = ours(patches, **arguments)
    ours.config.mask_text_padding = False
    same, seen = ours(patches, **arguments)
    assert torch.equal(tokens, same)
    assert masked.sum(1).tolist() == [11, 9] and seen.sum(1).tolist() == [11, 11]


def test_timestamp_none_ignores_time():
    torch.manual_seed(0)
    qformer = FrameQFormer(MicroEmoQFormerConfig(**PART, encoder_hidden_size=24), timestamp="none").eval()
    torch.nn.init.normal_(qformer.queries)
    patches = torch.randn(1, 7, 24).expand(2, -1, -1)
    tokens, real = qformer(patches, times=torch.tensor([0.0, 9.0]))
    assert torch.equal(tokens[0], tokens[1])
    assert real.all()
    assert not [name for name, _ in qformer.named_parameters() if name.startswith("timestamp")]
