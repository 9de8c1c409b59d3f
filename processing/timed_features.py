"""The model's inputs as one batch, whose times keep their precision wherever the batch is sent."""

from __future__ import annotations

from typing import Any

import torch
from transformers.feature_extraction_utils import BatchFeature

TIME_SUFFIX = "_times"  # frame_times, face_times, utterance_times: seconds


class TimedFeatures(BatchFeature):
    """A `BatchFeature` with times in seconds among its tensors.

        inputs = processor.from_clip(clip, question=...).to("cuda", torch.bfloat16)

    At 30 seconds bfloat16 counts in steps of 0.125 s, so neighbouring frames would be one: `to` moves the times and
    never casts them.
    """

    def to(self, *args: Any, **kwargs: Any) -> TimedFeatures:
        """As `BatchFeature.to`; pictures and sound are cast, times keep their type."""
        times = {
            name: value
            for name, value in self.data.items()
            if name.endswith(TIME_SUFFIX) and isinstance(value, torch.Tensor)
        }
        super().to(*args, **kwargs)
        self.data.update({name: value.to(self.data[name].device) for name, value in times.items()})
        return self
