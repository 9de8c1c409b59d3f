"""`EmotionAnalyzer`: a dialogue video in, an `EmotionReport` out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import transformers

from microemo import MicroEmoConfig, MicroEmoForConditionalGeneration
from microemo.inference.chunk_analysis import ChunkPerception, analyze_chunk
from microemo.inference.model_loading import MINI, load_model, weights_fingerprint
from microemo.inference.questions.answers import Answer, model_answer
from microemo.inference.questions.question import UnparsedQuestion, is_parsed
from microemo.inference.report import building
from microemo.inference.report.building import HeadLabels
from microemo.inference.report.report import EmotionReport, ModelInfo, Settings
from microemo.inference.request import AnalysisRequest, Mode
from microemo.inference.resume_log import ResumeLog
from microemo.inference.stage_timer import Progress, StageTimer, ignore_progress
from microemo.inference.trained_outputs import TrainedOutputs, output_status, trained_outputs
from microemo.processing.clip import Clip
from microemo.processing.clip_reading import ClipReader, ReadingState
from microemo.processing.crop_cache import content_hash
from microemo.processing.face_detection import FaceDetector
from microemo.processing.media_source import MediaSource, plain_source, source_name
from microemo.processing.processing_microemo import MicroEmoProcessor
from microemo.processing.transcript_formats import TranscriptSource


class EmotionAnalyzer:
    """Analyses videos with one loaded model.

    Example:
        >>> analyzer = EmotionAnalyzer.from_pretrained()
        >>> report = analyzer("clip.mp4", transcript="clip.srt")
        >>> print(report)
        >>> report.save("clip.html")
    """

    def __init__(
        self,
        model: MicroEmoForConditionalGeneration,
        processor: MicroEmoProcessor,
        *,
        reader: ClipReader,
        model_id: str = MINI,
    ) -> None:
        """Takes a loaded model; `from_pretrained` is the usual way."""
        self.model = model.eval()
        self.processor = processor
        self.reader = reader
        self.model_id = model_id

    @classmethod
    def from_pretrained(
        cls,
        path_or_id: str | Path | None = None,
        *,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        detector: str | FaceDetector | Callable | None = "centerface",
        speakers: str = "auto",
        cache_dir: str | Path | None = None,
        progress: Progress | None = None,
    ) -> EmotionAnalyzer:
        """The analyzer of a model folder or Hub id; None is the embedded microemo-mini, assembled on first use.

        Args:
            device: None takes CUDA where there is one, else the CPU.
            dtype: None takes float32 on the CPU, else the type that the weights were saved in; "auto" takes bfloat16
                on a CPU that is fast at it; `make bench` measures how far that moves the scores.
            detector: of faces: "centerface", "retinaface", an object with `detect(frames)`, a function, None for none.
            speakers: "auto" has speakers told by their voices where none is given, "none" leaves them open.
            cache_dir: where microemo-mini and Hub downloads are kept.
            progress: called with (stage, done, total).

        Raises:
            ValueError: no such model, or a checkpoint that lacks weights or has foreign ones.
        """
        loaded = load_model(
            path_or_id, device=device, dtype=dtype, cache_dir=cache_dir, speakers=speakers, progress=progress
        )
        reader = loaded.processor.clip_reader(
            detector=detector,
            landmarker=loaded.reading.landmarker,
            recognizer=loaded.reading.recognizer,
            voice_embedder=loaded.reading.voice_embedder,
        )
        return cls(loaded.model, loaded.processor, reader=reader, model_id=loaded.model_id)

    def __call__(
        self,
        source: MediaSource,
        *,
        transcript: TranscriptSource | None = None,
        mode: Mode = "explain",
        person: str | int = "speaker",
        language: str | None = None,
        audio_track: int | None = None,
        journal: str | Path | None = None,
        progress: Progress | None = None,
    ) -> EmotionReport:
        """The report of one video or sound file. The same input gives the same report, but for `timings`.

        Args:
            source: path, http(s) or file URL, bytes, open file, {"path", "bytes"} or a decoder of a `datasets` column,
                `VideoArray`, or `FrameFolder` for a folder of pictures.
            transcript: utterances, as `parse_transcript` takes them: a file (SRT, VTT, TSV, JSON of any usual
                recogniser), a list of dicts or of faster-whisper's segments; None has speech recognised.
            mode: "scores" leaves the explanations out.
            person: whose face is attended: "speaker", "largest" or a track id.
            language: of the speech and the transcript, a code or an English name such as "de" or "german"; None finds
                it out. Words in another language than English are given to the language model in English. Of several
                audio tracks the one in this language is heard.
            audio_track: number of the track to hear, from 0; None takes the wanted language's or the default one.
            journal: file that keeps each chunk of a long video as it is done; a call with the journal of an earlier
                one, which was stopped, goes on where that ended, with the same result.
            progress: called with (stage, done, total).

        Raises:
            ValueError: a source, transcript or argument that cannot be used.
            FileNotFoundError: no such file.
        """
        request = AnalysisRequest(transcript, mode, person, language, audio_track)
        clock = StageTimer(progress)
        chunks = tuple(self.stream(source, request, journal=journal, progress=clock))
        return replace(self._report(chunks, settings=request.settings), timings=clock.timings())

    def ask(
        self,
        source: MediaSource,
        question: str,
        request: AnalysisRequest | None = None,
        *,
        progress: Progress | None = None,
    ) -> Answer:
        """The answer to a question about a video, such as "How often does she smile while he speaks?".

        Counts, durations and the like are answered by code from the report (`EmotionReport.ask`), the rest by the
        model, which reads the evidence.

        Raises:
            UnparsedQuestion: code does not understand it, and the model was not trained to write.
            ValueError: the report cannot be asked this; or as for a call.
        """
        request = (request or AnalysisRequest()).reusable()
        written = None if is_parsed(question) else question
        request = replace(request, mode="scores" if written is None else "explain")
        steps = self._chunks(source, request, question=written, progress=progress)
        chunks = tuple(deque(findings, maxlen=1).pop() for findings in steps)
        report = self._report(chunks, settings=request.settings)
        try:
            return report.ask(question)
        except UnparsedQuestion:
            if report.summary.raw_answer is None:
                raise
        return model_answer(report, question)

    def report_clip(self, clip: Clip, *, settings: Settings, progress: Progress | None = None) -> EmotionReport:
        """The report of a clip that was read before: as that of a call which reads the same and is asked the same."""
        clock = StageTimer(progress)
        *_, chunk = self._steps(clip, mode=settings.mode, progress=clock)
        return replace(self._report((chunk,), settings=settings), timings=clock.timings())

    def stream(
        self,
        source: MediaSource,
        request: AnalysisRequest | None = None,
        *,
        journal: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Iterator[ChunkPerception]:
        """Yields the findings of each chunk as soon as it is analysed.

        A video up to the reader's `max_chunk_seconds` is one chunk.
        """
        request = (request or AnalysisRequest()).reusable()
        with ExitStack() as resources:
            kept = None
            if journal is not None:
                job = self._job(source, request)
                kept = resources.enter_context(ResumeLog(journal, job=job))
                yield from kept.findings
            state = None if kept is None else kept.state
            for steps in self._chunks(source, request, state=state, progress=progress):
                *_, findings = steps
                if kept is not None:
                    kept.append(findings)
                yield findings

    def perceive(
        self, source: MediaSource, request: AnalysisRequest | None = None, *, progress: Progress | None = None
    ) -> Iterator[ChunkPerception]:
        """Yields what the streams of each chunk show by themselves; the language model is asked no question."""
        for steps in self._chunks(source, request or AnalysisRequest(), progress=progress):
            yield next(steps)

    def iter_reports(
        self, source: MediaSource, request: AnalysisRequest | None = None, *, progress: Progress | None = None
    ) -> Iterator[EmotionReport]:
        """Yields the report as it grows: of each chunk the faces, then the emotions, then the explanations.

        The last report is that of a call with the same arguments.
        """
        request = request or AnalysisRequest()
        clock = StageTimer(progress)
        done: tuple[ChunkPerception, ...] = ()
        for steps in self._chunks(source, request, progress=clock):
            for findings in steps:
                report = self._report((*done, findings), settings=request.settings)
                yield replace(report, timings=clock.timings())
            done = (*done, findings)

    def _chunks(
        self,
        source: MediaSource,
        request: AnalysisRequest,
        *,
        state: ReadingState | None = None,
        question: str | None = None,
        progress: Progress | None,
    ) -> Iterator[Iterator[ChunkPerception]]:
        """Yields for each chunk its findings as they grow."""
        clips = self.reader.read(
            source,
            transcript=request.transcript,
            person=request.person,
            language=request.language,
            audio_track=request.audio_track,
            state=state,
            progress=progress,
        )
        for clip in clips:
            yield self._steps(clip, mode=request.mode, question=question, progress=progress or ignore_progress)

    def _job(self, source: MediaSource, request: AnalysisRequest) -> dict[str, Any]:
        """What the findings of a call depend on, for its journal."""
        plain = plain_source(source)
        path = Path(plain).expanduser() if isinstance(plain, (str, Path)) else None
        if path is None or not path.is_file():
            raise ValueError(f"a journal needs a file as source, got {source_name(source)!r}")
        return {
            "source": path.name,
            "sha256": content_hash(path),
            **request.to_dict(),
            **self.provenance(),
        }

    def provenance(self) -> dict[str, Any]:
        """What every report of this analyzer depends on, in terms of JSON: weights, libraries, how clips are read."""
        reader = self.reader
        return {
            "model": {**asdict(self._model_info()), "weights": weights_fingerprint(self.model)},
            "reading": asdict(reader.settings),
            "detector": type(reader.detector).__name__,
            "landmarker": type(reader.landmarker).__name__,
            "recognizer": type(reader.recognizer).__name__,
            "speakers": type(reader.voice_embedder).__name__,
        }

    def _steps(
        self, clip: Clip, *, mode: Mode, progress: Progress, question: str | None = None
    ) -> Iterator[ChunkPerception]:
        outputs = _outputs(self.model.config, mode=mode)
        parts = {"model": self.model, "processor": self.processor}
        return analyze_chunk(clip, **parts, outputs=outputs, progress=progress, question=question)

    def _report(self, chunks: tuple[ChunkPerception, ...], *, settings: Settings) -> EmotionReport:
        config = self.model.config
        labels = HeadLabels(
            emotions=tuple(config.emotion_id2label.values()),
            expressions=tuple(config.expression_id2label.values()),
            action_units=tuple(config.action_unit_id2label.values()),
            voices=tuple(config.voice_id2label.values()),
        )
        outputs = _outputs(config, mode=settings.mode)
        timelines = building.person_timelines(chunks, labels=labels)
        utterances = building.utterance_reports(chunks, timelines=timelines, labels=labels)
        words_from = "speech recognition" if settings.transcript is None else f"transcript {settings.transcript}"
        warnings = dict.fromkeys(warning for chunk in chunks for warning in chunk.clip.warnings)
        unmeasured = dict.fromkeys(filter(None, (chunk.clip.missing_reasons.get("face_actions") for chunk in chunks)))
        warnings |= {f"facial actions were not measured: {reason}": None for reason in unmeasured}
        last = chunks[-1].clip
        return EmotionReport(
            source=chunks[0].clip.source,
            duration_seconds=round(last.end_seconds if last.media_end_seconds is None else last.media_end_seconds, 3),
            modalities=building.modalities(chunks, words_from=words_from),
            status=output_status(outputs, trained_parts=config.trained_parts),
            utterances=utterances,
            summary=building.clip_summary(chunks, utterances=utterances, timelines=timelines),
            face_curves=tuple(timeline.curve for timeline in timelines),
            model=self._model_info(),
            settings=settings,
            warnings=(*warnings, *building.broken_answers(chunks)),
            thumbnails=building.thumbnails(chunks),
        )

    def _model_info(self) -> ModelInfo:
        return ModelInfo(
            model_id=self.model_id,
            trained_parts=tuple(self.model.config.trained_parts),
            device=str(self.model.device),
            dtype=str(self.model.dtype).removeprefix("torch."),
            microemo_version=metadata.version("microemo"),
            transformers_version=transformers.__version__,
            torch_version=torch.__version__,
        )


def _outputs(config: MicroEmoConfig, *, mode: str) -> TrainedOutputs:
    has_voice_head = config.use_audio_branch and config.use_voice_head
    return trained_outputs(
        config.trained_parts, use_local_branch=config.use_local_branch, has_voice_head=has_voice_head, mode=mode
    )
