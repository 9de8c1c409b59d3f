"""Membership of frames and audio features in segments."""

import torch

from microemo.segments import clip_and_utterances, sliding_windows, whole_clip


def members(segments, times, mask=None):
    mask = torch.ones_like(times, dtype=torch.bool) if mask is None else mask
    return [[row.nonzero().flatten().tolist() for row in clip] for clip in segments.membership(times, mask=mask)]


def test_the_whole_clip_comes_first_then_each_utterance_half_open():
    times = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    segments = clip_and_utterances(
        torch.tensor([[[0.5, 2.0], [2.0, 9.0], [1.2, 1.8]]]), utterance_mask=torch.ones(1, 3, dtype=torch.bool)
    )
    assert members(segments, times) == [[[0, 1, 2, 3], [1], [2, 3], []]]


def test_masked_times_belong_to_no_segment():
    segments = whole_clip(1, device=torch.device("cpu"))
    assert members(segments, torch.tensor([[0.0, 1.0]]), torch.tensor([[True, False]])) == [[[0]]]


def test_windows_contain_their_frames():
    times = torch.tensor([[0.0, 0.4, 1.1, 1.2, 5.0, 5.5, 9.0]])
    mask = torch.ones_like(times, dtype=torch.bool)
    for window, stride in ((3, 3), (3, 2), (4, 1), (7, 7), (9, 9)):
        segments = sliding_windows(times, frame_mask=mask, window_frames=window, window_stride=stride)
        wanted = [list(range(first, min(first + window, 7))) for first in range(0, 7, stride)]
        assert members(segments, times) == [wanted]
        assert segments.mask.all()


def test_windows_of_a_shorter_clip_are_fewer():
    times = torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 2.0, 0.0, 0.0], [0.0] * 5])
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [False] * 5])
    segments = sliding_windows(times, frame_mask=mask, window_frames=2, window_stride=2)
    # A clip without frames has one window for its audio; `where` masks it for the video stream.
    assert segments.mask.sum(1).tolist() == [3, 2, 1]
    assert members(segments, times, mask)[1][:2] == [[0, 1], [2]]
    assert segments.where(mask.any(1)).mask.sum(1).tolist() == [3, 2, 0]


def test_windows_cover_all_audio():
    times = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    segments = sliding_windows(
        times, frame_mask=torch.ones_like(times, dtype=torch.bool), window_frames=2, window_stride=2
    )
    sound = torch.linspace(0.0, 6.0, 61)[None]
    assert segments.membership(sound, mask=torch.ones_like(sound, dtype=torch.bool)).sum(1).eq(1).all()
