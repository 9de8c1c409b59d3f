"""What is wrong with the arguments of `microemo analyze`, found before minutes are spent on a model."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from microemo.inference.request import parse_person

STANDARD_INPUT = "-"


def usage_problem(arguments: argparse.Namespace) -> str | None:
    """The first problem in words for the user; None where there is none. What costs least is looked at first."""
    if not arguments.videos:
        return "give a VIDEO, or --manifest"
    if arguments.shard is not None or arguments.time_limit is not None:
        return "--shard and --time-limit belong to tables: --out must end in .parquet"
    try:
        parse_person(arguments.person)
    except ValueError as error:
        return f"--{error}"
    if arguments.transcript and len(arguments.videos) > 1:
        return f"--transcript belongs to one video, got {len(arguments.videos)}"
    named = [*arguments.videos, *([arguments.transcript] if arguments.transcript else [])]
    folders = [name for name in arguments.videos if Path(name).is_dir()]
    missing = [name for name in named if name not in folders and not _is_readable(name)]
    problem = _output_problem(arguments.out, videos=arguments.videos) if arguments.out else None
    problem = problem or (_resume_problem(arguments.resume, videos=arguments.videos) if arguments.resume else None)
    if problem or missing:
        return problem or f"no such file: {', '.join(missing)}"
    if problem := _folder_problem(folders, fps=arguments.fps) or _number_problem(arguments.audio_track):
        return problem
    return _transcript_problem(arguments.transcript) if arguments.transcript else None


def _is_readable(name: str) -> bool:
    """A web address, a file, or what can be read once: standard input, a pipe."""
    return name == STANDARD_INPUT or "://" in name or (Path(name).exists() and not Path(name).is_dir())


def _folder_problem(folders: list[str], *, fps: float | None) -> str | None:
    if fps is None:
        return f"{folders[0]} is a folder: --fps says how many of its pictures make a second" if folders else None
    if not folders:
        return "--fps belongs to a folder of pictures; files of video have their own times"
    return None if 0 < fps < float("inf") else f"--fps must be > 0, got {fps:g}"


def _number_problem(audio_track: int | None) -> str | None:
    is_wrong = audio_track is not None and audio_track < 0
    return f"--audio-track must be >= 0, got {audio_track}" if is_wrong else None


def is_folder(path: Path) -> bool:
    """Whether an output of this name is a folder of reports: it exists as one, or has no ending."""
    return path.is_dir() or not path.suffix


def _output_problem(out: Path, *, videos: list[str]) -> str | None:
    if len(videos) > 1 and not is_folder(out):
        return f"--out must be a folder for {len(videos)} videos, got {out}"
    stems = [Path(video).stem for video in videos]
    if len(set(stems)) < len(stems):
        return "--out needs videos of different names, since the reports are named after them"
    if not is_folder(out):
        from microemo.inference.report.export import WRITERS, find_writer  # the check is worth the import only here

        try:
            find_writer(out)
        except ValueError:
            return f"--out must end in one of {', '.join(WRITERS)}, or be a folder, got {out}"
        except ImportError as error:
            return f"--out {out}: {error}"
    folder = out if is_folder(out) else out.parent
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        return f"--out {out} cannot be written: {existing} is no folder"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"--out {out} cannot be written: no permission to write in {existing}"
    return None


def _resume_problem(folder: Path, *, videos: list[str]) -> str | None:
    if any("://" in video for video in videos):
        return "--resume needs videos on this machine, since an address may serve another one next time"
    if any(video == STANDARD_INPUT or (Path(video).exists() and not Path(video).is_file()) for video in videos):
        return "--resume needs video files, since a pipe or a folder cannot be read again as it was"
    stems = [Path(video).stem for video in videos]
    if len(set(stems)) < len(stems):
        return "--resume needs videos of different names, since what is kept is named after them"
    return f"--resume must be a folder, got the file {folder}" if folder.is_file() else None


def _transcript_problem(transcript: str) -> str | None:
    from microemo.processing.transcript_formats import FORMATS, parse_transcript  # not worth it where there is none

    try:
        parse_transcript(Path(transcript))
    except (ValueError, OSError) as error:
        allowed = "" if FORMATS in str(error) else f"; allowed are {FORMATS}"
        return f"--transcript {transcript}: {error}{allowed}"
    return None
