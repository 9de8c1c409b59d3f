"""Time segments in which a clip is encoded: the whole clip and its utterances, or sliding windows.

Segments are half-open intervals [start, end) in seconds. Example with two utterances and eight frames (| and .):

    frames      |   |   |   |   |   |   |   |
    utterance   [---------------------------)   [ 1 )        [ 2   )
                 whole clip                      frames 1     frames 4 5
    window 4/4  [. . . .)[. . . .)
    clip        [---------------------------)
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Segments:
    """The segments of a batch of clips.

    spans: (B, S, 2) float seconds. mask: (B, S) bool, False at padding.
    """

    spans: torch.Tensor
    mask: torch.Tensor

    def membership(self, times: torch.Tensor, *, mask: torch.Tensor) -> torch.Tensor:
        """Returns (B, S, N) bool: True if a time (B, N) lies in the segment and its mask (B, N) is True."""
        starts, ends = self.spans[..., :1], self.spans[..., 1:]
        times = times.unsqueeze(1)
        return (starts <= times) & (times < ends) & mask.unsqueeze(1)

    def where(self, present: torch.Tensor) -> "Segments":
        """Masks all segments of clips in which a stream is missing. present: (B,) bool."""
        return Segments(spans=self.spans, mask=self.mask & present.unsqueeze(1))


def whole_clip(batch_size: int, *, device: torch.device) -> Segments:
    """One unbounded segment per clip."""
    spans = torch.tensor([float("-inf"), float("inf")], device=device).expand(batch_size, 1, 2)
    return Segments(spans=spans, mask=torch.ones(batch_size, 1, dtype=torch.bool, device=device))


def clip_and_utterances(utterance_times: torch.Tensor, *, utterance_mask: torch.Tensor) -> Segments:
    """The whole clip, then each utterance.

    Args:
        utterance_times: (B, U, 2) seconds. utterance_mask: (B, U) bool.
    """
    whole = whole_clip(len(utterance_times), device=utterance_times.device)
    return Segments(
        spans=torch.cat((whole.spans.to(utterance_times.dtype), utterance_times), dim=1),
        mask=torch.cat((whole.mask, utterance_mask), dim=1),
    )


def sliding_windows(
    frame_times: torch.Tensor, *, frame_mask: torch.Tensor, window_frames: int, window_stride: int
) -> Segments:
    """Sliding windows as in TimeChat: segment i contains the frames [i * stride, i * stride + window) of its clip.

    The first window has no start and the last no end, so that audio before and after the frames is included. A clip
    without frames has one unbounded window.

    Args:
        frame_times: (B, T) seconds. frame_mask: (B, T) bool.
    """
    counts = frame_mask.sum(1, keepdim=True)  # (B, 1)
    num_windows = max(1, -(-frame_times.shape[1] // window_stride))
    first = torch.arange(num_windows, device=frame_times.device) * window_stride  # (S,)
    # Padding is sorted to the end; one more infinity is the end of windows that extend beyond the last frame.
    ordered = frame_times.masked_fill(~frame_mask, float("inf")).sort(dim=1).values
    ordered = torch.nn.functional.pad(ordered, (0, 1), value=float("inf"))
    last = ordered.shape[1] - 1
    starts, ends = ordered[:, first.clamp(max=last)], ordered[:, (first + window_frames).clamp(max=last)]
    starts[:, 0] = float("-inf")
    return Segments(spans=torch.stack((starts, ends), dim=-1), mask=first < counts.clamp(min=1))
