"""Clips to measure on, made from the one that the repository brings: any length, size and number of people.

A segment of the example is drawn and encoded once; longer clips repeat its packets, so that an hour is made in
seconds. Sound is stored as samples: coded audio has a lead-in that cannot be repeated without a seam.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from microemo.processing.audio_reading import read_audio
from microemo.processing.video_reading import open_video

EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.mp4"
FRAME_RATE = 25
SAMPLING_RATE = 16_000
SEGMENT_FRAMES = 180  # 7.2 s, the whole example
KEYFRAME_DISTANCE = 50  # frames, as cameras and web video have it
GREY = 96
SPEECH_SHARE = 0.7  # of the time that belongs to an utterance


@dataclass(frozen=True)
class ClipSpec:
    """What a clip holds. height: of its 16:9 picture, in pixels."""

    seconds: float
    height: int = 360
    people: int = 1

    @property
    def name(self) -> str:
        return f"{self.seconds:g} s, {self.height}p, {self.people} {'person' if self.people == 1 else 'people'}"


def make_clip(spec: ClipSpec, *, folder: Path) -> Path:
    """The clip's file in `folder`, made where it is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    segment = folder / f"segment_{spec.height}p_{spec.people}.mkv"
    if not segment.exists():
        _write_segment(segment, height=spec.height, people=spec.people)
    path = folder / f"clip_{spec.seconds:g}s_{spec.height}p_{spec.people}.mkv"
    if not path.exists():
        _repeat(segment, path, seconds=spec.seconds)
    return path


def spread_utterances(count: int, *, seconds: float) -> list[dict[str, object]]:
    """A transcript of `count` utterances spread evenly over a clip."""
    slot = seconds / count
    return [
        {"start": index * slot, "end": (index + SPEECH_SHARE) * slot, "text": "We have trained for this."}
        for index in range(count)
    ]


def width_of(height: int) -> int:
    """Of a 16:9 picture; even, as video codecs want it."""
    return round(height * 16 / 9 / 2) * 2


def picture_of_people(pictures: np.ndarray, *, index: int, height: int, people: int) -> np.ndarray:
    """(height, width, 3): the portrait's frame once for each person, each at another moment, every second mirrored."""
    width = width_of(height)
    columns = math.ceil(math.sqrt(people))
    rows = math.ceil(people / columns)
    side = min(height // rows, width // columns)
    frame = np.full((height, width, 3), GREY, dtype=np.uint8)
    for person in range(people):
        row, column = divmod(person, columns)
        portrait = pictures[(index + person * len(pictures) // people) % len(pictures)]
        portrait = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
        left = round((column + 0.5) * width / columns - side / 2)
        frame[row * side : (row + 1) * side, left : left + side] = portrait[:, ::-1] if person % 2 else portrait
    return frame


def _write_segment(path: Path, *, height: int, people: int) -> None:
    with open_video(EXAMPLE) as reader:
        pictures = np.concatenate([batch for _, batch in reader.read(np.arange(SEGMENT_FRAMES))])
    waveform = read_audio(EXAMPLE, sampling_rate=SAMPLING_RATE, end_seconds=SEGMENT_FRAMES / FRAME_RATE)
    if waveform is None:
        raise ValueError(f"{EXAMPLE} has no sound")
    draft = path.with_suffix(".part.mkv")
    with av.open(str(draft), "w") as container:
        video = container.add_stream("libx264", rate=FRAME_RATE, options={"g": str(KEYFRAME_DISTANCE), "bf": "0"})
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=SAMPLING_RATE, layout="mono")
        video.height, video.width = height, width_of(height)
        for index in range(SEGMENT_FRAMES):
            picture = picture_of_people(pictures, index=index, height=height, people=people)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        samples = (np.clip(waveform, -1, 1) * 32767).astype(np.int16)
        for first in range(0, len(samples), SAMPLING_RATE // FRAME_RATE):
            sound = av.AudioFrame.from_ndarray(
                samples[None, first : first + SAMPLING_RATE // FRAME_RATE], format="s16", layout="mono"
            )
            sound.sample_rate, sound.pts, sound.time_base = SAMPLING_RATE, first, Fraction(1, SAMPLING_RATE)
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
    draft.rename(path)


def _repeat(segment: Path, path: Path, *, seconds: float) -> None:
    """Writes the segment's packets again and again, without decoding them."""
    draft = path.with_suffix(".part.mkv")
    with av.open(str(draft), "w") as container:
        with av.open(str(segment)) as source:
            streams = {stream.index: container.add_stream_from_template(stream) for stream in source.streams}
        for packet in _repeated_packets(segment, seconds=seconds):
            packet.stream = streams[packet.stream.index]
            container.mux(packet)
    draft.rename(path)


def _repeated_packets(segment: Path, *, seconds: float) -> Iterator[av.Packet]:
    segment_seconds = Fraction(SEGMENT_FRAMES, FRAME_RATE)
    for turn in range(math.ceil(seconds / segment_seconds)):
        with av.open(str(segment)) as source:
            for packet in source.demux():
                if (
                    packet.pts is None
                    or packet.dts is None
                    or packet.pts * packet.time_base + turn * segment_seconds >= seconds
                ):
                    continue
                shift = round(turn * segment_seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                yield packet
