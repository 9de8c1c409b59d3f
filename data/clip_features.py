"""Reads the clips of examples, with the data set's own sound, faces and words, and keeps them by content."""

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
SECONDS_A_WORD = 0.4  # how long unspoken words are taken to last
WORDS_ONLY = "the example has words alone"


@dataclass(frozen=True)
class ReadExample:
    """An example and its clip. targets: of each of the clip's utterances, in their order."""

    example: Example
    clip: Clip
    targets: tuple[EmotionTargets, ...]


class ClipLoader:
    """Reads clips of examples; `load` gives the same clip for the same files and settings.

    Args:
        settings: how densely and how large videos are read.
        detector: as `ClipReader` takes it; it is not asked where the data set brings faces.
        landmarker: measures facial actions, head pose and gaze; None leaves them out.
        recognizer: makes the utterances of examples that have none; None makes the clip one utterance.
        person: whose face is attended, "speaker" or "largest".
        cache_dir: keeps what was read under a hash of the files' contents and of the settings; needs a detector that
            is named, and a landmarker that has a fingerprint.
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
            raise ValueError(f"cache_dir needs a detector that is named, got {type(detector).__name__}")
        self._looks = None if landmarker is None else getattr(landmarker, "fingerprint", None)
        if cache_dir is not None and landmarker is not None and self._looks is None:
            raise ValueError(
                f"cache_dir needs a landmarker that has a fingerprint, {type(landmarker).__name__} has none"
            )
        self.settings = settings or ReadingSettings()
        self.landmarker = landmarker
        self.detector, self.recognizer, self.person = detector, recognizer, person
        self.cache = None if cache_dir is None else CropCache(cache_dir)
        self._hashes: dict[tuple[str, int, int], str] = {}
        self._readers: dict[tuple[bool, bool], ClipReader] = {}

    def load(self, example: Example) -> ReadExample:
        """The example's clip with its words.

        Raises `ValueError`, naming the example, when its files cannot be read as one clip.
        """
        try:
            spoken = _spoken(example)
            clip = self._cached_clip(example, spoken)
        except (ValueError, OSError) as error:
            raise ValueError(f"example {example.example_id!r} cannot be read: {error}") from error
        return _with_words(example, clip, spoken)

    def _cached_clip(self, example: Example, spoken: tuple[LabelledUtterance, ...]) -> Clip:
        """The clip with numbers in place of the words, so that mended and sorted utterances are known again."""
        if example.video is None and example.audio is None:
            return _words_only(example, spoken)
        if self.cache is None:
            return self._read(example, spoken)
        key = self._key(example, spoken)
        stored = self.cache.load(key)
        if stored is None:
            clip = self._read(example, spoken)
            self.cache.store(key, arrays_of_clip(clip))
            return clip
        return clip_of_arrays(stored)

    def _key(self, example: Example, spoken: tuple[LabelledUtterance, ...]) -> str:
        files = [None if path is None else self._hash(path) for path in (example.video, example.audio, example.faces)]
        spans = [(entry.start_seconds, entry.end_seconds) for entry in spoken]
        recognizes = self.recognizer is not None and not spoken
        return cache_key("clip", files, spans, self.settings, self.detector, self._looks, self.person, recognizes)

    def _hash(self, path: str) -> str:
        state = Path(path).stat()
        known = (path, state.st_size, state.st_mtime_ns)
        if known not in self._hashes:
            self._hashes[known] = content_hash(Path(path))
        return self._hashes[known]

    def _read(self, example: Example, spoken: tuple[LabelledUtterance, ...]) -> Clip:
        source = example.video or example.audio
        if source is None:
            raise ValueError(f"example {example.example_id} has neither video nor audio to read")
        timed = [
            Utterance(entry.start_seconds, entry.end_seconds, str(number))
            for number, entry in enumerate(spoken)
            if entry.start_seconds is not None and entry.end_seconds is not None
        ]
        reader = self._reader(finds_faces=example.faces is None, recognizes=not spoken)
        clips = list(reader.read(source, transcript=timed or None, person=self.person))
        if len(clips) > 1:
            raise ValueError(
                f"{source} is longer than max_chunk_seconds ({self.settings.max_chunk_seconds:g}); cut it into "
                "examples, or raise that setting"
            )
        clip = clips[0]
        if spoken and not timed:
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
        # Detectors hold handles that cannot go to a worker process, which makes its own.
        return {**self.__dict__, "_readers": {}}


def _spoken(example: Example) -> tuple[LabelledUtterance, ...]:
    """The example's utterances, with the times of its transcript where it has one.

    A sample of one utterance that a transcript divides has the sample's labels in every part.
    """
    if example.transcript is None:
        spoken = example.utterances
    else:
        targets = example.utterances[0].targets if len(example.utterances) == 1 else EmotionTargets()
        spoken = tuple(
            LabelledUtterance(part.text, part.start_seconds, part.end_seconds, part.speaker, targets)
            for part in parse_transcript(Path(example.transcript))
        )
    untimed = sum(entry.start_seconds is None for entry in spoken)
    if untimed and len(spoken) > 1:
        raise ValueError(f"{untimed} of {len(spoken)} utterances have no times; only a single one may go without")
    return spoken


def _with_words(example: Example, clip: Clip, spoken: tuple[LabelledUtterance, ...]) -> ReadExample:
    """The numbers in the clip's utterances replaced by the words and speakers that they stand for."""
    if not spoken:
        return ReadExample(example, clip, targets=(example.targets,) * len(clip.utterances))
    if not all(utterance.text for utterance in clip.utterances):  # no utterance could be kept
        return ReadExample(example, clip, targets=(EmotionTargets(),) * len(clip.utterances))
    owners = [spoken[int(utterance.text.split()[0])] for utterance in clip.utterances]
    utterances = tuple(
        replace(utterance, text=owner.text, speaker=owner.speaker)
        for utterance, owner in zip(clip.utterances, owners, strict=True)
    )
    return ReadExample(example, replace(clip, utterances=utterances), targets=tuple(each.targets for each in owners))


def _words_only(example: Example, spoken: tuple[LabelledUtterance, ...]) -> Clip:
    """A clip without picture and sound, as long as saying the words would take."""
    utterances: list[Utterance] = []
    clock = 0.0
    for number, entry in enumerate(spoken):
        start, end = entry.start_seconds, entry.end_seconds
        if start is None or end is None:
            start, end = clock, clock + SECONDS_A_WORD * max(len(entry.text.split()), 1)
        utterances.append(Utterance(start, end, str(number)))
        clock = end
    missing_reasons = dict.fromkeys(("frames", "faces", "audio"), WORDS_ONLY)
    return Clip(example.example_id, 0.0, clock, tuple(utterances), missing_reasons=missing_reasons)


def _with_sound(clip: Clip, *, path: str, settings: ReadingSettings) -> Clip:
    """The clip with the sound of another file, whose first sample is the video's zero."""
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
    """The clip with the data set's own face crops."""
    if example.faces is None or example.video is None:
        raise ValueError("faces need the video that they were taken from, for their times")
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
    """A clip as arrays that `clip_of_arrays` reads back; face tracks are left out, training does not use them."""
    spans = [(each.start_seconds, each.end_seconds) for each in clip.utterances]
    notes = {
        "source": clip.source,
        "words": [(each.text, each.speaker) for each in clip.utterances],
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
    """The clip of `arrays_of_clip`."""
    notes = json.loads(str(arrays["notes"]))
    pairs = zip(arrays["spans"], notes["words"], strict=True)
    utterances = tuple(Utterance(float(start), float(end), text, who) for (start, end), (text, who) in pairs)
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
