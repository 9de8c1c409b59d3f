"""What the tokens of a segment say about the face."""

import math

import pytest
import torch
from tiny_model import tiny_config, tiny_model

from microemo import MicroEmoModel
from microemo.face_readout import (
    APEX,
    BRIEF,
    LASTING,
    NO_EXPRESSION,
    NO_FACE,
    OFFSET,
    ONSET,
    FaceReadout,
    FaceTimeline,
)
from microemo.outputs import MicroEmoFaceOutput

NUM_TOKENS = 10
NAMES = {0: "neutral", 1: "happiness", 2: "fear"}


@pytest.fixture
def readout() -> FaceReadout:
    torch.manual_seed(0)
    segments = {**tiny_config().video_qformer_config.to_dict(), "num_query_tokens": NUM_TOKENS}
    return FaceReadout(tiny_config(expression_id2label=NAMES, video_qformer_config=segments, use_face_readout=True))


def timeline(
    *, lasting: tuple[float, float] | None = None, brief: float | None = None, seconds: float = 6.0
) -> tuple[MicroEmoFaceOutput, torch.Tensor]:
    """A face at 30 crops a second: happiness from ... to ..., a flash of fear of 0.3 s around ..."""
    times = torch.arange(0, seconds, 1 / 30)[None]
    expressions = torch.zeros(1, times.shape[1], 3)
    expressions[..., 0] = 6.0
    micro = torch.full_like(times, -6.0)
    if lasting is not None:
        inside = (times >= lasting[0] - 1e-3) & (times <= lasting[1] + 1e-3)
        expressions[inside] = torch.tensor([0.0, 6.0, 0.0])
    if brief is not None:
        near = (times - brief).abs() <= 0.15
        expressions[near] = torch.tensor([0.0, 0.0, 6.0])
        micro = torch.where(near, 6.0 - 30 * (times - brief).abs(), micro)
    units = torch.zeros(1, times.shape[1], 3)
    return MicroEmoFaceOutput(micro_logits=micro, expression_logits=expressions, action_unit_logits=units), times


def said(readout: FaceReadout, face, *, spans) -> torch.Tensor:
    """(S, K, D)."""
    logits, times = face
    membership = torch.stack([(times >= start) & (times < end) for start, end in spans], dim=1)
    with torch.no_grad():
        return readout.said(logits, times=times, membership=membership)[0]


def noun_of(readout: FaceReadout, token: torch.Tensor) -> str:
    return NAMES[(readout.expressions.weight - token).square().sum(-1).argmin().item()]


def time_of(readout: FaceReadout, tokens: torch.Tensor) -> float:
    """The seconds that two tokens name, below ten."""
    digits = [
        (table.weight - token).square().sum(-1).argmin().item()
        for table, token in zip((readout.seconds, readout.tenths), tokens, strict=True)
    ]
    return digits[0] + digits[1] / 10


def test_expressions_and_their_times_are_said(readout):
    with torch.no_grad():
        readout.tens.weight[0] = 0.0
    whole, first, last = said(readout, timeline(lasting=(1.2, 3.4), brief=4.5), spans=[(0, 9), (0.5, 2.0), (4.0, 6.0)])
    none = readout.states.weight[NO_EXPRESSION]
    assert noun_of(readout, whole[LASTING]) == "happiness" and noun_of(readout, whole[BRIEF]) == "fear"
    assert time_of(readout, whole[ONSET : ONSET + 2]) == pytest.approx(1.2, abs=0.11)
    assert time_of(readout, whole[OFFSET : OFFSET + 2]) == pytest.approx(3.4, abs=0.11)
    assert time_of(readout, whole[APEX : APEX + 2]) == pytest.approx(4.5, abs=0.11)
    # An utterance that ends before the expression does still names its whole course, and no flash that comes later.
    assert time_of(readout, first[OFFSET : OFFSET + 2]) == pytest.approx(3.4, abs=0.11)
    torch.testing.assert_close(first[BRIEF], none)
    torch.testing.assert_close(last[LASTING], none)
    assert noun_of(readout, last[BRIEF]) == "fear"


def found(readout: FaceReadout, face, *, spans) -> torch.Tensor:
    """(S, 2, X): the lasting one and the brief one."""
    logits, times = face
    membership = torch.stack([(times >= start) & (times < end) for start, end in spans], dim=1)
    told = readout.found(logits, times=times, membership=membership)[0]
    assert torch.equal(told[:, -1], membership.any(-1)[0].float())
    return told[:, :-1].unflatten(-1, (2, len(NAMES)))


def test_what_is_found_is_told_in_numbers(readout):
    face = timeline(lasting=(1.2, 3.4), brief=4.5)
    spans = [(0, 9), (0.5, 2.0), (4.0, 6.0), (5.5, 6.0), (8, 9)]
    both, lasting, brief, neither, unseen = found(readout, face, spans=spans)
    torch.testing.assert_close(both, torch.stack((lasting[0], brief[1])), atol=1e-3, rtol=0)
    assert lasting[0].argmax() == 1 and brief[1].argmax() == 2
    for shares in (lasting[0], brief[1]):
        assert shares.sum().item() == pytest.approx(1.0) and shares.max() > 0.9 and shares[0] == 0
    assert not brief[0].any() and not neither[0].any() and not unseen.any()
    assert lasting[1].max() < 0.02 and neither[1].max() < 0.02


def test_an_uncertain_flash_is_told_as_such(readout):
    logits, times = timeline(brief=3.0)
    logits.micro_logits.clamp_(max=math.log(0.2 / 0.8))
    tokens, shares = said(readout, (logits, times), spans=[(0, 9)]), found(readout, (logits, times), spans=[(0, 9)])
    torch.testing.assert_close(tokens[0, BRIEF], readout.states.weight[NO_EXPRESSION])
    assert shares[0, 1].sum().item() == pytest.approx(0.4, abs=0.01) and shares[0, 1].argmax() == 2


def test_a_flash_is_of_what_comes_and_goes_with_it(readout):
    logits, times = timeline(lasting=(1.0, 5.0), brief=3.0)
    near = (times - 3.0).abs() <= 0.15
    logits.expression_logits[near] = torch.tensor([0.0, 6.0, 5.0])  # the joy that lasts is still the stronger
    (shares,) = found(readout, (logits, times), spans=[(0, 9)])
    assert shares[0].argmax() == 1 and shares[1].argmax() == 2


def test_what_is_beside_a_flash_is_looked_for_among_the_crops_that_are_seen(readout):
    logits, times = timeline(lasting=(1.0, 5.0), brief=3.0)
    near = (times - 3.0).abs() <= 0.15
    logits.expression_logits[near] = torch.tensor([0.0, 6.0, 5.0])
    seen = ((times - 3.0).abs() - 0.3).abs() > 0.05  # a hole on both sides
    shown = MicroEmoFaceOutput(
        micro_logits=logits.micro_logits,
        expression_logits=torch.where(seen[..., None], logits.expression_logits, torch.tensor([9.0, 0.0, 0.0])),
        action_unit_logits=logits.action_unit_logits,
    )
    shares = readout.found(shown, times=times, membership=seen.unsqueeze(1))[0, 0, len(NAMES) : -1]
    assert shares.argmax() == 2


def edges_of(logits, times) -> tuple[float, float]:
    """Onset and offset of what lasts."""
    seen = torch.ones_like(times, dtype=torch.bool)
    onset, offset = FaceTimeline(logits, neutral=0, seen=seen).lasting(times, seen.unsqueeze(1)).times
    return onset.item(), offset.item()


@pytest.mark.parametrize(("back", "offset"), [(3.2, 5.5), (3.9, 2.6)])
def test_an_expression_that_comes_back_soon_was_held(back, offset):
    logits, times = timeline(lasting=(1.2, 5.5))
    still = (times > 2.6) & (times < back)
    logits.expression_logits[still] = torch.tensor([6.0, 0.0, 0.0])
    assert edges_of(logits, times) == (pytest.approx(1.2, abs=0.11), pytest.approx(offset, abs=0.11))


def test_another_expression_is_no_part_of_one_that_was_held():
    logits, times = timeline(lasting=(1.2, 5.5))
    logits.expression_logits[times < 2.0] = torch.tensor([0.0, 0.0, 6.0])
    assert edges_of(logits, times) == (pytest.approx(2.0, abs=0.11), pytest.approx(5.5, abs=0.11))


def test_a_lasting_expression_is_followed_to_where_it_is_faint():
    logits, times = timeline(lasting=(2.0, 4.0))
    logits.expression_logits[(times > 1.0) & (times < 2.0)] = torch.tensor([1.0, 0.0, -9.0])  # a probability of 0.27
    assert edges_of(logits, times) == (pytest.approx(1.0, abs=0.11), pytest.approx(4.0, abs=0.11))


def test_a_face_at_rest_has_no_times(readout):
    (tokens,) = said(readout, timeline(), spans=[(0, 9)])
    none = readout.states.weight[NO_EXPRESSION]
    torch.testing.assert_close(tokens[[LASTING, BRIEF]], none.expand(2, -1))
    silent = [index for index in range(NUM_TOKENS) if index not in (LASTING, BRIEF)]
    assert not tokens[silent].any()


def test_a_segment_without_crops_says_so_as_a_clip_without_faces_does(readout):
    seen, unseen = said(readout, timeline(lasting=(1.0, 2.0)), spans=[(0, 4), (8, 9)])
    torch.testing.assert_close(unseen, readout.nothing_seen(torch.zeros(1, 1))[0, 0])
    torch.testing.assert_close(unseen[LASTING], readout.states.weight[NO_FACE])
    assert not torch.equal(seen, unseen)


def test_times_beyond_ten_seconds_have_tens(readout):
    (tokens,) = said(readout, timeline(brief=12.5, seconds=14), spans=[(0, 20)])
    torch.testing.assert_close(tokens[APEX], readout.seconds.weight[2] + readout.tens.weight[1])


def test_padding_changes_nothing(readout):
    logits, times = timeline(lasting=(1.2, 3.4), brief=5.9)
    membership = torch.ones(1, 1, times.shape[1], dtype=torch.bool)
    alone = readout.said(logits, times=times, membership=membership)
    behind = {name: torch.cat((value, torch.full_like(value[:, :40], 9.0)), dim=1) for name, value in logits.items()}
    padded = readout.said(
        MicroEmoFaceOutput(**behind),
        times=torch.nn.functional.pad(times, (0, 40)),
        membership=torch.nn.functional.pad(membership, (0, 40)),
    )
    torch.testing.assert_close(alone, padded)


class TestInTheModel:
    def test_too_few_tokens_are_refused(self):
        segments = {**tiny_config().video_qformer_config.to_dict(), "num_query_tokens": 7}
        with pytest.raises(
            ValueError, match=r"use_face_readout needs video_qformer_config.num_query_tokens >= 8, got 7"
        ):
            tiny_config(use_face_readout=True, video_qformer_config=segments)

    def test_the_video_tokens_carry_it(self):
        segments = {**tiny_config().video_qformer_config.to_dict(), "num_query_tokens": 8}
        model = tiny_model(MicroEmoModel, use_face_readout=True, video_qformer_config=segments)
        clip = {
            "pixel_values_videos": torch.rand(1, 4, 3, 32, 32),
            "frame_times": torch.tensor([[0.0, 1.0, 2.0, 3.0]]),
            "utterance_times": torch.tensor([[[0.5, 2.5]]]),
        }
        times = torch.arange(0, 3, 0.1)[None]
        with torch.no_grad():
            faces = model.get_face_features(torch.rand(1, 30, 3, 32, 32), times)
            spoken = model.get_video_features(**clip, face_features=faces, face_times=times).pooler_output[0]
            faceless = model.get_video_features(**clip).pooler_output[0]
            model.config.use_face_readout = False
            silent = model.get_video_features(**clip, face_features=faces, face_times=times).pooler_output[0]
            silent_faceless = model.get_video_features(**clip).pooler_output[0]
        face = model.get_face_logits(torch.rand(1, 30, 3, 32, 32), times)
        assert face.micro_logits is not None
        assert spoken.shape == silent.shape == (2 * 8, 32)
        assert not torch.allclose(spoken, silent, atol=1e-3)
        no_face = model.face_readout.nothing_seen(torch.zeros(1, 2))[0].flatten(0, 1)
        speaks = no_face.any(-1)
        gated = no_face + model.face_readout.gate * silent_faceless
        torch.testing.assert_close(faceless[speaks], gated[speaks], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(faceless[~speaks], silent_faceless[~speaks])

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision_says_the_same(self, dtype):
        segments = {**tiny_config().video_qformer_config.to_dict(), "num_query_tokens": 8}
        model = tiny_model(MicroEmoModel, use_face_readout=True, video_qformer_config=segments)
        pictures, crops, times = torch.rand(1, 4, 3, 32, 32), torch.rand(1, 30, 3, 32, 32), torch.arange(0, 3, 0.1)

        def spoken(dtype):
            own = model.to(dtype)
            faces = own.get_face_features(crops.to(dtype), times[None])
            frame_times = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
            tokens = own.get_video_features(
                pictures.to(dtype), frame_times, face_features=faces, face_times=times[None]
            )
            return tokens.pooler_output[0]

        with torch.no_grad():
            full, half = spoken(torch.float32), spoken(dtype)
        assert half.dtype == dtype
        torch.testing.assert_close(half.float(), full, atol=0.1, rtol=0.1)

    def test_a_new_gate_is_closed_and_words_stand_alone(self, readout):
        readout.gate.data.zero_()
        tokens = torch.randn(1, 1, NUM_TOKENS, 32)
        mixed = readout(tokens, logits=None, times=None, membership=None)
        assert torch.equal(mixed[0, 0, LASTING], readout.states.weight[NO_FACE])
        assert torch.equal(mixed[..., LASTING + 1 : BRIEF, :], tokens[..., LASTING + 1 : BRIEF, :])
