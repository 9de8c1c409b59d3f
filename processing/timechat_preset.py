"""TimeChat's frame sampling, normalisation and prompt.

Example of a prompt written by the chat template "timechat" (V: the placeholders of all windows):

    [INST] <<SYS>>
    You are able to understand ...
    <</SYS>>

    <Video>V</Video> The video contains 3 frames sampled at 0.0, 1.0, 2.0 seconds.  What happens? [/INST]

The initial token <s> is inserted as an id: in the text, the following "[" would be tokenised differently from a "[" at
the start of a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import WhisperFeatureExtractor
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD, PILImageResampling

from .clip import Utterance
from .clip_tensors import TimedFeatures, time_sentences
from .media_source import MediaSource
from .placeholder_expansion import count_windows
from .processing_microemo import MicroEmoProcessor
from .prompt_text import VIDEO_TOKEN, sanitize_text
from .video_decoders import decord
from .video_processing_microemo import MicroEmoVideoProcessor, frame_metadata
from .video_reading import open_video

NUM_FRAMES = 96
FRAME_SIZE = 224  # px, the aspect ratio is not kept
SYSTEM = (
    "You are able to understand the visual content that the user provides. "
    "Follow the instructions carefully and explain your answers in detail."
)
BACKEND = None if decord is None else "decord"  # as in TimeChat
MAX_SPOKEN_LINES = 15  # of longer transcripts every k-th line is used


def timechat_processor(
    tokenizer: Any,
    *,
    qformer_tokenizer: Any = None,
    feature_extractor: WhisperFeatureExtractor | None = None,
    num_frames: int = NUM_FRAMES,
    **settings: Any,
) -> MicroEmoProcessor:
    """Returns a processor with TimeChat's frames, normalisation and chat template.

    Args:
        tokenizer: LLaMA's, with `<|video|>`, `<|audio|>` and `<|utterance_end|>` added.
        qformer_tokenizer: for the frames' times, needed with `timestamp="text"`: BERT's as in TimeChat's inference, or
            LLaMA's as in its training.
        feature_extractor: for audio, which TimeChat itself does not use.
        num_frames: maximum per video.
        **settings: of `MicroEmoProcessor`, override TimeChat's.
    """
    defaults: dict[str, Any] = {
        "timestamp": "text",
        "utterance_mode": "window",
        "window_frames": 32,
        "window_stride": 32,
        "video_tokens_per_segment": 32,
        "chat_template": {"default": timechat_template(), "timechat": timechat_template()},
    }
    video_processor = MicroEmoVideoProcessor(
        size={"height": FRAME_SIZE, "width": FRAME_SIZE},
        resample=PILImageResampling.BILINEAR,
        image_mean=list(OPENAI_CLIP_MEAN),
        image_std=list(OPENAI_CLIP_STD),
        max_frames=num_frames,
        # With a shared tower, faces are processed like frames.
        face_size=FRAME_SIZE,
        face_mean=list(OPENAI_CLIP_MEAN),
        face_std=list(OPENAI_CLIP_STD),
    )
    return MicroEmoProcessor(
        video_processor,
        feature_extractor or WhisperFeatureExtractor(),
        tokenizer,
        qformer_tokenizer=qformer_tokenizer,
        **{**defaults, **settings},
    )


def timechat_template() -> str:
    """Returns the chat template next to this file."""
    return Path(__file__).with_name("chat_template_timechat.jinja").read_text(encoding="utf-8")


def uniform_frame_indices(total: int, *, num_frames: int = NUM_FRAMES) -> np.ndarray:
    """Indices of `num_frames` of `total` frames, the first of each equal part; all frames if there are fewer."""
    if total < 1 or num_frames < 1:
        raise ValueError(f"total ({total}) and num_frames ({num_frames}) must be >= 1")
    return np.arange(0, total, total / min(num_frames, total)).astype(int)


def read_timechat_video(source: MediaSource, *, num_frames: int = NUM_FRAMES) -> tuple[np.ndarray, list[float]]:
    """Returns a video's frames (T, H, W, 3) uint8 RGB, resized to 224 x 224 px, and their times in seconds.

    decord is used if installed and suitable for the file, as in TimeChat: PyAV's images differ slightly (see
    `video_decoders`). Frames that cannot be decoded are left out.
    """
    with open_video(source, backend=BACKEND) as reader:
        indices = uniform_frame_indices(len(reader), num_frames=num_frames)
        batches = list(reader.read(indices, size=(FRAME_SIZE, FRAME_SIZE)))
        if not batches:
            raise ValueError(f"no frame of {source!r} can be read")
        decoded = np.concatenate([positions for positions, _ in batches])
        return np.concatenate([video_inputs for _, video_inputs in batches]), reader.times[decoded].tolist()


def frames_message(times: Sequence[float]) -> str:
    """Returns the sentence that gives the language model the frames' times in seconds."""
    seconds = ", ".join(f"{round(float(time), 1)}" for time in times)
    return f"The video contains {len(times)} frames sampled at {seconds} seconds. "


def transcript_question(question: str, *, utterances: Sequence[Utterance]) -> str:
    """Returns the question preceded by the transcript.

    As in TimeChat, the first line is always left out, and of a long transcript every k-th line is used.
    """
    step = max(1, len(utterances) // MAX_SPOKEN_LINES)
    lines = [
        f"{line.start_seconds:.1f} - {line.end_seconds:.1f} seconds, {sanitize_text(line.text)}. "
        for line in utterances[1::step]
    ]
    transcript = "".join(lines) or "None."
    return (
        f"Transcribed speech: {transcript} "
        f"Based on the video content and possible transcribed speech, {question[:1].lower()}{question[1:]}"
    )


def timechat_inputs(
    processor: MicroEmoProcessor,
    frames: np.ndarray,
    *,
    times: Sequence[float],
    question: str,
    system: str = SYSTEM,
) -> BatchFeature:
    """Returns the model's inputs for one video and one question, as in TimeChat's inference.

    The texts before and after the frames are tokenised separately, as in TimeChat.

    Args:
        processor: of `timechat_processor`.
        frames: (T, H, W, 3) uint8 RGB, of `read_timechat_video`.
        times: their times in seconds.
        question: text.
        system: system prompt; a single space in TimeChat's training.
    """
    video_inputs = processor.video_processor(
        [frames], video_metadata=[frame_metadata(list(times))], do_sample_frames=False, return_tensors="pt"
    )
    sanitized = sanitize_text(question, special_tokens=processor.control_tokens, keep_newlines=True)
    content = [{"type": "video"}, {"type": "text", "text": f"{frames_message(times)} {sanitized}"}]
    messages = [{"role": "system", "content": system}, {"role": "user", "content": content}]
    prompt = processor.apply_chat_template(messages, chat_template="timechat", add_generation_prompt=True)
    tokenizer = processor.tokenizer
    before, after = prompt.removeprefix(tokenizer.bos_token).split(VIDEO_TOKEN)
    windows = count_windows(len(frames), stride=processor.window_stride)
    segments = windows if processor.utterance_mode == "window" else 1
    ids = [
        tokenizer.bos_token_id,
        *tokenizer(before, add_special_tokens=False)["input_ids"],
        *[processor.video_token_id] * (processor.video_tokens_per_segment * segments),
        *tokenizer(after, add_special_tokens=False)["input_ids"],
    ]
    inputs = {
        "input_ids": torch.tensor([ids]),
        "attention_mask": torch.ones(1, len(ids), dtype=torch.long),
        **video_inputs,
    }
    if processor.timestamp == "text":
        inputs.update(time_sentences(video_inputs["frame_times"], tokenizer=processor.qformer_tokenizer))
    return TimedFeatures(inputs)
