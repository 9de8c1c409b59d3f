"""The face head: appearance, facial actions and movement."""

import pytest
import torch
from tiny_model import NUM_FACIAL_ACTIONS, collate, tiny_clip, tiny_config, tiny_model

from microemo import MicroEmoForConditionalGeneration, MicroEmoForEmotionClassification, MicroEmoModel
from microemo.heads import FaceHead
from microemo.outputs import MicroEmoFaceFeatures

WIDTH, ACTIONS = 32, 2 * NUM_FACIAL_ACTIONS


def head() -> FaceHead:
    """A face head whose first flow and action values predict happiness."""
    torch.manual_seed(0)
    made = FaceHead(tiny_config())
    with torch.no_grad():
        made.dynamic_expression.weight.zero_()
        made.dynamic_expression.bias.copy_(torch.tensor([3.0, 0.0]))  # neutral at rest
        made.dynamic_expression.weight[1, 0] = 8.0
        made.action_expression.weight.zero_()
        made.action_expression.bias.copy_(torch.tensor([0.5, 0.0]))
        made.action_expression.weight[1, 0] = 2.0
    return made


class TestExpressions:
    def test_flow_does_not_change_expression_logits(self):
        """Movement has separate logits, as speech also moves a neutral face."""
        face = head()
        regions = torch.randn(1, 2, face.static_expression.in_features)
        dynamics = torch.zeros(1, 2, 6, WIDTH)
        dynamics[0, 1, 1, 0] = 1.0
        torch.testing.assert_close(face(regions, dynamics).expression_logits, face.static_expression(regions))
        assert face.of_flow(dynamics[..., 1, :]).expression_logits.argmax(-1).tolist() == [[0, 1]]

    def test_actions_add_to_the_still_face_where_they_were_measured(self):
        face = head()
        regions, dynamics = torch.randn(1, 3, face.static_expression.in_features), torch.randn(1, 3, 6, WIDTH)
        actions = torch.zeros(1, 3, ACTIONS)
        actions[0, 1:, 0] = 0.5
        measured = torch.tensor([[True, True, False]])
        still, read = face(regions, dynamics), face(regions, dynamics, actions, measured)
        added = torch.tensor([[[0.5, 0.0], [0.5, 1.0], [0.0, 0.0]]])
        torch.testing.assert_close(read.expression_logits, still.expression_logits + added)
        for name in ("micro_logits", "action_unit_logits"):
            torch.testing.assert_close(read[name], still[name])

    def test_untrained_head_uses_only_appearance(self):
        face = FaceHead(tiny_config())
        model = MicroEmoModel(tiny_config())
        assert not any(parameter.any() for parameter in model.face_head.action_expression.parameters())
        assert face.action_expression.in_features == ACTIONS
        assert FaceHead(tiny_config(num_facial_actions=7)).action_expression.in_features == 14

    def test_actions_in_single_precision_reach_a_head_of_half_as_much(self):
        face = head().bfloat16()
        regions = torch.randn(1, 2, face.static_expression.in_features, dtype=torch.bfloat16)
        dynamics = torch.randn(1, 2, 6, WIDTH, dtype=torch.bfloat16)
        read = face(regions, dynamics, torch.ones(1, 2, ACTIONS), torch.tensor([[True, False]]))
        assert read.expression_logits.dtype == torch.bfloat16
        added = read.expression_logits - face.static_expression(regions)
        torch.testing.assert_close(added[0].float(), torch.tensor([[0.5, 2.0], [0.0, 0.0]]), atol=0.05, rtol=0)


ACTION_INPUTS = ("face_actions", "relative_face_actions", "face_actions_mask")


class TestActionsInTheModel:
    """The second of the clip's nine faces is not measured."""

    @staticmethod
    @torch.no_grad()
    def logits(model, clip):
        return model(**clip).expression_logits[0]

    @pytest.mark.parametrize("name", ["face_actions", "relative_face_actions"])
    def test_actions_change_expressions_of_measured_faces(self, name):
        model, clip = tiny_model(MicroEmoModel), tiny_clip()
        before = self.logits(model, clip)
        changed = (self.logits(model, {**clip, name: clip[name] + 1.0}) - before).abs().sum(-1) > 1e-3
        assert changed.tolist() == [face != 1 for face in range(9)]

    def test_actions_are_per_face(self):
        model, clip = tiny_model(MicroEmoModel), tiny_clip()
        before, actions = self.logits(model, clip), clip["face_actions"].clone()
        actions[0, 4] += 1.0
        changed = (self.logits(model, {**clip, "face_actions": actions}) - before).abs().sum(-1) > 1e-3
        assert changed.nonzero().flatten().tolist() == [4]

    def test_actions_change_only_expression_logits(self):
        model, clip = tiny_model(MicroEmoModel), tiny_clip()
        without = {name: value for name, value in clip.items() if name not in ACTION_INPUTS}
        with torch.no_grad():
            read, unread = model(**clip), model(**without)
        assert not torch.equal(read.expression_logits, unread.expression_logits)
        for name in ("last_hidden_state", "emotion_logits", "micro_logits", "action_unit_logits"):
            assert torch.equal(read[name], unread[name]), name

    def test_unmeasured_faces_use_only_appearance(self):
        model, clip = tiny_model(MicroEmoModel), tiny_clip()
        without = {name: value for name, value in clip.items() if name not in ACTION_INPUTS}
        nowhere = {**clip, "face_actions_mask": torch.zeros_like(clip["face_actions_mask"])}
        torch.testing.assert_close(self.logits(model, nowhere), self.logits(model, without))

    def test_without_a_mask_every_face_was_measured(self):
        model, clip = tiny_model(MicroEmoModel), tiny_clip()
        clip["face_actions"] = clip["face_actions"] + 0.5
        unmasked = {name: value for name, value in clip.items() if name != "face_actions_mask"}
        changed = (self.logits(model, unmasked) - self.logits(model, clip)).abs().sum(-1) > 1e-3
        assert changed.nonzero().flatten().tolist() == [1]

    def test_actions_at_padding_are_ignored(self):
        model = tiny_model(MicroEmoModel)
        short, long = tiny_clip(num_faces=5, seed=1), tiny_clip(num_faces=9, seed=2)
        batch = collate([short, long])
        batch["face_actions_mask"] = torch.ones_like(batch["face_mask"])
        face = {name: batch[name] for name in ("face_pixel_values", "face_times", "face_mask", *ACTION_INPUTS)}
        with torch.no_grad():
            features = model.get_face_features(**face)
        assert isinstance(features, MicroEmoFaceFeatures)
        assert features.actions.shape == (2, 9, ACTIONS)
        assert torch.equal(features.actions_mask, batch["face_mask"])

    @pytest.mark.parametrize("model_class", [MicroEmoForConditionalGeneration, MicroEmoForEmotionClassification])
    def test_every_model_class_uses_actions(self, model_class):
        model, clip = tiny_model(model_class), tiny_clip()
        more = {"head_pose": torch.randn(1, 9, 3), "gaze": torch.randn(1, 9, 2)}
        with torch.no_grad():
            outputs, core = model(**clip, **more), model.model(**clip)
        torch.testing.assert_close(outputs.expression_logits, core.expression_logits)

    def test_face_logits_equal_those_of_forward(self):
        model, clip = tiny_model(MicroEmoModel), tiny_clip()
        face = {name: clip[name] for name in ("face_pixel_values", "face_times", "face_mask", *ACTION_INPUTS)}
        with torch.no_grad():
            alone = model.get_face_logits(**face).expression_logits[0]
        torch.testing.assert_close(alone, self.logits(model, clip))


def test_micro_logits_are_averaged():
    face = head()
    dynamics = torch.randn(2, 3, 6, WIDTH)
    both = face(torch.randn(2, 3, face.static_expression.in_features), dynamics).micro_logits
    torch.testing.assert_close(
        both, (face.of_movement(dynamics[..., 0, :]).micro_logits + face.of_flow(dynamics[..., 1, :]).micro_logits) / 2
    )
