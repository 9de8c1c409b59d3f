"""What the tokens of a segment say about the face, and what the emotion head is told of face and voice."""

import numpy as np
import pytest
import torch
from tiny_model import tiny_config, tiny_model

from microemo import MicroEmoModel
from microemo.face_readout import (
    APEX,
    MACRO,
    MICRO,
    NO_EXPRESSION,
    NO_FACE,
    OFFSET,
    ONSET,
    FaceReadout,
    face_findings,
)
from microemo.facial_events import FaceTimeline, FacialEvent
from microemo.segments import Segments, clip_and_utterances

NUM_TOKENS = 10
NAMES = {0: "neutral", 1: "happiness", 2: "fear"}
SHOWN = np.eye(3)


@pytest.fixture
def readout() -> FaceReadout:
    torch.manual_seed(0)
    segments = {**tiny_config().video_qformer_config.to_dict(), "num_query_tokens": NUM_TOKENS}
    made = FaceReadout(tiny_config(expression_id2label=NAMES, video_qformer_config=segments, use_face_readout=True))
    with torch.no_grad():
        made.tens.weight[0] = 0.0
    return made


def macro(onset, offset, *, expression=1, track_id=0, probability=0.8):
    return FacialEvent("macro", track_id, onset, (onset + offset) / 2, offset, probability, SHOWN[expression])


def micro(apex, *, expression=2, track_id=0, probability=0.6, **changes):
    shares = changes.get("shares", SHOWN[expression])
    return FacialEvent("micro", track_id, apex - 0.1, apex, apex + 0.1, probability, shares)


def person(*, macros=(), micros=(), seen=(0.0, 6.0), track_id=0, happiness=0.2):
    times = np.arange(*seen, 0.1)
    curves = np.tile((1 - happiness, happiness, 0.0), (len(times), 1))
    return FaceTimeline(track_id, times, curves, tuple(macros), tuple(micros))


def segments(*spans) -> Segments:
    """The whole clip and some utterances."""
    times = torch.tensor([spans], dtype=torch.float32).reshape(1, -1, 2)
    return clip_and_utterances(times, utterance_mask=torch.ones(times.shape[:2], dtype=torch.bool))


def findings(*timelines, spans):
    return face_findings((timelines,), segments(*spans), num_expressions=3, num_units=3)


def said(readout: FaceReadout, *timelines, spans) -> torch.Tensor:
    """(S, K, D) of the whole clip and the spans."""
    with torch.no_grad():
        return readout.said(findings(*timelines, spans=spans))[0]


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
    face = person(macros=[macro(1.2, 3.4)], micros=[micro(4.5)])
    whole, first, last = said(readout, face, spans=[(0.5, 2.0), (4.0, 6.0)])
    none = readout.states.weight[NO_EXPRESSION]
    assert noun_of(readout, whole[MACRO]) == "happiness" and noun_of(readout, whole[MICRO]) == "fear"
    assert time_of(readout, whole[ONSET : ONSET + 2]) == 1.2
    assert time_of(readout, whole[OFFSET : OFFSET + 2]) == 3.4
    assert time_of(readout, whole[APEX : APEX + 2]) == 4.5
    # An utterance that ends before the expression does still names its whole course, and no flash that comes later.
    assert time_of(readout, first[OFFSET : OFFSET + 2]) == 3.4
    torch.testing.assert_close(first[MICRO], none)
    torch.testing.assert_close(last[MACRO], none)
    assert noun_of(readout, last[MICRO]) == "fear"


def test_the_longest_and_the_surest_are_said(readout):
    macros = [macro(0.0, 1.0, expression=2), macro(1.0, 5.0)]
    micros = [micro(2.0, probability=0.5, expression=1), micro(3.0, probability=0.9)]
    whole, early = said(readout, person(macros=macros, micros=micros), spans=[(0.0, 1.4)])
    assert noun_of(readout, whole[MACRO]) == "happiness" and noun_of(readout, early[MACRO]) == "fear"
    assert noun_of(readout, whole[MICRO]) == "fear" and time_of(readout, whole[APEX : APEX + 2]) == 3.0


def test_an_utterance_s_end_belongs_to_the_next(readout):
    _, first, second = said(readout, person(micros=[micro(2.3)]), spans=[(0.1, 2.3), (2.3, 4.0)])
    torch.testing.assert_close(first[MICRO], readout.states.weight[NO_EXPRESSION])
    assert noun_of(readout, second[MICRO]) == "fear"


def test_a_face_at_rest_has_no_times(readout):
    tokens = said(readout, person(), spans=[])[0]
    none = readout.states.weight[NO_EXPRESSION]
    torch.testing.assert_close(tokens[[MACRO, MICRO]], none.expand(2, -1))
    silent = [index for index in range(NUM_TOKENS) if index not in (MACRO, MICRO)]
    assert not tokens[silent].any()


def test_a_segment_without_crops_says_so_as_a_clip_without_faces_does(readout):
    _, seen, unseen = said(readout, person(macros=[macro(1.0, 2.0)]), spans=[(0, 4), (8, 9)])
    torch.testing.assert_close(unseen, readout.nothing_seen(torch.zeros(1, 1))[0, 0])
    torch.testing.assert_close(unseen[MACRO], readout.states.weight[NO_FACE])
    torch.testing.assert_close(said(readout, spans=[])[0], unseen)
    assert not torch.equal(seen, unseen)


def test_times_beyond_ten_seconds_have_tens(readout):
    tokens = said(readout, person(micros=[micro(12.5)], seen=(0.0, 14.0)), spans=[])[0]
    torch.testing.assert_close(tokens[APEX], readout.seconds.weight[2] + readout.tens.weight[1])


def test_what_is_untrained_is_not_said(readout):
    """Micro-expressions without a name, and no expressions."""
    line = FaceTimeline(0, np.arange(0, 6, 0.1), None, None, (micro(4.5, shares=np.zeros(0)),))
    tokens = said(readout, line, spans=[])[0]
    torch.testing.assert_close(tokens[MACRO], readout.states.weight[NO_EXPRESSION])
    assert not tokens[MICRO].any() and time_of(readout, tokens[APEX : APEX + 2]) == 4.5


class TestTwoPeople:
    """Anna smiles in the first utterance, Ben is afraid in the second; each is seen a little at the other's turn."""

    anna = person(macros=[macro(0.5, 2.4, track_id=1)], seen=(0.0, 2.5), track_id=1, happiness=0.9)
    ben = person(
        macros=[macro(1.5, 3.9, expression=2, track_id=2)],
        micros=[micro(1.8, track_id=2), micro(3.0, expression=1, track_id=2)],
        seen=(1.5, 4.0),
        track_id=2,
        happiness=0.1,
    )

    def test_each_utterance_is_about_the_person_seen_in_it(self, readout):
        _, first, second = said(readout, self.anna, self.ben, spans=[(0.0, 2.0), (2.0, 4.0)])
        assert (noun_of(readout, first[MACRO]), noun_of(readout, second[MACRO])) == ("happiness", "fear")
        torch.testing.assert_close(first[MICRO], readout.states.weight[NO_EXPRESSION])
        assert noun_of(readout, second[MICRO]) == "happiness"

    def test_the_whole_clip_is_about_both(self):
        whole = findings(self.anna, self.ben, spans=[])
        assert whole.macro.shares[0, 0].argmax() == 2  # Ben's fear lasts longer
        assert whole.micro.present[0, 0]


def test_clips_of_one_batch_are_apart(readout):
    """One with a face, one without, one whose second utterance is padding."""
    times = torch.tensor([[[0.0, 2.0], [2.0, 4.0]], [[0.0, 2.0], [2.0, 4.0]], [[0.0, 2.0], [0.0, 0.0]]])
    mask = torch.tensor([[True, True], [True, True], [True, False]])
    face = person(macros=[macro(0.5, 1.8)])
    found = face_findings(
        ((face,), (), (face,)),
        clip_and_utterances(times, utterance_mask=mask),
        num_expressions=3,
        num_units=3,
    )
    assert found.seen.tolist() == [[True] * 3, [False] * 3, [True, True, False]]
    assert found.macro.present.tolist() == [[True, True, False], [False] * 3, [True, True, False]]


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
            features = model.get_face_features(torch.rand(1, 30, 3, 32, 32), times)
            faces = {"face_features": features, "face_times": times}
            timelines = model.face_timelines(features, times)
            spoken = model.get_video_features(**clip, **faces, timelines=timelines).pooler_output[0]
            faceless = model.get_video_features(**clip).pooler_output[0]
            model.config.use_face_readout = False
            silent = model.get_video_features(**clip, **faces, timelines=timelines).pooler_output[0]
            silent_faceless = model.get_video_features(**clip).pooler_output[0]
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
            features = own.get_face_features(crops.to(dtype), times[None])
            tokens = own.get_video_features(
                pictures.to(dtype),
                torch.tensor([[0.0, 1.0, 2.0, 3.0]]),
                face_features=features,
                face_times=times[None],
                timelines=own.face_timelines(features, times[None]),
            )
            return tokens.pooler_output[0]

        with torch.no_grad():
            full, half = spoken(torch.float32), spoken(dtype)
        assert half.dtype == dtype
        torch.testing.assert_close(half.float(), full, atol=0.1, rtol=0.1)

    def test_a_new_gate_is_closed_and_words_stand_alone(self, readout):
        readout.gate.data.zero_()
        tokens = torch.randn(1, 1, NUM_TOKENS, 32)
        mixed = readout(tokens, findings=None)
        assert torch.equal(mixed[0, 0, MACRO], readout.states.weight[NO_FACE])
        assert torch.equal(mixed[..., MACRO + 1 : MICRO, :], tokens[..., MACRO + 1 : MICRO, :])

    def test_people_padding_and_order_do_not_mix(self):
        """Two people in one clip, crops in any order, padding behind: each has the scores of their own crops."""
        segments = {**tiny_config().video_qformer_config.to_dict(), "num_query_tokens": 8}
        model = tiny_model(MicroEmoModel, use_face_readout=True, video_qformer_config=segments)
        torch.manual_seed(1)
        crops, times = torch.rand(1, 12, 3, 32, 32), torch.arange(12)[None] / 10
        tracks, mask = torch.tensor([[3, 7] * 6]), torch.arange(12)[None] < 10
        with torch.no_grad():
            features = model.get_face_features(crops, times, mask, tracks)
            ((first, second),) = model.face_scores(features, times, mask, tracks)
            alone = model.get_face_features(crops[:, 0:10:2], times[:, 0:10:2])
            ((person,),) = model.face_scores(alone, times[:, 0:10:2])
            order = torch.randperm(12)
            shuffled = model.get_face_features(crops[:, order], times[:, order], mask[:, order], tracks[:, order])
            ((again, _),) = model.face_scores(shuffled, times[:, order], mask[:, order], tracks[:, order])
        assert (first.track_id, second.track_id) == (3, 7) and len(first.times) == len(second.times) == 5
        for name in ("times", "expressions", "micro", "motion", "action_units"):
            for other in (person, again):
                np.testing.assert_allclose(getattr(first, name), getattr(other, name), atol=1e-5)
