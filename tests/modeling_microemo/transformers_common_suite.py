"""Transformers' common model and config tests on a tiny MicroEmo; run by `test_transformers_common.py`."""

import unittest
import unittest.mock

import torch
from tiny_model import FRAME_PIXELS, LLAMA, PART, VIT, WHISPER, collate, tiny_clip, tiny_config
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_MAPPING_NAMES,
)
from transformers_common_tests.generation.test_utils import GenerationTesterMixin
from transformers_common_tests.test_configuration_common import ConfigTester
from transformers_common_tests.test_modeling_common import ModelTesterMixin

from microemo import MicroEmoConfig, MicroEmoForConditionalGeneration, MicroEmoModel

# The tests look classes up in the name tables; without them no labels are made for training.
MODEL_MAPPING_NAMES["microemo"] = "MicroEmoModel"
MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES["microemo"] = "MicroEmoForConditionalGeneration"

AUDIO_INPUTS = ("input_features", "audio_mask", "utterance_times", "utterance_mask")
VIDEO_INPUTS = ("pixel_values_videos", "frame_times", "frame_mask", "utterance_times", "utterance_mask")


class MicroEmoTester:
    """What the common tests ask of a tester: sizes, a config and a batch."""

    batch_size = 3
    num_hidden_layers = 2
    num_attention_heads = 4
    hidden_size = 32
    is_training = True
    vision_config = VIT
    text_config = LLAMA
    audio_config = {**WHISPER, "num_hidden_layers": WHISPER["encoder_layers"]}

    def __init__(self, parent):
        self.parent = parent
        self.seq_length = tiny_clip(2)["input_ids"].shape[1]

    def get_config(self):
        # Towers with attention throughout: the tests of attention skip a model with a convolutional part.
        return tiny_config(face_config=VIT, dynamics_config={**PART, "max_regions": 8})

    def prepare_config_and_inputs_for_common(self):
        batch = collate([tiny_clip(2, seed=seed) for seed in range(self.batch_size)])
        batch["face_pixel_values"] = batch["face_pixel_values"][..., :FRAME_PIXELS, :FRAME_PIXELS]
        return self.get_config(), batch


class MicroEmoModelTest(ModelTesterMixin, GenerationTesterMixin, unittest.TestCase):
    all_model_classes = (MicroEmoModel, MicroEmoForConditionalGeneration)
    _is_composite = True
    test_can_init_all_missing_weights_before_2023 = True  # our files carry no year; that test takes them for old

    def setUp(self):
        self.model_tester = MicroEmoTester(self)
        self.config_tester = ConfigTester(self, config_class=MicroEmoConfig, has_text_modality=False)

    def test_config(self):
        self.config_tester.run_common_tests()

    def test_can_init_all_missing_weights(self):
        # Whisper sets its positions in the `_init_weights` of a module without own parameters, and transformers does
        # not ask those for models outside the library. Any tower will do here: it is built, not run.
        config = tiny_config(audio_config=VIT, face_config=VIT)
        with unittest.mock.patch.object(self.model_tester, "get_config", return_value=config):
            super().test_can_init_all_missing_weights()

    def _prepare_for_class(self, inputs_dict, model_class, return_labels=False):
        """Adds the heads' labels, without which no gradient reaches the heads."""
        inputs = super()._prepare_for_class(inputs_dict, model_class, return_labels=return_labels)
        if "labels" in inputs:
            num_clips, num_faces = inputs["face_times"].shape
            inputs["emotion_labels"] = torch.zeros(num_clips, 2, 3)
            inputs["valence_arousal_labels"] = torch.zeros(num_clips, 2, 2)
            inputs["micro_labels"] = torch.zeros(num_clips, num_faces)
            inputs["expression_labels"] = torch.zeros(num_clips, num_faces, dtype=torch.long)
            inputs["action_unit_labels"] = torch.zeros(num_clips, num_faces, 3)
        return inputs

    def _video_features_prepare_config_and_inputs(self):
        config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
        return config, {name: inputs[name] for name in VIDEO_INPUTS}

    def _audio_features_prepare_config_and_inputs(self):
        config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
        return config, {name: inputs[name] for name in AUDIO_INPUTS}
