"""What the heads make of several kinds of evidence."""

import numpy as np
import pytest
import torch
from tiny_model import tiny_config, tiny_model

from microemo import MicroEmoModel
from microemo.facial_events import FaceScores, detect_events
from microemo.heads import EmotionHead, FaceHead
from microemo.outputs import MicroEmoStreamOutput

WIDTH = 32


def head() -> FaceHead:
    """One whose flow shows happiness by its first value."""
    torch.manual_seed(0)
    made = FaceHead(tiny_config())
    with torch.no_grad():
        made.dynamic_expression.weight.zero_()
        made.dynamic_expression.bias.copy_(torch.tensor([3.0, 0.0]))  # neutral at rest
        made.dynamic_expression.weight[1, 0] = 8.0
    return made


def test_movement_adds_to_the_still_face_and_takes_nothing_away():
    face = head()
    regions = torch.randn(1, 2, face.static_expression.in_features)
    dynamics = torch.zeros(1, 2, 6, WIDTH)
    dynamics[0, 1, 1, 0] = 1.0
    logits = face(regions, dynamics).expression_logits
    still = face.static_expression(regions)
    torch.testing.assert_close(logits[0, 0], still[0, 0])
    torch.testing.assert_close(logits[0, 1], still[0, 1] + torch.tensor([0.0, 5.0]))
    assert face.of_flow(dynamics[..., 1, :]).expression_logits.argmax(-1).tolist() == [[0, 1]]


def test_the_two_opinions_on_something_brief_are_averaged():
    face = head()
    dynamics = torch.randn(2, 3, 6, WIDTH)
    both = face(torch.randn(2, 3, face.static_expression.in_features), dynamics).micro_logits
    torch.testing.assert_close(
        both, (face.of_movement(dynamics[..., 0, :]).micro_logits + face.of_flow(dynamics[..., 1, :]).micro_logits) / 2
    )


SEGMENTS = {**tiny_config().video_qformer_config.to_dict(), "num_query_tokens": 8}
FUSION = {"use_face_readout": True, "use_perception_fusion": True, "video_qformer_config": SEGMENTS}
NUM_VOICES = len(tiny_config().voice_id2label)
MICRO_HAPPINESS, FACE_SEEN, FIRST_VOICE = 5, 6, 7  # behind the means, macro- and micro-expressions of two expressions


class TestPerceptionFusion:
    def test_it_adds_to_what_the_language_model_made_of_all(self):
        head = EmotionHead(tiny_config(**FUSION))
        states, perception = torch.randn(2, 3, WIDTH), torch.zeros(2, 3, 7 + NUM_VOICES + 1)
        perception[1, 2, MICRO_HAPPINESS] = 0.5
        with torch.no_grad():
            head.perception.weight.zero_()
            head.perception.weight[1, MICRO_HAPPINESS] = 4.0  # joy
            head.perception.weight[3, MICRO_HAPPINESS] = 2.0  # valence
            alone, fused = head(states), head(states, perception)
        torch.testing.assert_close((fused.logits - alone.logits)[1, 2], torch.tensor([0.0, 2.0, 0.0]))
        before, after = alone.valence_arousal[1, 2].atanh(), fused.valence_arousal[1, 2].atanh()
        torch.testing.assert_close(after - before, torch.tensor([1.0, 0.0]), atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(fused.logits[0], alone.logits[0])

    def test_a_new_head_adds_nothing(self):
        model = MicroEmoModel(tiny_config(**FUSION))
        assert not model.emotion_head.perception.weight.any()
        assert EmotionHead(tiny_config()).perception is None

    def test_each_utterance_is_scored_with_its_own_events(self):
        model = tiny_model(MicroEmoModel, **FUSION)
        times = torch.arange(0, 4, 1 / 30)[None]
        clip = {
            "input_ids": torch.tensor([[6, 5, 7, 5]]),  # two utterances, no placeholders
            "utterance_times": torch.tensor([[[0.0, 2.0], [2.0, 4.0]]]),
            "face_pixel_values": torch.randn(1, times.shape[1], 3, 64, 64),
            "face_times": times,
        }

        def logits(*, at):
            model.face_scores = lambda *_: ((flash(times[0].numpy(), at=at),),)
            return model(**clip).emotion_logits[0]

        with torch.no_grad():
            early, late, never = logits(at=1.0), logits(at=3.0), logits(at=None)
        weight = model.emotion_head.perception.weight[:3, MICRO_HAPPINESS]
        torch.testing.assert_close(late[0], never[0])
        torch.testing.assert_close(early[1], never[1])
        torch.testing.assert_close(late[1] - never[1], weight, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(early[0] - never[0], weight, atol=1e-4, rtol=1e-3)

    def test_face_and_voice_of_each_utterance(self):
        model = tiny_model(MicroEmoModel, **FUSION)
        spans, timelines = torch.tensor([[[0.0, 0.5], [0.5, 1.0]]]), face_of(seconds=0.5)
        voice = torch.full((1, 3, NUM_VOICES), float("nan"))
        voice[0, 2] = torch.eye(NUM_VOICES)[1] * 99
        audio = MicroEmoStreamOutput()
        audio["voice_logits"] = voice
        first, second = model.perceived(timelines, audio, spans, None)[0]
        assert first[FACE_SEEN] == 1 and not first[FIRST_VOICE:].any()
        assert not second[: FACE_SEEN + 1].any()
        expected = [0.0, 1.0, *[0.0] * (NUM_VOICES - 2), 1.0]
        assert second[FIRST_VOICE:].tolist() == pytest.approx(expected)

    def test_voices_of_other_segments_are_not_taken(self):
        """In the modes "clip" and "window" the audio branch has no logits of utterances."""
        model = tiny_model(MicroEmoModel, **FUSION)
        audio = MicroEmoStreamOutput()
        audio["voice_logits"] = torch.zeros(1, 1, NUM_VOICES)
        spans = torch.tensor([[[0.0, 0.5], [0.5, 1.0]]])
        assert model.perceived(None, audio, spans, None) is None

    def test_nothing_where_there_is_nothing(self):
        model = tiny_model(MicroEmoModel, **FUSION)
        spans = torch.tensor([[[0.0, 1.0]]])
        assert model.perceived(None, None, spans, None) is None
        assert model.perceived(face_of(seconds=1.0), None, None, None) is None
        assert not model.perceived(((),), None, spans, None).any()
        assert not model.perceived(face_of(seconds=1.0), None, spans, torch.zeros(1, 1, dtype=torch.bool)).any()
        model.config.use_perception_fusion = False
        assert model.perceived(face_of(seconds=1.0), None, spans, None) is None

    def test_the_face_is_not_needed_for_the_voice(self):
        config = tiny_config(use_perception_fusion=True, use_local_branch=False)
        assert not config.reads_timelines and EmotionHead(config).perception is not None


def face_of(*, seconds: float):
    """One clip with one face at rest."""
    return ((detect_events(flash(np.arange(0, seconds, 0.1), at=None)),),)


def flash(times: np.ndarray, *, at: float | None) -> FaceScores:
    """A face at rest whose movement alone shows a flash of happiness, or none."""
    near = np.zeros(len(times), bool) if at is None else np.abs(times - at) <= 0.15
    rest = np.tile((1.0, 0.0), (len(times), 1))
    motion = np.where(near[:, None], (0.0, 1.0), (1.0, 0.0))
    return FaceScores(0, times, expressions=rest, micro=near.astype(float), motion=motion)
