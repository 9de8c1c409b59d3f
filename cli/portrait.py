"""`microemo portrait`: a photograph that says a recording."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from microemo.cli.main import EXIT_OK
from microemo.cli.progress_bars import ProgressBars

if TYPE_CHECKING:
    from microemo.synthesis.video.clip_making import FaceTools

FROM_VOICE = "voice"
SIZES = (64, 1024)

DESCRIPTION = """\
Makes a video in which the face of a photograph says a recording: the lips follow the sound's loudness, the eyes blink,
the head moves with the voice, and the face shows an expression. The photograph is warped; no image is generated. Head
and face begin and end at rest. Ask people before you let them say what they have not said."""

EPILOG = """\
examples:
  microemo portrait photo.jpg --audio speech.wav --out talk.mp4
      a neutral face

  microemo portrait photo.jpg --audio speech.wav --emotion joy --intensity 0.8 --out talk.mp4
      an expression of your choice

  microemo portrait photo.jpg --audio speech.wav --emotion voice --out talk.mp4
      the expression that microemo-mini hears in the voice

exit codes:
  0 done   1 failure   2 wrong usage or unusable input   130 interrupted"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("photo", type=Path, metavar="PHOTO", help="a photograph of one face, seen from the front")
    parser.add_argument("--audio", required=True, type=Path, metavar="FILE", help="sound file, or a video's sound")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="the video, .mp4")
    parser.add_argument(
        "--emotion",
        default="neutral",
        metavar="NAME",
        help="neutral, happiness (joy), surprise, sadness, anger, disgust, fear, contempt, or voice: the one that is "
        "heard; default: %(default)s",
    )
    parser.add_argument("--intensity", type=float, default=0.6, help="of the expression, 0 to 1; default: %(default)s")
    parser.add_argument("--fps", type=float, default=25.0, help="frames a second; default: %(default)s")
    parser.add_argument("--size", type=int, default=384, help="side of the frames in pixels; default: %(default)s")
    parser.add_argument("--sway", type=float, default=1.0, help="how lively the head moves; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of blinks and movement; default: %(default)s")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(arguments: argparse.Namespace) -> int:
    """Writes the video; returns the exit code."""
    from microemo.processing.audio_reading import read_audio
    from microemo.synthesis.face.portrait import portrait_of
    from microemo.synthesis.video.clip_making import read_photograph
    from microemo.synthesis.video.speaking_portrait import SpeakingSettings, expression_of, speaking_performance
    from microemo.synthesis.video.video_writing import write_video

    if arguments.out.suffix.lower() != ".mp4":
        raise ValueError(f"--out ({arguments.out}) must end in .mp4")
    if not SIZES[0] <= arguments.size <= SIZES[1] or arguments.size % 2:
        raise ValueError(f"--size ({arguments.size}) must be an even number from {SIZES[0]} to {SIZES[1]}")
    emotion = "neutral" if arguments.emotion == FROM_VOICE else expression_of(arguments.emotion)
    settings = SpeakingSettings(emotion, arguments.intensity, arguments.fps, arguments.sway, arguments.seed)
    waveform = read_audio(arguments.audio)
    if waveform is None:
        raise ValueError(f"--audio ({arguments.audio}) must hold sound, and has no audio track")
    picture = read_photograph(arguments.photo)
    with ProgressBars(enabled=not arguments.quiet) as progress:
        if arguments.emotion == FROM_VOICE:
            emotion = heard_expression(arguments.audio, progress=progress)
            print(f"heard in the voice: {emotion}", file=sys.stderr)
            settings = SpeakingSettings(emotion, arguments.intensity, arguments.fps, arguments.sway, arguments.seed)
        performance = speaking_performance(waveform, settings=settings)
        tools = load_face_tools()
        portrait = portrait_of(
            picture, detect=tools.detect, mesh=tools.mesh, segment=tools.segment, size=arguments.size
        )
        size = (arguments.size, arguments.size)
        count = len(performance.frame_times)

        def counted():
            for number, frame in enumerate(performance.frames(portrait, size=size), start=1):
                progress("frames", number, count)
                yield frame

        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        write_video(
            arguments.out, frames=counted(), frame_times=performance.frame_times, waveform=waveform.astype(np.float32)
        )
    print(arguments.out)
    return EXIT_OK


def load_face_tools() -> FaceTools:
    """What looks at the photograph; its nets are downloaded on the first call."""
    from microemo.synthesis.face.face_models import fetch_face_models
    from microemo.synthesis.generate import face_tools

    return face_tools(fetch_face_models())


def heard_expression(audio: Path, *, progress: ProgressBars) -> str:
    """What microemo-mini hears in the voice, over all utterances by their length; neutral where it hears none."""
    from microemo.inference.analyzer import EmotionAnalyzer
    from microemo.synthesis.video.speaking_portrait import EXPRESSIONS, OTHER_NAMES

    analyzer = EmotionAnalyzer.from_pretrained(progress=progress)
    strengths: dict[str, float] = {}
    for chunk in analyzer.perceive(str(audio), progress=progress):
        for found in (each for own in chunk.evidence for each in own if each.kind == "voice" and each.label):
            name = OTHER_NAMES.get(found.label, found.label)
            seconds = found.end_seconds - found.start_seconds
            strengths[name] = strengths.get(name, 0.0) + (found.certainty or 0.0) * seconds
    known = {name: value for name, value in strengths.items() if name in EXPRESSIONS}
    return max(known, key=lambda name: known[name], default="neutral")
