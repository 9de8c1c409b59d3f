"""Processor: converts clips, or videos, audio and text, to the model's inputs.

There are two ways to the same tensors. `from_clip` takes a `Clip` (a video that was read, with its utterances and
faces). `__call__` and `apply_chat_template` are those of transformers; besides video, audio and text, messages may
contain blocks {"type": "utterance", "start": 0.4, "end": 2.9, "speaker": "Anna", "text": "words"}.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer
from transformers.audio_utils import AudioInput
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_utils import ImageInput
from transformers.processing_utils import ProcessingKwargs, ProcessorMixin, Unpack
from transformers.utils import logging
from transformers.video_utils import VideoInput

from .chunk_reading import Progress
from .clip import Clip
from .clip_inputs import clip_inputs, prefix_ids, question_suffixes
from .clip_perception import clip_perception, clip_prosody
from .clip_reading import ClipReader, Recognizer
from .clip_tensors import TimedFeatures, audio_windows, count_frames, scatter_rows, time_sentences, time_tensors
from .conversation_sound import with_sound
from .emotion_parsing import ParsedEmotions, parse_emotions
from .evidence import Evidence, Perception, face_timelines, utterance_evidence
from .face_detection import FaceDetector
from .face_landmarks import Landmarker
from .media_source import MediaSource
from .placeholder_expansion import check_utterance_counts, count_token, count_windows, spread_placeholders
from .processor_settings import (
    TIMESTAMPS,
    UTTERANCE_MODES,
    check_choice,
    check_counts,
    complete_reading_settings,
    special_token_ids,
)
from .prompt_text import (
    SPECIAL_TOKENS,
    conversation_utterance_times,
    default_questions,
    fit_words,
    packaged_templates,
    sanitize_clip,
    sanitize_conversation,
    with_utterances,
)
from .reading_settings import ReadingSettings
from .speaker_embedding import VoiceEmbedder
from .video_processing_microemo import MicroEmoVideoProcessorKwargs
from .waveforms import float_waveform

logger = logging.get_logger(__name__)

AUDIO_INPUTS = ("input_features", "audio_mask")


class MicroEmoProcessorKwargs(ProcessingKwargs, total=False):
    """Arguments that `MicroEmoProcessor.__call__` passes to its parts."""

    videos_kwargs: MicroEmoVideoProcessorKwargs  # type: ignore[misc]


class MicroEmoProcessor(ProcessorMixin):
    """Converts clips and conversations to the model's inputs.

    Args:
        video_processor: `MicroEmoVideoProcessor`.
        feature_extractor: `WhisperFeatureExtractor`; its `chunk_length` is the length of an audio window.
        tokenizer: the language model's, with `<|video|>`, `<|audio|>` and `<|utterance_end|>` added.
        qformer_tokenizer: the frame Q-Former's, required for `timestamp="text"`.
        chat_template: one template, or several by name; None uses the package's own ("default", "concatenated").
        timestamp: how the frame Q-Former gets a frame's time: "fourier", "text" or "none" (not at all).
        utterance_mode: "utterance" (whole clip and each utterance), "window" (sliding windows), "clip" (whole clip).
        window_frames: frames per sliding window.
        window_stride: frames from one sliding window to the next.
        video_tokens_per_segment: placeholders per segment of the video stream.
        audio_tokens_per_segment: placeholders per segment of the audio stream.
        answer_tokens: tokens of the context reserved for a question and its answer.
        reading_settings: arguments of `ReadingSettings` for `read`.
    """

    valid_processor_kwargs = MicroEmoProcessorKwargs  # type: ignore[assignment]

    def __init__(
        self,
        video_processor,
        feature_extractor,
        tokenizer,
        qformer_tokenizer=None,
        chat_template: str | dict[str, str] | None = None,
        timestamp: str = "fourier",
        utterance_mode: str = "utterance",
        window_frames: int = 32,
        window_stride: int = 32,
        video_tokens_per_segment: int = 8,
        audio_tokens_per_segment: int = 4,
        answer_tokens: int = 320,
        reading_settings: dict[str, Any] | None = None,
    ):
        if chat_template is None:
            chat_template = packaged_templates()
        super().__init__(video_processor, feature_extractor, tokenizer, chat_template=chat_template)
        check_choice(timestamp, name="timestamp", allowed=TIMESTAMPS)
        check_choice(utterance_mode, name="utterance_mode", allowed=UTTERANCE_MODES)
        check_counts(window_frames=window_frames, window_stride=window_stride)
        if timestamp == "text" and qformer_tokenizer is None:
            raise ValueError('timestamp="text" needs a qformer_tokenizer, got None')
        self.qformer_tokenizer = qformer_tokenizer
        self.timestamp = timestamp
        self.utterance_mode = utterance_mode
        self.window_frames = window_frames
        self.window_stride = window_stride
        self.video_tokens_per_segment = video_tokens_per_segment
        self.audio_tokens_per_segment = audio_tokens_per_segment
        self.answer_tokens = answer_tokens
        self.reading_settings = complete_reading_settings(
            reading_settings or {},
            face_size=video_processor.face_size,
            sampling_rate=feature_extractor.sampling_rate,
        )
        self.video_token, self.audio_token, self.utterance_end_token = SPECIAL_TOKENS
        self.video_token_id, self.audio_token_id, self.utterance_end_token_id = special_token_ids(tokenizer)

    # --- Clips -----------------------------------------------------------------------------------------------------

    def from_clip(
        self,
        clip: Clip | Sequence[Clip],
        *,
        question: str | Sequence[str] | None = None,
        answer: str | Sequence[str] | None = None,
        evidence: Sequence[Any] | None = None,
        soft_tokens: bool = True,
        chat_template: str | None = None,
        padding_side: str | None = None,
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """Returns the model's inputs for one clip or a batch of clips.

        Args:
            clip: what was read. A stream that is None has no placeholder and no tensor; in a batch with clips that
                have it,
                its mask rows are False.
            question: one for all or one per clip; None stops after the shared prefix (see `question_inputs`).
            answer: one for all or one per clip; adds `labels`, -100 outside the answers.
            evidence: findings for each utterance (see `evidence`), written below its words; for a batch one such list,
                or
                None, per clip.
            soft_tokens: whether frames and audio have tokens in the prompt.
            chat_template: name of a template of this processor ("concatenated"), or a template.
            padding_side: "left" for generation, "right" for training; by default "right" if answers are given.
            return_tensors: "pt" or "np".
        """
        return clip_inputs(
            self,
            [clip] if isinstance(clip, Clip) else list(clip),
            question=question,
            answer=answer,
            evidence=self._evidence_of_clips(clip, evidence),
            soft_tokens=soft_tokens,
            chat_template=chat_template,
            padding_side=padding_side,
            return_tensors=return_tensors,
        )

    def clip_reader(
        self,
        *,
        detector: str | FaceDetector | Callable | None = "centerface",
        landmarker: Landmarker | None = None,
        recognizer: Recognizer | None = None,
        voice_embedder: VoiceEmbedder | None = None,
        cache_dir: str | Path | None = None,
    ) -> ClipReader:
        """Returns a reader with this processor's `reading_settings`; see `ClipReader` for the arguments."""
        settings = ReadingSettings(**self.reading_settings)
        return ClipReader(
            settings,
            detector=detector,
            landmarker=landmarker,
            recognizer=recognizer,
            voice_embedder=voice_embedder,
            cache_dir=cache_dir,
        )

    def read(
        self,
        source: MediaSource,
        *,
        transcript: Any = None,
        person: str | int = "speaker",
        recognizer: Recognizer | None = None,
        detector: str | FaceDetector | Callable | None = "centerface",
        landmarker: Landmarker | None = None,
        language: str | None = None,
        audio_track: int | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Clip]:
        """Yields the clips of a video for `from_clip`: one, or one per chunk of whole utterances of a long video.

        Args:
            source: anything that `ClipReader.read` takes: path, URL, bytes, open file, `VideoArray`, `FrameFolder`,
                ...
            transcript: anything that `parse_transcript` takes; None uses the recognizer.
            person: the attended face: "speaker", "largest" or a track id.
            recognizer: such as `SpeechRecognizer`; without it and a transcript, a clip is one utterance.
            detector: see `ClipReader`; None detects no faces.
            landmarker: such as `FaceLandmarker`, for facial actions, head pose and gaze; None leaves them out.
            language: of the speech and the transcript, such as "de"; None detects it. Among several audio tracks, the
                one in
                this language is used.
            audio_track: index of the audio track, from 0; None uses the one in `language`, or the default one.
            progress: called with (stage, done, total).
        """
        reader = self.clip_reader(detector=detector, landmarker=landmarker, recognizer=recognizer)
        yield from reader.read(
            source,
            transcript=transcript,
            person=person,
            language=language,
            audio_track=audio_track,
            progress=progress,
        )

    def evidence(self, perception: Any, clip: Clip, *, row: int = 0) -> tuple[tuple[Evidence, ...], ...]:
        """Returns the findings for each utterance of a clip, for `from_clip(clip, evidence=...)`.

        Args:
            perception: the output of `model.perceive`, or a `Perception`.
            clip: the clip that was perceived.
            row: of the batch.
        """
        clip = with_utterances(clip)
        perceived = perception if isinstance(perception, Perception) else clip_perception(perception, clip, row=row)
        return utterance_evidence(
            perceived, clip, timelines=face_timelines(perceived, clip), prosody=clip_prosody(clip)
        )

    def prompt_inputs(
        self, clip: Clip, *, evidence: Sequence[Sequence[Evidence]] | None = None, soft_tokens: bool = True
    ) -> BatchFeature:
        """Returns `input_ids` and `attention_mask` (1, N) of a clip's shared prefix, for use with known features.

        The ids are those of `from_clip`; frames and audio are not processed.
        """
        clip = self.fit_clip(clip, evidence=evidence, soft_tokens=soft_tokens)
        ids = prefix_ids(self, clip, evidence=evidence, soft_tokens=soft_tokens)
        return BatchFeature({"input_ids": [ids], "attention_mask": [[1] * len(ids)]}, tensor_type="pt")

    def fit_clip(
        self, clip: Clip, *, evidence: Sequence[Sequence[Evidence]] | None = None, soft_tokens: bool = True
    ) -> Clip:
        """Returns the clip as used in the prompt: sanitised words, shortened to fit the context (`fit_words`).

        A clip without utterances becomes one utterance without words. Arguments as for `from_clip`.
        """

        def prompt_length(clip: Clip) -> int:
            return len(prefix_ids(self, clip, evidence=evidence, soft_tokens=soft_tokens))

        clip = sanitize_clip(with_utterances(clip), special_tokens=self.control_tokens)
        limit = self.tokenizer.model_max_length - self.answer_tokens
        return fit_words(clip, prompt_length=prompt_length, limit=limit)

    @staticmethod
    def _evidence_of_clips(clip: Clip | Sequence[Clip], evidence: Sequence[Any] | None) -> Sequence[Any]:
        if isinstance(clip, Clip):
            return [evidence]
        return [None] * len(clip) if evidence is None else list(evidence)

    def question_inputs(self, questions: Sequence[str], *, return_tensors: str = "pt") -> BatchFeature:
        """Returns left-padded `input_ids` and `attention_mask` of questions that follow a shared prefix.

        The ids of `from_clip(clip)` followed by those of a question are the ids of `from_clip(clip, question=...)`.
        """
        suffixes = question_suffixes(self, questions)
        return self.tokenizer.pad({"input_ids": suffixes}, padding_side="left", return_tensors=return_tensors)

    @staticmethod
    def default_questions(clip: Clip) -> tuple[str, ...]:
        """Returns the question about the whole clip, then one about each utterance."""
        return default_questions(clip)

    @staticmethod
    def parse_emotions(text: str) -> ParsedEmotions:
        """Returns labels and description of a generated answer. Strict; the raw text is kept."""
        return parse_emotions(text)

    @property
    def control_tokens(self) -> set[str]:
        """Tokens that user text must not contain."""
        return {*self.tokenizer.all_special_tokens, *SPECIAL_TOKENS}

    def count_segments(self, text: str, *, windows: int) -> int:
        """Number of segments of each stream of a prompt, given the number of sliding windows of its video."""
        if self.utterance_mode == "utterance":
            return 1 + count_token(text, self.utterance_end_token)
        return windows if self.utterance_mode == "window" else 1

    # --- The transformers interface --------------------------------------------------------------------------------

    def apply_chat_template(self, conversation, chat_template: str | None = None, **kwargs: Any):  # type: ignore[override]
        """See `ProcessorMixin.apply_chat_template`.

        In addition, the words of utterance blocks are sanitised, and audio is read from files of any format; with
        `load_audio_from_video=True` also that of the videos.
        """
        is_batched = isinstance(conversation[0], (list, tuple))
        conversations = [
            sanitize_conversation(messages, special_tokens=self.control_tokens)
            for messages in (conversation if is_batched else [conversation])
        ]
        if kwargs.get("tokenize"):
            sound = {
                "sampling_rate": self.feature_extractor.sampling_rate,
                "from_videos": kwargs.pop("load_audio_from_video", False),
            }
            conversations = [with_sound(messages, **sound) for messages in conversations]
        if "utterance_mode" in self._resolve_chat_template(chat_template):
            kwargs["utterance_mode"] = self.utterance_mode
        times = [conversation_utterance_times(messages) for messages in conversations]
        if kwargs.get("tokenize") and any(times):
            kwargs["processor_kwargs"] = {**(kwargs.get("processor_kwargs") or {}), "utterance_times": times}
        conversation = conversations if is_batched else conversations[0]
        return super().apply_chat_template(conversation, chat_template=chat_template, **kwargs)

    def __call__(
        self,
        images: ImageInput | None = None,
        text: str | list[str] | None = None,
        videos: VideoInput | None = None,
        audio: AudioInput | None = None,
        utterance_times: Sequence[Sequence[tuple[float, float]]] | None = None,
        **kwargs: Unpack[MicroEmoProcessorKwargs],
    ) -> BatchFeature:
        """Returns the model's inputs for prompts with placeholders, their videos and their audio.

        Args:
            images: not supported by this model.
            text: prompt or prompts, with one `<|video|>` / `<|audio|>`, or one per segment, for each stream present.
            videos: at most one per prompt: path, URL, array (T, H, W, 3) uint8 or PIL frames.
            audio: at most one per prompt: waveform (S,) at the feature extractor's rate.
            utterance_times: for each prompt (start, end) in seconds of its utterances, one per `<|utterance_end|>`.
            **kwargs: see `MicroEmoProcessorKwargs`.
        """
        if images is not None:
            logger.warning_once("images are not an input of MicroEmo and are ignored; pass them as videos")
        outputs = super().__call__(text=text, videos=videos, audio=audio, **kwargs)
        outputs = TimedFeatures(outputs.data, skip_tensor_conversion=outputs.skip_tensor_conversion)
        if text is None:
            return outputs
        return_tensors: Any = kwargs.get("return_tensors") or kwargs.get("text_kwargs", {}).get("return_tensors")
        texts = [text] if isinstance(text, str) else list(text)
        for token, names in (
            (self.video_token, self.video_processor.model_input_names),
            (self.audio_token, AUDIO_INPUTS),
        ):
            present = [count_token(sample, token) > 0 for sample in texts]
            outputs.update({name: scatter_rows(outputs[name], present=present) for name in names if name in outputs})
        check_utterance_counts(texts, utterance_times, token=self.utterance_end_token)
        if utterance_times is not None:
            outputs.update(time_tensors(utterance_times))
        if self.timestamp == "text" and "frame_times" in outputs:
            outputs.update(time_sentences(outputs["frame_times"], tokenizer=self.qformer_tokenizer))
        return outputs.convert_to_tensors(return_tensors)

    def prepare_inputs_layout(self, images=None, text=None, videos=None, audio=None, **kwargs):
        """Removes empty entries of prompts without a video or audio."""
        images, text, videos, audio = super().prepare_inputs_layout(
            images=images, text=text, videos=videos, audio=_without_empty(audio), **kwargs
        )
        return images, text, _without_empty(videos), audio

    def validate_inputs(self, images=None, text=None, videos=None, audio=None, **kwargs):
        """Counts one placeholder per stream and prompt, for any number of segments."""
        if isinstance(text, list) and all(isinstance(sample, str) for sample in text):
            tokens = (self.video_token, self.audio_token)
            text = ["".join(token for token in tokens if token in sample) for sample in text]
        super().validate_inputs(images=images, text=text, videos=videos, audio=audio, **kwargs)

    def _process_audio(self, audio, **kwargs):
        # `kwargs` for padding and length apply to the text: audio windows have a fixed length.
        audio = [float_waveform(waveform) for waveform in audio]
        features = audio_windows(
            audio, feature_extractor=self.feature_extractor, sampling_rate=kwargs.get("sampling_rate")
        )
        return features, [self.replace_audio_token(features, audio_idx=index) for index in range(len(audio))]

    def replace_video_token(self, video_inputs: dict, video_idx: int, **kwargs: Any) -> str:
        """Returns the tokens of one segment, or of all sliding windows of the video in the mode "window"."""
        frames = count_frames(video_inputs["frame_mask"][video_idx])
        windows = count_windows(frames, stride=self.window_stride) if self.utterance_mode == "window" else 1
        return self.video_token * (self.video_tokens_per_segment * windows)

    def replace_audio_token(self, audio_inputs: dict, audio_idx: int, **kwargs: Any) -> str:
        """Returns the tokens of one segment."""
        return self.audio_token * self.audio_tokens_per_segment

    def get_text_with_replacements(
        self, text: list[str], images_replacements=(), videos_replacements=(), audio_replacements=()
    ):
        """Expands the placeholders of every prompt to the tokens of its segments."""
        # In the mode "window", audio has as many segments as the video has windows.
        per_segment = len(self.video_token) * self.video_tokens_per_segment
        windows = iter([len(replacement) // per_segment for replacement in videos_replacements])
        segments = []
        for sample in text:
            has_video = bool(videos_replacements) and count_token(sample, self.video_token) > 0
            segments.append(self.count_segments(sample, windows=next(windows) if has_video else 1))
        streams = (
            (videos_replacements, self.video_token, self.video_tokens_per_segment),
            (audio_replacements, self.audio_token, self.audio_tokens_per_segment),
        )
        videos, audio = (
            spread_placeholders(text, token=token, tokens_per_segment=tokens, segments=segments) if given else []
            for given, token, tokens in streams
        )
        return super().get_text_with_replacements(text, [], videos, audio)

    @property
    def model_input_names(self) -> list[str]:
        """Names of the tensors that `__call__` returns for text, video and audio."""
        return [*super().model_input_names, "audio_mask"]

    # --- Saving and loading ----------------------------------------------------------------------------------------

    @classmethod
    def get_attributes(cls) -> list[str]:
        """Sub-processors that are always present; `qformer_tokenizer` is optional and saved and loaded below."""
        return ["video_processor", "feature_extractor", "tokenizer"]

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings for `processor_config.json`."""
        without_tokenizer = copy.copy(self)
        del without_tokenizer.qformer_tokenizer
        return super(MicroEmoProcessor, without_tokenizer).to_dict()

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs: Any):
        """See `ProcessorMixin.save_pretrained`."""
        if self.qformer_tokenizer is not None:
            self.qformer_tokenizer.save_pretrained(Path(save_directory) / "qformer_tokenizer")
        return super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    @classmethod
    def _get_arguments_from_pretrained(cls, pretrained_model_name_or_path, processor_dict=None, **kwargs):
        arguments = super()._get_arguments_from_pretrained(pretrained_model_name_or_path, processor_dict, **kwargs)
        if (processor_dict or {}).get("timestamp") != "text":
            return arguments
        subfolder = str(Path(kwargs.pop("subfolder", "")) / "qformer_tokenizer")
        kwargs.pop("_from_auto", None)
        return [
            *arguments,
            AutoTokenizer.from_pretrained(pretrained_model_name_or_path, subfolder=subfolder, **kwargs),
        ]


def _without_empty(inputs):
    """Removes empty lists from a list of inputs; None if nothing is left."""
    if not isinstance(inputs, (list, tuple)):
        return inputs
    return [entry for entry in inputs if not (isinstance(entry, (list, tuple)) and len(entry) == 0)] or None


__all__ = ["MicroEmoProcessor"]
