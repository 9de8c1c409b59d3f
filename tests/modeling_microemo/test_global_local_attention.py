"""Global-local attention: one owner per crop, and equivalence to plain softmax attention."""

import pytest
import torch
from tiny_model import PART

from microemo import MicroEmoDynamicsConfig, MicroEmoQFormerConfig
from microemo.global_local_attention import NO_OWNER, GlobalLocalAttention, nearest_frame


@pytest.fixture
def attention():
    torch.manual_seed(0)
    attention = GlobalLocalAttention(
        MicroEmoQFormerConfig(**PART), dynamics_config=MicroEmoDynamicsConfig(**{**PART, "hidden_size": 24})
    ).eval()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return attention


def test_every_crop_has_exactly_one_owner_and_it_is_the_nearest():
    torch.manual_seed(0)
    frame_times = torch.rand(3, 8).sort(1).values * 10
    frame_mask = torch.tensor([[True] * 8, [True] * 5 + [False] * 3, [False] * 8])
    face_times, clips = torch.rand(200) * 12 - 1, torch.randint(0, 3, (200,))
    owners = nearest_frame(face_times, clips, frame_times=frame_times, frame_mask=frame_mask)
    assert owners.shape == face_times.shape  # one entry a crop: one owner
    for time, clip, owner in zip(face_times, clips, owners, strict=True):
        if clip == 2:
            assert owner == NO_OWNER
            continue
        candidates = frame_times[clip][frame_mask[clip]]
        assert owner // 8 == clip
        assert owner % 8 == (candidates - time).abs().argmin()


def test_ties_belong_to_the_earlier_frame():
    owners = nearest_frame(
        torch.tensor([1.0]),
        torch.tensor([0]),
        frame_times=torch.tensor([[0.0, 2.0]]),
        frame_mask=torch.ones(1, 2, dtype=torch.bool),
    )
    assert owners.tolist() == [0]


def test_the_merged_softmax_equals_attention_over_the_owned_crops(attention):
    frames, local = torch.randn(5, 4, 32), torch.randn(30, 3, 24)
    owners = torch.randint(0, 4, (30,))  # frame 4 owns none
    owners[7] = NO_OWNER
    times = torch.rand(30) * 10
    got = attention(frames, local, times=times, owners=owners)
    local = local + attention.time_embedding(times)[:, None]
    for frame in range(5):
        owned = local[owners == frame].flatten(0, 1)  # (n * R, E)
        if not len(owned):
            assert torch.equal(got[frame], frames[frame])
            continue
        query, key, value = (
            projection(states).unflatten(-1, (2, -1)).transpose(0, 1)
            for projection, states in (
                (attention.q_proj, attention.norm(frames[frame])),
                (attention.k_proj, owned),
                (attention.v_proj, owned),
            )
        )
        mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value).transpose(0, 1).flatten(1)
        wanted = frames[frame] + attention.gate.tanh() * attention.o_proj(mixed)
        torch.testing.assert_close(got[frame], wanted, atol=5e-5, rtol=1e-5)


def test_frames_without_crops_are_unchanged(attention):
    frames = torch.randn(5, 4, 32)
    owners = torch.tensor([NO_OWNER, NO_OWNER])
    assert torch.equal(attention(frames, torch.randn(2, 3, 24), times=torch.rand(2), owners=owners), frames)


def test_extreme_scores_stay_finite(attention):
    frames, local = torch.randn(2, 4, 32), torch.randn(6, 3, 24) * 1e4
    assert attention(frames, local, times=torch.rand(6), owners=torch.tensor([0, 0, 0, 1, 1, 1])).isfinite().all()


def test_crop_times_matter(attention):
    frames, local, owners = torch.randn(2, 4, 32), torch.randn(6, 3, 24), torch.tensor([0, 0, 0, 1, 1, 1])
    early = attention(frames, local, times=torch.arange(6.0), owners=owners)
    late = attention(frames, local, times=torch.arange(6.0) + 0.2, owners=owners)
    assert not torch.allclose(early, late)
