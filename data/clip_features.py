"""Reads the clips of examples, with audio, faces and words from the data set, and caches them by content."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from microemo.data.example import EmotionTargets, Example, LabelledUtterance
from microemo.data.readers.face_arrays import read_face_array
from microemo.processing.audio_reading import read_audio
from microemo.processing.clip import FACE_ARRAYS, Clip, Utterance
from microemo.processing.clip_reading import ClipReader, Recognizer
from microemo.processing.crop_cache import CropCache, cache_key, content_hash
from microemo.processing.face_landmarks import Landmarker
from microemo.processing.reading_settings import ReadingSettings
from microemo.processing.transcript_formats import parse_transcript
from microemo.processing.video_reading import open_video

ARRAYS = ("frames", "frame_times", *FACE_ARRAYS, "waveform")
SECONDS_A_WORD = 0.4  # assumed duration of words without audio
WORDS_ONLY = "the example has words alone"


@dataclass(frozen=True)
class ReadExample:
    """An example and its clip. targets: of each utterance of the clip, in their order."""

    example: Example
    clip: Clip
    targets: tuple[EmotionTargets, ...]


class ClipLoader:
    """Reads clips of examples. `load` is deterministic for given files and settings.

    Args:
        settings: frame rates and sizes for reading.
        detector: face detector, see `ClipReader`; not used for examples with face crops from the data set.
        landmarker: measures facial actions, head pose and gaze; None: not measured.
        recognizer: transcribes examples without utterances; None: the clip is one utterance.
        person: whose face is analysed, "speaker" or "largest".
        cache_dir: folder to cache clips in, by a hash of file contents and settings. Requires a detector given by name
            and a landmarker with a fingerprint.
    """

    def __init__(
        self,
        settings: ReadingSettings | None = None,
        *,
        detector: Any = "centerface",
        landmarker: Landmarker | None = None,
        recognizer: Recognizer | None = None,
        person: str = "speaker",
        cache_dir: str | Path | None = None,
    ) -> None:
        if cache_dir is not None and not isinstance(detector, str | None):
            raise ValueError(f"cache_dir needs a detector given by name, got {type(detector).__name__}")
        self._landmarker_fingerprint = None if landmarker is None else getattr(landmarker, "fingerprint", None)
        if cache_dir is not None and landmarker is not None and self._landmarker_fingerprint is None:
            raise ValueError(f"cache_dir needs a landmarker with a fingerprint, {type(landmarker).__name__} has none")
        self.settings = settings or ReadingSettings()
        self.landmarker = landmarker
        self.detector, self.recognizer, self.person = detector, recognizer, person
        self.cache = None if cache_dir is None else CropCache(cache_dir)
        self._hashes: dict[tuple[str, int, int], str] = {}
        self._readers: dict[tuple[bool, bool], ClipReader] = {}

    def load(self, example: Example) -> ReadExample:
        """Reads the clip of an example, with its words.

        Raises `ValueError` with the example's id if its files cannot be read as one clip.
        """
        try:
            labelled = _labelled_utterances(example)
            clip = self._cached_clip(example, labelled)
        except (ValueError, OSError) as error:
            raise ValueError(f"example {example.example_id!r} cannot be read: {error}") from error
        return _with_words(example, clip, labelled)

    def _cached_clip(self, example: Example, labelled: tuple[LabelledUtterance, ...]) -> Clip:
        """Returns the clip with indices instead of words, to identify utterances after they were sorted or cut."""
        if example.video is None and example.audio is None:
            return _words_only(example, labelled)
        if self.cache is None:
            return self._read(example, labelled)
        key = self._key(example, labelled)
        stored = self.cache.load(key)
        if stored is None:
            clip = self._read(example, labelled)
            self.cache.store(key, arrays_of_clip(clip))
            return clip
        return clip_of_arrays(stored)

    def _key(self, example: Example, labelled: tuple[LabelledUtterance, ...]) -> str:
        files = [None if path is None else self._hash(path) for path in (example.video, example.audio, example.faces)]
        spans = [(entry.start_seconds, entry.end_seconds) for entry in labelled]
        recognizes = self.recognizer is not None and not labelled
        return cache_key(
            "clip", files, spans, self.settings, self.detector, self._landmarker_fingerprint, self.person, recognizes
        )

    def _hash(self, path: str) -> str:
        state = Path(path).stat()
        known = (path, state.st_size, state.st_mtime_ns)
        if known not in self._hashes:
            self._hashes[known] = content_hash(Path(path))
        return self._hashes[known]

    def _read(self, example: Example, labelled: tuple[LabelledUtterance, ...]) -> Clip:
        source = example.video or example.audio
        if source is None:
            raise ValueError(f"example {example.example_id} has neither video nor audio to read")
        timed = [
            Utterance(entry.start_seconds, entry.end_seconds, str(number))
            for number, entry in enumerate(labelled)
            if entry.start_seconds is not None and entry.end_seconds is not None
        ]
        reader = self._reader(finds_faces=example.faces is None, recognizes=not labelled)
        clips = list(reader.read(source, transcript=timed or None, person=self.person))
        if len(clips) > 1:
            raise ValueError(
                f"{source} is longer than max_chunk_seconds ({self.settings.max_chunk_seconds:g}); cut it into "
                "examples, or raise that setting"
            )
        clip = clips[0]
        if labelled and not timed:
            clip = replace(clip, utterances=(replace(clip.utterances[0], text="0"),))
        if example.audio is not None and example.video is not None:
            clip = _with_sound(clip, path=example.audio, settings=self.settings)
        return _with_faces(clip, example=example, settings=self.settings) if example.faces else clip

    def _reader(self, *, finds_faces: bool, recognizes: bool) -> ClipReader:
        if (finds_faces, recognizes) not in self._readers:
            self._readers[finds_faces, recognizes] = ClipReader(
                self.settings,
                detector=self.detector if finds_faces else None,
                landmarker=self.landmarker if finds_faces else None,
                recognizer=self.recognizer if recognizes else None,
            )
        return self._readers[finds_faces, recognizes]

    def __getstate__(self) -> dict[str, Any]:
        # Detectors hold handles that cannot be pickled; a worker process creates new readers.
        return {**self.__dict__, "_readers": {}}


def _labelled_utterances(example: Example) -> tuple[LabelledUtterance, ...]:
    """Returns the utterances of the example, with those of its transcript if there is one.

    If the transcript splits the only utterance of an example, every part gets its labels.
    """
    if example.transcript is None:
        labelled = example.utterances
    else:
        targets = example.utterances[0].targets if len(example.utterances) == 1 else EmotionTargets()
        labelled = tuple(
            LabelledUtterance(part.text, part.start_seconds, part.end_seconds, part.speaker, targets)
            for part in parse_transcript(Path(example.transcript))
        )
    untimed = sum(entry.start_seconds is None for entry in labelled)
    if untimed and len(labelled) > 1:
        raise ValueError(
            f"{untimed} of {len(labelled)} utterances have no times; only a single utterance may have none"
        )
    return labelled


def _with_words(example: Example, clip: Clip, labelled: tuple[LabelledUtterance, ...]) -> ReadExample:
    """Replaces the indices in the clip's utterances by the words and speakers."""
    if not labelled:
        return ReadExample(example, clip, targets=(example.targets,) * len(clip.utterances))
    if not all(utterance.text for utterance in clip.utterances):  # no utterance lies within the clip
        return ReadExample(example, clip, targets=(EmotionTargets(),) * len(clip.utterances))
    sources = [labelled[int(utterance.text.split()[0])] for utterance in clip.utterances]
    utterances = tuple(
        replace(utterance, text=source.text, speaker=source.speaker)
        for utterance, source in zip(clip.utterances, sources, strict=True)
    )
    targets = tuple(source.targets for source in sources)
    return ReadExample(example, replace(clip, utterances=utterances), targets=targets)


def _words_only(example: Example, labelled: tuple[LabelledUtterance, ...]) -> Clip:
    """Returns a clip without video and audio, with an assumed duration of the words."""
    utterances: list[Utterance] = []
    clock = 0.0
    for number, entry in enumerate(labelled):
        start, end = entry.start_seconds, entry.end_seconds
        if start is None or end is None:
            start, end = clock, clock + SECONDS_A_WORD * max(len(entry.text.split()), 1)
        utterances.append(Utterance(start, end, str(number)))
        clock = end
    missing_reasons = dict.fromkeys(("frames", "faces", "audio"), WORDS_ONLY)
    return Clip(example.example_id, 0.0, clock, tuple(utterances), missing_reasons=missing_reasons)


def _with_sound(clip: Clip, *, path: str, settings: ReadingSettings) -> Clip:
    """Replaces the audio of the clip by that of another file, which starts at time zero of the video."""
    waveform = read_audio(
        Path(path),
        sampling_rate=settings.sampling_rate,
        start_seconds=clip.start_seconds,
        end_seconds=clip.end_seconds,
    )
    if waveform is None or len(waveform) == 0:
        return replace(clip, warnings=(*clip.warnings, f"{path} holds no sound"))
    missing_reasons = {name: reason for name, reason in clip.missing_reasons.items() if name != "audio"}
    return replace(clip, waveform=waveform, sampling_rate=settings.sampling_rate, missing_reasons=missing_reasons)


def _with_faces(clip: Clip, *, example: Example, settings: ReadingSettings) -> Clip:
    """Replaces the faces of the clip by the data set's face crops."""
    if example.faces is None or example.video is None:
        raise ValueError("faces need the video that they were cropped from, for their times")
    with open_video(Path(example.video)) as video:
        times = np.asarray(video.times)
    faces = read_face_array(example.faces, frame_times=times, size=settings.face_size, face_fps=settings.face_fps)
    if len(faces.times) == 0:
        return replace(clip, missing_reasons={**clip.missing_reasons, "faces": "the data set's face array is empty"})
    missing_reasons = {name: reason for name, reason in clip.missing_reasons.items() if name != "faces"}
    return replace(
        clip.without_faces(),
        face_crops=faces.crops,
        face_times=faces.times,
        face_track_ids=np.zeros(len(faces.times), np.int64),
        utterance_track_ids=(0,) * len(clip.utterances),
        missing_reasons=missing_reasons,
        warnings=(*clip.warnings, *faces.warnings),
    )


def arrays_of_clip(clip: Clip) -> dict[str, np.ndarray]:
    """Converts a clip to arrays for `clip_of_arrays`, without face tracks, which training does not use."""
    spans = [(utterance.start_seconds, utterance.end_seconds) for utterance in clip.utterances]
    notes = {
        "source": clip.source,
        "words": [(utterance.text, utterance.speaker) for utterance in clip.utterances],
        "utterance_track_ids": clip.utterance_track_ids,
        "absences": clip.missing_reasons,
        "warnings": clip.warnings,
    }
    return {
        **{name: value for name in ARRAYS if (value := getattr(clip, name)) is not None},
        "span": np.array([clip.start_seconds, clip.end_seconds]),
        "spans": np.array(spans, np.float64).reshape(-1, 2),
        "sampling_rate": np.array(clip.sampling_rate),
        "notes": np.array(json.dumps(notes)),
    }


def clip_of_arrays(arrays: dict[str, np.ndarray]) -> Clip:
    """Restores the clip from the output of `arrays_of_clip`."""
    notes = json.loads(str(arrays["notes"]))
    pairs = zip(arrays["spans"], notes["words"], strict=True)
    utterances = tuple(Utterance(float(start), float(end), text, speaker) for (start, end), (text, speaker) in pairs)
    start_seconds, end_seconds = arrays["span"]
    streams: dict[str, Any] = {name: arrays[name] for name in ARRAYS if name in arrays}
    return Clip(
        source=notes["source"],
        start_seconds=float(start_seconds),
        end_seconds=float(end_seconds),
        utterances=utterances,
        utterance_track_ids=tuple(notes["utterance_track_ids"]),
        sampling_rate=int(arrays["sampling_rate"]),
        missing_reasons=notes["absences"],
        warnings=tuple(notes["warnings"]),
        **streams,
    )
