"""What the heads make of several kinds of evidence."""

import torch
from tiny_model import tiny_config, tiny_model

from microemo import MicroEmoModel
from microemo.heads import EmotionHead, FaceHead
from microemo.outputs import MicroEmoFaceOutput

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
FINDING = {"use_face_readout": True, "use_perception_fusion": True, "video_qformer_config": SEGMENTS}


class TestFoundExpressions:
    def test_they_add_to_what_the_language_model_made_of_all(self):
        head = EmotionHead(tiny_config(**FINDING))
        states, found = torch.randn(2, 3, WIDTH), torch.zeros(2, 3, 5)
        found[1, 2, 3] = 0.5
        with torch.no_grad():
            head.found.weight.zero_()
            head.found.weight[1, 3], head.found.weight[3, 3] = 4.0, 2.0  # joy and valence, by brief happiness
            alone, told = head(states), head(states, found)
        torch.testing.assert_close((told.logits - alone.logits)[1, 2], torch.tensor([0.0, 2.0, 0.0]))
        before, after = alone.valence_arousal[1, 2].atanh(), told.valence_arousal[1, 2].atanh()
        torch.testing.assert_close(after - before, torch.tensor([1.0, 0.0]), atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(told.logits[0], alone.logits[0])

    def test_a_new_head_is_told_nothing(self):
        model = MicroEmoModel(tiny_config(**FINDING))
        assert not model.emotion_head.perception.weight.any()
        assert EmotionHead(tiny_config()).found is None

    def test_each_utterance_is_scored_with_what_was_found_in_it(self):
        model = tiny_model(MicroEmoModel, **FINDING)
        times = torch.arange(0, 4, 1 / 30)[None]
        clip = {
            "input_ids": torch.tensor([[6, 5, 7, 5]]),  # two utterances, no placeholders
            "utterance_times": torch.tensor([[[0.0, 2.0], [2.0, 4.0]]]),
            "face_pixel_values": torch.randn(1, times.shape[1], 3, 64, 64),
            "face_times": times,
        }
        faces = model.get_face_features(clip["face_pixel_values"], times)
        found = model.found_expressions(faces, times, None, clip["utterance_times"], None)
        assert found.shape == (1, 2, 5)
        model.moving_logits = lambda features: flash(times, at=3.0)
        seconds = model(**clip).emotion_logits
        model.moving_logits = lambda features: flash(times, at=None)
        nothing = model(**clip).emotion_logits
        model.config.use_perception_fusion = False
        seen = model.emotion_head.perception.weight[:3, 4].expand(2, -1)
        torch.testing.assert_close(nothing[0] - model(**clip).emotion_logits[0], seen)
        torch.testing.assert_close(seconds[0, 0], nothing[0, 0])
        torch.testing.assert_close(seconds[0, 1] - nothing[0, 1], model.emotion_head.perception.weight[:3, 3])

    def test_nothing_is_told_where_there_is_nothing_to_tell(self):
        model = tiny_model(MicroEmoModel, **FINDING)
        times, spans = torch.arange(0, 1, 0.1)[None], torch.tensor([[[0.0, 1.0]]])
        faces = model.get_face_features(torch.randn(1, 10, 3, 64, 64), times)
        assert model.found_expressions(None, None, None, spans, None) is None
        assert model.found_expressions(faces, times, None, None, None) is None
        assert model.found_expressions(faces, times, torch.zeros(1, 10, dtype=torch.bool), spans, None) is None
        unspoken = torch.zeros(1, 1, dtype=torch.bool)
        assert not model.found_expressions(faces, times, None, spans, unspoken).any()
        model.config.use_local_branch = False
        assert model.found_expressions(faces, times, None, spans, None) is None

    def test_how_the_q_formers_read_a_clip_changes_nothing(self):
        model = tiny_model(MicroEmoModel, **FINDING)
        times, spans = torch.arange(0, 1, 0.1)[None], torch.tensor([[[0.0, 0.5], [0.5, 1.0]]])
        faces = model.get_face_features(torch.randn(1, 10, 3, 64, 64), times)
        found = [model.found_expressions(faces, times, None, spans, None)]
        for mode in ("clip", "window"):
            model.config.utterance_mode = mode
            found.append(model.found_expressions(faces, times, None, spans, None))
        assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


def flash(times: torch.Tensor, *, at: float | None) -> MicroEmoFaceOutput:
    """A face at rest, with a brief happiness of which nothing else is seen, or without one."""
    near = torch.zeros_like(times, dtype=torch.bool) if at is None else (times - at).abs() <= 0.15
    expressions = torch.where(near[..., None], torch.tensor([-9.0, 9.0]), torch.tensor([9.0, -9.0]))
    return MicroEmoFaceOutput(
        micro_logits=torch.where(near, 99.0, -99.0),
        expression_logits=expressions,
        action_unit_logits=torch.zeros(*times.shape, 3),
    )
