"""Reads the audio that a conversation refers to by path or URL, with PyAV and from any container."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .audio_reading import read_audio

SOURCE_KEYS = ("url", "path")  # in addition to the stream's name, as in transformers
PLACEHOLDER = {"type": "audio"}  # the audio of the preceding video


def with_sound(
    conversation: Sequence[dict[str, Any]], *, sampling_rate: int, from_videos: bool
) -> list[dict[str, Any]]:
    """Returns the messages with the files in their audio blocks replaced by waveforms (S,).

    Args:
        conversation: messages; blocks with arrays are unchanged.
        sampling_rate: of the waveforms.
        from_videos: whether to add the audio of each video file: in an empty audio block that follows it, or in a new
            one. Nothing is added for silent videos.

    Raises `ValueError` for an audio block whose file has no audio.
    """
    return [
        message
        if isinstance(message.get("content"), (str, type(None)))
        else {**message, "content": list(_blocks(message["content"], sampling_rate, from_videos=from_videos))}
        for message in conversation
    ]


def _blocks(content: Sequence[dict[str, Any]], sampling_rate: int, *, from_videos: bool) -> Iterator[dict[str, Any]]:
    after_video = False
    for block in content:
        if block == PLACEHOLDER and after_video:  # the video's audio was inserted before
            after_video = False
            continue
        after_video = False
        source = _file(block, block.get("type"))
        if block.get("type") == "audio" and source is not None:
            waveform = read_audio(source, sampling_rate=sampling_rate)
            if waveform is None:
                raise ValueError(f"the audio block's file has no audio: {source}")
            yield {"type": "audio", "audio": waveform}
            continue
        yield block
        if from_videos and block.get("type") == "video" and source is not None:
            after_video = True
            waveform = read_audio(source, sampling_rate=sampling_rate)
            if waveform is not None:
                yield {"type": "audio", "audio": waveform}


def _file(block: dict[str, Any], kind: Any) -> str | Path | None:
    """The path or URL of a block; None if it holds an array or nothing."""
    value = next((block[key] for key in (kind, *SOURCE_KEYS) if key in block), None)
    return value if isinstance(value, (str, Path)) else None
