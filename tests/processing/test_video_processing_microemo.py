"""Frames and face crops as normalised tensors with exact times."""

import numpy as np
import pytest
import torch
from synthetic_media import moving_squares, write_video

from microemo.processing.video_processing_microemo import (
    FALLBACK_FPS,
    MicroEmoVideoProcessor,
    TimedVideoMetadata,
    frame_metadata,
)


@pytest.fixture
def processor():
    return MicroEmoVideoProcessor(size={"height": 32, "width": 32}, face_size=16, max_frames=8)


def test_shorter_videos_are_padded_and_masked(processor):
    videos = [moving_squares(count=5, height=40, width=60), moving_squares(count=3, height=64, width=48)]
    times = [[0.0, 0.1, 0.2, 0.5, 0.6], [0.0, 0.4, 0.8]]
    features = processor(videos, video_metadata=[frame_metadata(row) for row in times], return_tensors="pt")
    assert features["pixel_values_videos"].shape == (2, 5, 3, 32, 32)
    assert features["frame_mask"].tolist() == [[True] * 5, [True] * 3 + [False] * 2]
    torch.testing.assert_close(features["frame_times"], torch.tensor([times[0], [*times[1], 0, 0]]))
    assert features["pixel_values_videos"][1, 3:].abs().max() == 0


def test_pixels_are_normalised_by_imagenet(processor):
    grey = np.full((1, 32, 32, 3), 128, dtype=np.uint8)
    pixels = processor([grey], return_tensors="pt", video_metadata=[frame_metadata([0.0])])["pixel_values_videos"]
    expected = (128 / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(pixels[0, 0, :, 5, 5], expected)


def test_variable_frame_rates_keep_their_times(processor, tmp_path):
    times = [0.0, 0.04, 0.12, 0.5, 1.3, 1.34]
    path = write_video(tmp_path / "variable.mp4", moving_squares(count=6, height=48, width=64), times=times)
    features = processor(str(path), return_tensors="pt", return_metadata=True)
    torch.testing.assert_close(features["frame_times"], torch.tensor([times]), atol=1e-3, rtol=0)
    assert features["video_metadata"][0].total_num_frames == 6


def test_long_videos_are_sampled_evenly_to_max_frames(processor, tmp_path):
    path = write_video(tmp_path / "long.mp4", moving_squares(count=24, height=48, width=64), frame_rate=24)
    features = processor(str(path), return_tensors="pt")
    torch.testing.assert_close(features["frame_times"], torch.arange(8)[None] * 0.125, atol=1e-3, rtol=0)


def test_too_many_frames_are_refused(processor):
    with pytest.raises(ValueError, match="num_frames=9"):
        processor([moving_squares(count=4)], num_frames=9, return_tensors="pt")


def test_frames_without_times_use_the_fallback_rate(processor):
    features = processor([moving_squares(count=4)], return_tensors="pt")
    torch.testing.assert_close(features["frame_times"], torch.arange(4)[None] / FALLBACK_FPS)


def test_a_wrong_number_of_times_is_refused(processor):
    metadata = [TimedVideoMetadata(total_num_frames=4, frame_times=[0.0, 0.1], frames_indices=[0, 1])]
    with pytest.raises(ValueError, match="times of 2 frames, the video has 4"):
        processor([moving_squares(count=4)], video_metadata=metadata, do_sample_frames=False)


def test_different_frame_sizes_cannot_be_batched(processor):
    videos = [moving_squares(count=2, height=40, width=60), moving_squares(count=2, height=40, width=48)]
    with pytest.raises(ValueError, match="one size"):
        processor(videos, do_resize=False, return_tensors="pt")


def test_faces_have_their_own_size_and_normalisation(processor):
    processor.face_mean, processor.face_std = [0.5] * 3, [0.25] * 3
    crops = np.full((2, 20, 20, 3), 255, dtype=np.uint8)
    faces = processor.preprocess_faces(crops)
    assert faces.shape == (2, 3, 16, 16) and faces.dtype == torch.float32
    torch.testing.assert_close(faces, torch.full((2, 3, 16, 16), 2.0))
    with pytest.raises(ValueError, match=r"crops must be \(F, h, w, 3\) uint8, got \(2, 20, 20, 3\) float32"):
        processor.preprocess_faces(crops.astype(np.float32))


def test_saved_processor_loads_equal(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    assert MicroEmoVideoProcessor.from_pretrained(tmp_path).to_dict() == processor.to_dict()
