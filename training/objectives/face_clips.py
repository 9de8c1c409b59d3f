"""Short stretches of a clip's face for training the face's timeline: where something happens, more often than not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from microemo.data.example import FaceTimeline
from microemo.processing.clip import Clip
from microemo.processing.facial_actions import mirrored_actions
from microemo.processing.head_pose import mirrored_gaze, mirrored_pose

EVENT_SHARE = 0.7  # of stretches that are laid about a brief expression, where the clip has one


def draw_stretch(clip: Clip, *, timeline: FaceTimeline | None, seconds: float) -> Clip:
    """The clip with the face crops of one stretch alone, drawn by torch's generator.

    A clip whose face is seen for no longer than `seconds` stays as it is.
    """
    if clip.face_crops is None or clip.face_times is None:
        return clip
    times = np.asarray(clip.face_times)
    first, last = float(times[0]), float(times[-1]) - seconds
    if last <= first:
        return clip
    start = first + (last - first) * torch.rand(()).item()
    brief = [event for event in timeline.events if event.kind == "micro"] if timeline is not None else []
    if brief and torch.rand(()).item() < EVENT_SHARE:
        event = brief[int(torch.randint(len(brief), ()))]
        start = float(np.clip(event.apex_seconds - seconds * (0.1 + 0.8 * torch.rand(()).item()), first, last))
    inside = (times >= start) & (times <= start + seconds)
    return clip.take_faces(inside)


def mirrored(clip: Clip) -> Clip:
    """The clip as a mirror shows its faces; which side a movement is on is in none of the face's labels."""
    if clip.face_crops is None:
        return clip
    clip = replace(clip, face_crops=np.ascontiguousarray(clip.face_crops[:, :, ::-1]))
    if clip.face_actions is None or clip.head_pose is None or clip.gaze is None:
        return clip
    return replace(
        clip,
        face_actions=mirrored_actions(clip.face_actions),
        head_pose=mirrored_pose(clip.head_pose),
        gaze=mirrored_gaze(clip.gaze),
    )
