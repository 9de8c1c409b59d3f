"""Runs transformers' tests of processors and video processors on ours; started by `test_transformers_suite.py`.

It is not collected directly, because its base classes must be downloaded first.
"""

import os
import tempfile
import unittest
from pathlib import Path

import torch
from PIL import Image
from synthetic_media import moving_squares, tone, write_video, write_wav
from tiny_processor import tiny_processor, tiny_tokenizer
from transformers import AutoProcessor, AutoVideoProcessor, WhisperFeatureExtractor
from transformers_sdist import MEDIA_VARIABLE, transformers_common_tests

import microemo  # noqa: F401  registers the Auto classes
from microemo.processing.processing_microemo import MicroEmoProcessor
from microemo.processing.video_processing_microemo import MicroEmoVideoProcessor

VIDEO_FRAMES = 11


def write_media(folder: Path) -> None:
    """Writes small files with the names that the tests would download from the Hub."""
    video = moving_squares(count=VIDEO_FRAMES, height=48, width=64)
    for name in ("tiny_video_320x240", "big_buck_bunny_320x240_10s", "sample_demo_1_320x240"):
        write_video(folder / f"{name}.mp4", video)
    for name in ("glass-breaking-151256.mp3", "f2641_0_throatclearing.wav"):
        write_wav(folder / name, tone(seconds=1.5))
    for name in ("coco_sample.png", "australia.jpg"):
        Image.fromarray(video[0]).save(folder / name)


os.environ[MEDIA_VARIABLE] = tempfile.mkdtemp(prefix="microemo-media-")
write_media(Path(os.environ[MEDIA_VARIABLE]))
transformers_common_tests()
from transformers_common_tests import test_processing_common as processing_common  # noqa: E402
from transformers_common_tests import test_video_processing_common as video_common  # noqa: E402


class ProcessorTest(processing_common.ProcessorTesterMixin, unittest.TestCase):
    processor_class = MicroEmoProcessor
    # One byte is one token here, so that texts with 8 placeholders need more room than the defaults give.
    videos_text_kwargs_max_length = 64
    videos_text_kwargs_override_max_length = 60
    videos_unstructured_max_length = 64
    chat_template_max_length = 300

    @classmethod
    def _setup_tokenizer(cls):
        return tiny_tokenizer()

    @classmethod
    def _setup_feature_extractor(cls):
        return WhisperFeatureExtractor(feature_size=16, chunk_length=2)

    @classmethod
    def _setup_video_processor(cls):
        return MicroEmoVideoProcessor(size={"height": 32, "width": 32}, face_size=16, max_frames=8)

    @staticmethod
    def prepare_processor_dict():
        # One template: the tests write a chat_template.json, which may not stand beside several.
        return {"chat_template": tiny_processor().chat_template["default"]}

    @property
    def video_sampling_expectations(self):
        """25 frames a second, `max_frames` 8."""
        return [
            {"num_frames": 3, "fps": None, "expected_dim": 1, "output_length": 3},
            {"num_frames": None, "fps": 10, "expected_dim": 1, "output_length": VIDEO_FRAMES * 10 // 25},
            {"do_sample_frames": False, "fps": 10, "expected_dim": 1, "output_length": VIDEO_FRAMES},
            {"do_sample_frames": False, "expected_dim": 1, "output_length": VIDEO_FRAMES},
            {"expected_dim": 1, "output_length": 8},
        ]

    def test_chat_template_with_videos_from_files_and_arrays(self):
        """Two tests of the mixin ask for torchcodec; our video processor reads without it."""
        arguments = ("pt", "videos_input_name", "video_processor")
        for batch_size in (1, 2):
            files = list(processing_common.MODALITY_INPUT_DATA["videos"])
            self._test_apply_chat_template("video", batch_size, *arguments, files)
        self._test_apply_chat_template("video", 1, *arguments, [self.prepare_videos_inputs()])

    def test_subprocessor_defaults_3_audio(self):
        """Overridden: audio has an axis of windows (B, W, mel, frames); each window is what the extractor makes."""
        processor, audio = self.get_processor(), self.prepare_audio_inputs()
        extracted = self.get_component("feature_extractor")(audio, sampling_rate=16_000, return_tensors="pt")
        windows = processor(audio=audio, return_tensors="pt")["input_features"]
        torch.testing.assert_close(windows[:, 0], extracted["input_features"])
        self.assertEqual(windows.shape[1], 1)

    def test_processor_is_loaded_by_the_auto_class(self):
        self.assertIsInstance(AutoProcessor.from_pretrained(self.tmpdirname), MicroEmoProcessor)


class VideoProcessorTester:
    batch_size, num_channels, num_frames = 4, 3, 8
    min_resolution, max_resolution = 30, 60

    def expected_output_video_shape(self, videos):
        return [self.num_frames, self.num_channels, 18, 18]

    def prepare_video_inputs(self, equal_resolution=False, return_tensors="pil"):
        return video_common.prepare_video_inputs(
            batch_size=self.batch_size,
            num_frames=self.num_frames,
            num_channels=self.num_channels,
            min_resolution=self.min_resolution,
            max_resolution=self.max_resolution,
            equal_resolution=equal_resolution,
            return_tensors=return_tensors,
        )


class VideoProcessorTest(video_common.VideoProcessingTestMixin, unittest.TestCase):
    fast_video_processing_class = MicroEmoVideoProcessor
    test_cast_dtype = "float16"

    def setUp(self):
        super().setUp()
        self.video_processor_tester = VideoProcessorTester()
        self.video_processor_dict = {
            "do_resize": True,
            "size": {"height": 20, "width": 20},
            "do_center_crop": True,
            "crop_size": {"height": 18, "width": 18},
            "do_normalize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "do_convert_rgb": True,
        }

    def test_video_processor_from_dict_with_kwargs(self):
        """Overridden: sizes are square, where the original expects the shortest edge."""
        processor = MicroEmoVideoProcessor.from_dict(self.video_processor_dict)
        self.assertEqual((processor.size["height"], processor.size["width"]), (20, 20))
        processor = MicroEmoVideoProcessor.from_dict(self.video_processor_dict, size=42, crop_size=84)
        self.assertEqual((processor.size["height"], processor.size["width"]), (42, 42))
        self.assertEqual((processor.crop_size["height"], processor.crop_size["width"]), (84, 84))

    def test_processor_is_loaded_by_the_auto_class(self):
        with tempfile.TemporaryDirectory() as folder:
            MicroEmoVideoProcessor().save_pretrained(folder)
            self.assertIsInstance(AutoVideoProcessor.from_pretrained(folder), MicroEmoVideoProcessor)
