"""The demo's settings: arguments of `microemo demo`, environment variables on a Space."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from microemo.spaces_demo.limits import Limits


@dataclass(frozen=True)
class DemoSettings:
    """model: folder or Hub id, None for the embedded microemo-mini. device: None for CUDA where there is one.

    concurrency: analyses at once, each in a process with a model of its own. max_waiting: visitors in the queue.
    """

    model: str | None = None
    device: str | None = None
    limits: Limits = field(default_factory=Limits)
    concurrency: int = 1
    max_waiting: int = 20
    max_job_seconds: float = 600.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> DemoSettings:
        """MICROEMO_MODEL, MICROEMO_DEVICE, MICROEMO_MAX_SECONDS, MICROEMO_MAX_MEGABYTES, MICROEMO_CONCURRENCY.

        Raises `ValueError` for what is no number.
        """
        defaults = Limits()
        return cls(
            model=environment.get("MICROEMO_MODEL") or None,
            device=environment.get("MICROEMO_DEVICE") or None,
            limits=Limits(
                max_seconds=_number(environment, "MICROEMO_MAX_SECONDS", defaults.max_seconds),
                max_megabytes=int(_number(environment, "MICROEMO_MAX_MEGABYTES", defaults.max_megabytes)),
            ),
            concurrency=int(_number(environment, "MICROEMO_CONCURRENCY", 1)),
        )


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name)
    try:
        return float(text) if text else default
    except ValueError as error:
        raise ValueError(f"{name} must be a number, got {text!r}") from error
