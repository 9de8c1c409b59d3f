"""Tiny random MicroEmo models and batches: two layers, width 32, one-second audio windows."""

import torch
from transformers import PreTrainedModel

from microemo.configuration_microemo import MicroEmoConfig

VOCAB_SIZE = 99
VIDEO_TOKEN_ID, AUDIO_TOKEN_ID, UTTERANCE_END_TOKEN_ID = 3, 4, 5
VIDEO_TOKENS, AUDIO_TOKENS = 3, 2  # a segment
MEL_BINS, MEL_FRAMES = 8, 100
FRAME_PIXELS, FACE_PIXELS = 32, 64
NUM_FACIAL_ACTIONS = 52

VIT = {
    "model_type": "vit",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 37,
    "image_size": FRAME_PIXELS,
    "patch_size": 16,
}
MOBILENET = {"model_type": "mobilenet_v2", "depth_multiplier": 0.1, "finegrained_output": False, "image_size": 32}
WHISPER = {
    "model_type": "whisper",
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 37,
    "decoder_ffn_dim": 37,
    "num_mel_bins": MEL_BINS,
    "max_source_positions": MEL_FRAMES // 2,
    "vocab_size": 20,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "decoder_start_token_id": 0,
}
WAV2VEC2 = {
    "model_type": "wav2vec2",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 37,
    "conv_dim": [8, 8],
    "conv_kernel": [10, 32],
    "conv_stride": [10, 32],
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "feat_extract_norm": "layer",
    "vocab_size": 20,
}
LLAMA = {
    "model_type": "llama",
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 32,
    "intermediate_size": 37,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
PART = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 37}


def tiny_config(**changes: object) -> MicroEmoConfig:
    """A config whose model has about a hundred thousand parameters."""
    settings: dict[str, object] = {
        "vision_config": VIT,
        "face_config": MOBILENET,
        "audio_config": WHISPER,
        "text_config": LLAMA,
        "qformer_config": {**PART, "num_query_tokens": 4},
        "video_qformer_config": {**PART, "num_query_tokens": VIDEO_TOKENS, "max_encoder_positions": 64},
        "audio_qformer_config": {**PART, "num_query_tokens": AUDIO_TOKENS, "max_encoder_positions": 8},
        "dynamics_config": {**PART, "max_regions": 16},
        "video_token_id": VIDEO_TOKEN_ID,
        "audio_token_id": AUDIO_TOKEN_ID,
        "utterance_end_token_id": UTTERANCE_END_TOKEN_ID,
        "emotion_id2label": {0: "anger", 1: "joy", 2: "neutral"},
        "expression_id2label": {0: "neutral", 1: "happiness"},
        "action_unit_id2label": {0: "AU1", 1: "AU4", 2: "AU12"},
    }
    return MicroEmoConfig(**{**settings, **changes})


def tiny_model(model_class: type[PreTrainedModel], *, seed: int = 0, **changes: object) -> PreTrainedModel:
    """A model in evaluation mode with large weights, so that outputs depend on the inputs, and a non-zero gate."""
    torch.manual_seed(seed)
    model = model_class(tiny_config(**changes)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 or "gate" in name:
                parameter.normal_(0.0, 0.2)
    return model


def tiny_prompt(
    num_segments: int, *, num_utterances: int, has_video: bool = True, has_audio: bool = True
) -> list[int]:
    """Token ids of a clip's prompt: a few words, the first segment's tokens, then each utterance's and its end."""
    segment = [VIDEO_TOKEN_ID] * (VIDEO_TOKENS * has_video) + [AUDIO_TOKEN_ID] * (AUDIO_TOKENS * has_audio)
    segments_left = num_segments
    ids = [6, 7]
    if num_segments > num_utterances:
        ids += segment
        segments_left -= 1
    for utterance in range(num_utterances):
        ids += [10 + utterance, 11 + utterance]
        if segments_left:
            ids += segment
            segments_left -= 1
        ids.append(UTTERANCE_END_TOKEN_ID)
    return [*ids, *(segment * segments_left), 7, 8]


def tiny_clip(
    num_utterances: int = 2, *, num_frames: int = 4, num_faces: int = 9, seed: int = 0
) -> dict[str, torch.Tensor]:
    """The tensors of a three-second clip, as returned by a processor for `utterance_mode="utterance"`."""
    generator = torch.Generator().manual_seed(seed)
    input_ids = torch.tensor([tiny_prompt(1 + num_utterances, num_utterances=num_utterances)])
    starts = torch.linspace(0.1, 2.4, num_utterances)
    return {
        "input_ids": input_ids,
        "attention_mask": torch.ones_like(input_ids),
        "pixel_values_videos": torch.randn(1, num_frames, 3, FRAME_PIXELS, FRAME_PIXELS, generator=generator),
        "frame_times": torch.linspace(0.0, 2.9, num_frames)[None],
        "frame_mask": torch.ones(1, num_frames, dtype=torch.bool),
        "face_pixel_values": torch.randn(1, num_faces, 3, FACE_PIXELS, FACE_PIXELS, generator=generator),
        "face_times": torch.linspace(0.2, 2.6, num_faces)[None],
        "face_mask": torch.ones(1, num_faces, dtype=torch.bool),
        **tiny_actions(num_faces, seed=seed),
        "input_features": torch.randn(1, 3, MEL_BINS, MEL_FRAMES, generator=generator),
        "audio_mask": torch.ones(1, 3, MEL_FRAMES, dtype=torch.bool),
        "utterance_times": torch.stack((starts, starts + 0.5), dim=-1)[None],
        "utterance_mask": torch.ones(1, num_utterances, dtype=torch.bool),
    }


def tiny_actions(num_faces: int, *, seed: int = 0) -> dict[str, torch.Tensor]:
    """Facial actions of a clip, measured for all faces except the second."""
    generator = torch.Generator().manual_seed(100 + seed)
    mask = torch.arange(num_faces)[None] != 1
    actions = torch.rand(1, num_faces, NUM_FACIAL_ACTIONS, generator=generator) * mask[..., None]
    return {"face_actions": actions, "relative_face_actions": actions / 2, "face_actions_mask": mask}


def collate(clips: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Clips of different lengths in one batch, padded at the end with zeros and False."""
    batch = {}
    for name in clips[0]:
        tensors = [clip[name][0] for clip in clips]
        sizes = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
        batch[name] = tensors[0].new_zeros(len(tensors), *sizes)
        for row, tensor in enumerate(tensors):
            batch[name][(row, *(slice(size) for size in tensor.shape))] = tensor
    return batch
