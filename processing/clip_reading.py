"""Reads a video, audio file or arrays into `Clip` values: frames, face crops, audio and utterances on one clock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .audio_reading import read_audio
from .block_recognition import Recognizer, is_silent, recognize_in_blocks
from .chunk_reading import ChunkReader, Progress
from .clip import Clip, Utterance
from .clip_assembly import assemble_clip
from .crop_cache import CropCache, content_hash
from .detection_record import DetectionRecord
from .face_boxes import FaceBoxes, tracks_from_boxes
from .face_detection import FaceDetector, create_detector
from .face_landmarks import Landmarker
from .frame_folder import FrameFolder, find_frames
from .media_index import MediaIndex, index_media
from .media_source import MediaSource, VideoArray, local_file, plain_source, source_name
from .reading_chunks import Chunk, plan_chunks, split_long_utterances
from .reading_settings import ReadingSettings
from .speaker_embedding import SAMPLING_RATE as SPEAKER_SAMPLING_RATE
from .speaker_embedding import VoiceEmbedder
from .speaker_turns import label_speakers, speaker_notes
from .spoken_languages import language_code
from .transcript_english import unused_words_notes, with_english
from .transcript_formats import TranscriptSource, parse_transcript
from .utterance_alignment import align_utterances
from .video_reading import VideoReader, open_video

NO_SPEECH = "no speech found: the clip is one utterance"


@dataclass(frozen=True)
class _Media:
    """An opened source: `opened` is what the readers take, `video` is None for audio only."""

    name: str
    opened: Path | VideoArray | FrameFolder
    index: MediaIndex
    video: VideoReader | None


@dataclass
class ReadingState:
    """Progress of reading one source, for resuming `ClipReader.read`; updated by it.

    spoken: the utterances and the notes about them, None until they are known.
    chunks_read: face detections of the chunks that are already done and are not read again.
    last_chunk: face detections of the most recent chunk.
    on_transcribed: called once the utterances are known, which can take minutes.
    """

    spoken: tuple[tuple[Utterance, ...], tuple[str, ...]] | None = None
    chunks_read: tuple[DetectionRecord, ...] = ()
    last_chunk: DetectionRecord | None = None
    on_transcribed: Callable[[], None] | None = None


class ClipReader:
    """Reads clips.

    Args:
        settings: frame rates, sizes and limits.
        detector: "centerface", "retinaface", an object with `detect(frames)`, a function of frames, or None for no
            faces.
        landmarker: measures facial actions, head pose and gaze; None leaves them out.
        recognizer: transcribes speech if no transcript is given; without it the whole clip is one utterance.
        voice_embedder: labels speakers by voice if no speaker is given; None leaves them unknown.
        cache_dir: folder for cached detections and crops, keyed by content; only used with named detectors, and with
            landmarkers that have a fingerprint.
    """

    def __init__(
        self,
        settings: ReadingSettings | None = None,
        *,
        detector: str | FaceDetector | Callable | None = "centerface",
        landmarker: Landmarker | None = None,
        recognizer: Recognizer | None = None,
        voice_embedder: VoiceEmbedder | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        self.settings = settings or ReadingSettings()
        self.recognizer = recognizer
        self.landmarker = landmarker
        self.voice_embedder = voice_embedder
        self.detector_name = detector if isinstance(detector, str) else None
        self.detector = (
            None if detector is None else create_detector(detector, detection_size=self.settings.detection_size)
        )
        self.cache = None if cache_dir is None else CropCache(cache_dir)

    def read(
        self,
        source: MediaSource,
        *,
        transcript: TranscriptSource | None = None,
        person: str | int = "speaker",
        face_boxes: FaceBoxes | None = None,
        language: str | None = None,
        audio_track: int | None = None,
        state: ReadingState | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Clip]:
        """Yields one `Clip`, or one per chunk of whole utterances if the video exceeds `max_chunk_seconds`.

        Args:
            source: path, http(s) or file URL, bytes, open file, {"path", "bytes"} or a decoder of a `datasets` column,
                `VideoArray` or `FrameFolder`.
            transcript: anything that `parse_transcript` takes, or a tuple of `Utterance`.
            person: the attended face: "speaker", "largest" or a track id.
            face_boxes: known faces, see `tracks_from_boxes`; then no detector runs.
            language: of the speech and the transcript, such as "de" or "german"; None detects it. Among several audio
                tracks, the one in this language is used.
            audio_track: index of the audio track, from 0; None: see `choose_audio_track`.
            state: of an earlier, interrupted reading of the same source, to resume it; kept up to date.
            progress: called with (stage, done, total); the stages are "speech", "frames" (decoding) and "faces"
                (detection).
        """
        language = language_code(language)
        with ExitStack() as resources:
            media = _open_media(
                source,
                resources=resources,
                backend=self.settings.backend,
                audio_track=audio_track,
                language=language,
            )
            state = state or ReadingState()
            if state.spoken is None:
                spoken, notes = self._utterances(media, transcript=transcript, language=language, progress=progress)
                state.spoken = self._with_speakers(spoken, notes, media=media)
                if state.on_transcribed is not None:
                    state.on_transcribed()
            utterances, notes = state.spoken
            utterances, cuts = split_long_utterances(utterances, max_chunk_seconds=self.settings.max_chunk_seconds)
            chunks = plan_chunks(
                utterances,
                duration_seconds=media.index.end_seconds,
                max_chunk_seconds=self.settings.max_chunk_seconds,
            )
            reader = self._chunk_reader(media, face_boxes=face_boxes)
            for detections in state.chunks_read:
                if reader is not None:
                    reader.skip(detections)
            for chunk in chunks[len(state.chunks_read) :]:
                clip, detections = self._read_chunk(
                    media, chunk, reader=reader, person=person, has_speech=NO_SPEECH not in notes, progress=progress
                )
                state.last_chunk = detections
                yield replace(clip, warnings=(*media.index.warnings, *notes, *cuts, *clip.warnings))

    def _utterances(
        self, media: _Media, *, transcript: TranscriptSource | None, language: str | None, progress: Progress | None
    ) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
        """The clip's utterances by start, never empty, and notes about them."""
        duration = media.index.end_seconds
        whole = (Utterance(0.0, duration),)
        if transcript is not None:
            parsed = parse_transcript(transcript, duration_seconds=duration, frame_rate=_frame_rate(media.video))
            aligned, notes = align_utterances(parsed, duration_seconds=duration)
            notes = (*parsed.warnings, *notes)
            if not aligned:
                return whole, (*notes, "the transcript contains no utterance")
            read = (
                None if not media.index.has_audio else _sound_reader(media, sampling_rate=self.settings.sampling_rate)
            )
            translated = with_english(
                aligned,
                read=read,
                recognizer=self.recognizer,
                block_seconds=self.settings.recognition_block_seconds,
                language=language,
            )
            return translated, (*notes, *unused_words_notes(translated))
        if self.recognizer is None or not media.index.has_audio:
            return whole, ()
        transcription = recognize_in_blocks(
            _sound_reader(media, sampling_rate=self.settings.sampling_rate),
            recognizer=self.recognizer,
            duration_seconds=duration,
            block_seconds=self.settings.recognition_block_seconds,
            language=language,
            progress=progress,
        )
        aligned, notes = align_utterances(transcription, duration_seconds=duration)
        notes = (
            *(_low_confidence_note(each) for each in transcription.low_confidence),
            *notes,
            *unused_words_notes(aligned),
        )
        return (aligned, notes) if aligned else (whole, (*notes, NO_SPEECH))

    def _with_speakers(
        self, utterances: tuple[Utterance, ...], notes: tuple[str, ...], *, media: _Media
    ) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
        """The utterances with speakers labelled by voice, and the notes with one about it."""
        has_words = any(each.text for each in utterances)
        if (
            self.voice_embedder is None
            or not media.index.has_audio
            or not has_words
            or any(u.speaker for u in utterances)
        ):
            return utterances, notes
        labelled = label_speakers(
            utterances,
            read=_sound_reader(media, sampling_rate=SPEAKER_SAMPLING_RATE),
            embedder=self.voice_embedder,
        )
        return labelled, (*notes, *speaker_notes(labelled))

    def _chunk_reader(self, media: _Media, *, face_boxes: FaceBoxes | None) -> ChunkReader | None:
        if media.video is None:
            return None
        landmarker_id = None if self.landmarker is None else getattr(self.landmarker, "fingerprint", "")
        cache = self.cache if self.detector_name is not None and landmarker_id != "" else None
        return ChunkReader(
            media.video,
            settings=self.settings,
            detector=self.detector,
            landmarker=self.landmarker,
            boxed_tracks=() if face_boxes is None else tracks_from_boxes(face_boxes),
            cache=cache,
            cache_parts=()
            if cache is None
            else (_content_hash(media.opened), self.detector_name, landmarker_id, self.settings),
        )

    def _read_chunk(
        self,
        media: _Media,
        chunk: Chunk,
        *,
        reader: ChunkReader | None,
        person: str | int,
        has_speech: bool,
        progress: Progress | None,
    ) -> tuple[Clip, DetectionRecord]:
        missing_reasons: dict[str, str] = {}
        warnings: tuple[str, ...] = ()
        waveform = _read_sound(
            media, chunk, sampling_rate=self.settings.sampling_rate, missing_reasons=missing_reasons
        )
        pictures = None
        if reader is None:
            missing_reasons["frames"] = missing_reasons["faces"] = "the file contains audio only"
            if media.index.warnings:
                missing_reasons["frames"] = missing_reasons["faces"] = media.index.warnings[-1]
        else:
            pictures = reader.read(chunk, progress=progress)
            warnings = reader.video.warnings[len(media.index.warnings) :]
            if self.detector is None and not reader.boxed_tracks:
                missing_reasons["faces"] = "face detection is disabled"
            if len(pictures.frame_times) == 0:
                missing_reasons["frames"] = "no frame of this part of the video can be read"
        if waveform is None and (pictures is None or len(pictures.frame_times) == 0):
            raise ValueError(f"{media.name} contains neither readable frames nor audio: {missing_reasons}")
        if waveform is not None and not has_speech:
            # Without speech, the model would assign a vocal emotion to music or noise.
            waveform, missing_reasons["audio"] = None, "no speech"
        clip = assemble_clip(
            media.name,
            chunk=chunk,
            pictures=pictures,
            waveform=waveform,
            person=person,
            settings=self.settings,
            missing_reasons=missing_reasons,
            warnings=warnings,
        )
        detections = DetectionRecord.of([]) if pictures is None else pictures.detections
        return replace(clip, media_end_seconds=media.index.end_seconds), detections


def _frame_rate(video: VideoReader | None) -> float | None:
    """Frames per second of the video for transcripts that count in frames; None if unknown."""
    times = None if video is None else video.times
    return None if times is None or len(times) < 2 else 1 / float(np.median(np.diff(times)))


def _low_confidence_note(utterance: Utterance) -> str:
    return f"low-confidence speech left out at {utterance.start_seconds:.1f}-{utterance.end_seconds:.1f} s"


def _open_media(
    source: MediaSource,
    *,
    resources: ExitStack,
    backend: str | None,
    audio_track: int | None,
    language: str | None,
) -> _Media:
    name, plain = source_name(source), plain_source(source)
    if isinstance(plain, (VideoArray, FrameFolder)):
        video = resources.enter_context(open_video(plain))
        waveform = plain.waveform if isinstance(plain, VideoArray) else None
        sound_seconds = 0.0
        if isinstance(plain, VideoArray) and waveform is not None:
            sound_seconds = len(waveform) / plain.sampling_rate
        end = max(video.duration_seconds, sound_seconds)
        return _Media(name, plain, MediaIndex(None, waveform is not None, end, video.warnings), video)
    path = resources.enter_context(local_file(source))
    index = index_media(path, audio_track=audio_track, language=language)
    if index.end_seconds <= 0:
        raise ValueError(f"{name} contains neither audio nor video of any duration")
    reader = None
    if index.video is not None:
        reader = resources.enter_context(open_video(path, backend=backend, index=index))
    return _Media(name, path, index, reader)


def _sound_reader(media: _Media, *, sampling_rate: int) -> Callable[[float, float], np.ndarray | None]:
    """Returns a function that reads the audio between two times in seconds."""
    return lambda start, end: read_audio(
        media.opened, sampling_rate=sampling_rate, start_seconds=start, end_seconds=end, index=media.index
    )


def _read_sound(
    media: _Media, chunk: Chunk, *, sampling_rate: int, missing_reasons: dict[str, str]
) -> np.ndarray | None:
    """The chunk's waveform, or None with the reason in `missing_reasons`."""
    waveform = None
    if media.index.has_audio:
        waveform = _sound_reader(media, sampling_rate=sampling_rate)(chunk.start_seconds, chunk.end_seconds)
    if waveform is None:
        missing_reasons["audio"] = "the file has no audio stream"
    elif is_silent(waveform):
        missing_reasons["audio"] = "the audio is silent"
        return None
    return waveform


def _content_hash(opened: Path | VideoArray | FrameFolder) -> str:
    if isinstance(opened, Path):
        return content_hash(opened)
    if isinstance(opened, FrameFolder):
        files = find_frames(opened).files
        return hashlib.sha256(
            repr((opened.fps, [(each.name, content_hash(each)) for each in files])).encode()
        ).hexdigest()
    digest = hashlib.sha256(repr(opened.frames.shape).encode())
    for array in (opened.frames, opened.times):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
