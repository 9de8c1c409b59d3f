"""Random short parts of a face timeline for training, mostly around micro-expressions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from microemo.data.example import FaceTimeline
from microemo.processing.clip import Clip
from microemo.processing.facial_actions import mirrored_actions
from microemo.processing.head_pose import mirrored_gaze, mirrored_pose

MICRO_EXPRESSION_SHARE = 0.7  # probability of sampling around a micro-expression if the clip has one


def draw_face_clip(clip: Clip, *, timeline: FaceTimeline | None, seconds: float) -> Clip:
    """Keeps the face crops of a random interval of `seconds`, drawn with torch's generator.

    Clips whose face timeline is not longer than `seconds` are returned unchanged.
    """
    if clip.face_crops is None or clip.face_times is None:
        return clip
    times = np.asarray(clip.face_times)
    first, last = float(times[0]), float(times[-1]) - seconds
    if last <= first:
        return clip
    start = first + (last - first) * torch.rand(()).item()
    events = [event for event in timeline.events if event.kind == "micro"] if timeline is not None else []
    if events and torch.rand(()).item() < MICRO_EXPRESSION_SHARE:
        event = events[int(torch.randint(len(events), ()))]
        start = float(np.clip(event.apex_seconds - seconds * (0.1 + 0.8 * torch.rand(()).item()), first, last))
    inside = (times >= start) & (times <= start + seconds)
    return clip.take_faces(inside)


def mirror_faces(clip: Clip) -> Clip:
    """Flips the face crops and face measurements left to right. The face labels do not depend on the side."""
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
