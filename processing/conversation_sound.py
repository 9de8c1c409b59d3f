"""The sound that a conversation names by path or address, read as all sound is here: by PyAV, out of any container."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .audio_reading import read_audio

SOURCE_KEYS = ("url", "path")  # beside the name of the stream itself, as transformers has them
PLACEHOLDER = {"type": "audio"}  # "the sound of the video before me"


def with_sound(
    conversation: Sequence[dict[str, Any]], *, sampling_rate: int, from_videos: bool
) -> list[dict[str, Any]]:
    """Returns the messages with waveforms (S,) in place of the files in their audio blocks.

    Args:
        conversation: Messages; blocks that hold arrays already stay as they are.
        sampling_rate: Of the waveforms.
        from_videos: Whether the sound of each video file follows it: in an empty audio block that stands there, or in
            one of its own. A silent video has none.

    Raises `ValueError` for an audio block whose file has no sound.
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
        if block == PLACEHOLDER and after_video:  # the video's sound has been put there already
            after_video = False
            continue
        after_video = False
        source = _file(block, block.get("type"))
        if block.get("type") == "audio" and source is not None:
            waveform = read_audio(source, sampling_rate=sampling_rate)
            if waveform is None:
                raise ValueError(f"the audio block's file has no sound: {source}")
            yield {"type": "audio", "audio": waveform}
            continue
        yield block
        if from_videos and block.get("type") == "video" and source is not None:
            after_video = True
            waveform = read_audio(source, sampling_rate=sampling_rate)
            if waveform is not None:
                yield {"type": "audio", "audio": waveform}


def _file(block: dict[str, Any], kind: Any) -> str | Path | None:
    """The file or address that a block names; None where it holds an array or nothing."""
    found = next((block[key] for key in (kind, *SOURCE_KEYS) if key in block), None)
    return found if isinstance(found, (str, Path)) else None
