"""`pipeline("video-emotion-recognition", model=...)`: transformers' way to the analyzer's reports, as plain dicts.

import microemo                     registers it
from transformers import pipeline
recognize = pipeline("video-emotion-recognition", model="user/microemo-mini")
recognize("clip.mp4")               a report
recognize(["a.mp4", "b.mp4"])       a list of reports
recognize(path for path in paths)   an iterator, one report at a time
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from huggingface_hub import snapshot_download
from transformers import Pipeline

if TYPE_CHECKING:
    from microemo.processing.face_detection import FaceDetector
    from microemo.processing.speech_recognition import SpeechRecognizer

TASK = "video-emotion-recognition"
# Subfolders of a model with what reads videos, as `model_loading` names them.
READING_MODELS = ("speech_recognition", "face_landmarks", "speaker_embedding")
# What a call may say beside its video, as `EmotionAnalyzer` takes it.
CALL_ARGUMENTS = ("transcript", "mode", "person", "language", "audio_track", "journal")


class VideoEmotionRecognitionPipeline(Pipeline):
    """Videos in, reports out: dicts as in `report.schema.json`, by the same code as `EmotionAnalyzer`.

    A video is whatever `EmotionAnalyzer` takes - a path, web address, bytes, open file, cell of a `datasets` Video
    column, `VideoArray`, `FrameFolder` - or a dict that has it under "video" and beside it arguments of its own:
    {"video": "a.mp4", "transcript": "a.srt"}. Videos are analysed one after the other whatever `batch_size` says: the
    utterances of a video are the batch.

    Args:
        detector: Of faces, as `EmotionAnalyzer.from_pretrained` takes it.
        speech_recognition: Recognizer, or folder or Hub id of a Whisper; None takes the one that the model brings.
        model, processor, device and the other arguments: See `transformers.Pipeline`.
    """

    _load_processor = True  # type: ignore[assignment]  # declared as None there
    _load_tokenizer = False  # type: ignore[assignment]  # declared as None there
    _load_feature_extractor = False  # type: ignore[assignment]  # declared as None there
    _load_image_processor = False  # type: ignore[assignment]  # declared as None there
    _load_video_processor = False  # type: ignore[assignment]  # declared as None there

    def __init__(
        self,
        *args: Any,
        detector: str | FaceDetector | Callable | None = "centerface",
        speech_recognition: SpeechRecognizer | str | Path | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        # transformers imports this module with its pipelines; only who builds one waits for what reads videos.
        from microemo.inference.analyzer import EmotionAnalyzer
        from microemo.inference.model_loading import ReadingModels, load_reading_models

        model, processor = cast(Any, self.model), cast(Any, self.processor)  # MicroEmo's, says the task
        folder = _brought_folder(model.name_or_path)
        reading = ReadingModels() if folder is None else load_reading_models(folder, device=self.device)
        recognizer = _recognizer(speech_recognition, brought=reading.recognizer, device=self.device)
        reader = processor.clip_reader(
            detector=detector,
            landmarker=reading.landmarker,
            recognizer=recognizer,
            voice_embedder=reading.voice_embedder,
        )
        self.analyzer = EmotionAnalyzer(model, processor, reader=reader, model_id=model.name_or_path)

    def get_iterator(
        self,
        inputs: Any,
        num_workers: int,
        batch_size: int,
        preprocess_params: dict[str, Any],
        forward_params: dict[str, Any],
        postprocess_params: dict[str, Any],
    ) -> Any:
        """As transformers', with one video at a time."""
        return super().get_iterator(inputs, num_workers, 1, preprocess_params, forward_params, postprocess_params)

    def _sanitize_parameters(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        _check_arguments(kwargs)
        return kwargs, {}, {}

    def preprocess(self, input_: Any, **arguments: Any) -> dict[str, Any]:
        """Returns the arguments of the analyzer; reading waits for the forward pass, which takes chunk by chunk."""
        if not isinstance(input_, Mapping) or input_.keys() == {"path", "bytes"}:
            return {"source": input_, **arguments}
        own = dict(input_)
        if "video" not in own:
            raise ValueError(f'a dict must have the video under "video", got the keys {sorted(own)}')
        source = own.pop("video")
        _check_arguments(own)
        return {"source": source, **arguments, **own}

    def _forward(self, input_tensors: dict[str, Any], **forward_parameters: Any) -> Any:
        return {"report": self.analyzer(input_tensors.pop("source"), **input_tensors)}

    def postprocess(self, model_outputs: dict[str, Any], **postprocess_parameters: Any) -> dict[str, Any]:
        """Returns the report as a dict."""
        return model_outputs["report"].to_dict()


def _check_arguments(arguments: Mapping[str, Any]) -> None:
    if unknown := sorted(arguments.keys() - set(CALL_ARGUMENTS)):
        raise ValueError(f"{unknown[0]!r} is no argument of {TASK}; allowed are {', '.join(CALL_ARGUMENTS)}")


def _recognizer(
    speech_recognition: SpeechRecognizer | str | Path | None, *, brought: SpeechRecognizer | None, device: Any
) -> SpeechRecognizer | None:
    from microemo.processing.speech_recognition import SpeechRecognizer  # as above

    if speech_recognition is None:
        return brought
    if isinstance(speech_recognition, SpeechRecognizer):
        return speech_recognition
    return SpeechRecognizer.from_pretrained(speech_recognition, device=device)


def _brought_folder(model_id: str) -> Path | None:
    """The folder of what a model brings beside its weights; None for one that was made by hand."""
    if not model_id:
        return None
    if Path(model_id).is_dir():
        return Path(model_id)
    return Path(snapshot_download(model_id, allow_patterns=[f"{name}/*" for name in READING_MODELS]))
