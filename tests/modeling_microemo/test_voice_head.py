"""The voice head and its statistics."""

import pytest
import torch
from tiny_model import tiny_clip, tiny_config, tiny_model

from microemo import MicroEmoModel
from microemo.segments import clip_and_utterances, whole_clip
from microemo.voice_head import VoiceHead, VoiceStatistics, voice_statistics

AUDIO = ("input_features", "audio_mask", "utterance_times", "utterance_mask")


def audio_of(clip):
    return {name: clip[name] for name in AUDIO if name in clip}


def moments_of(tower, windows):
    """Mean and standard deviation of the tower's intermediate states for whole windows (M, mel, F)."""
    with torch.no_grad():
        states = torch.cat(tower(windows, output_hidden_states=True, return_dict=True).hidden_states[1:-1], dim=-1)
    whole = states.flatten(0, 1)
    return torch.cat((whole.mean(0), whole.std(0, correction=0)))


class TestStatistics:
    def test_a_whole_window_gives_mean_and_spread_of_the_towers_inner_states(self):
        model = tiny_model(MicroEmoModel, use_voice_head=True)
        clip = audio_of(tiny_clip(num_utterances=2))
        features = clip["input_features"]
        found = voice_statistics(
            model.audio_tower, features, audio_mask=None, segments=whole_clip(1, device=features.device)
        )
        torch.testing.assert_close(
            found.values[0, 0], moments_of(model.audio_tower, features[0]), atol=1e-4, rtol=1e-4
        )

    def test_statistics_do_not_depend_on_position(self):
        model = tiny_model(MicroEmoModel, use_voice_head=True)
        clip = audio_of(tiny_clip(num_utterances=2))
        size = clip["input_features"].shape[-1]
        sound = torch.randn(*clip["input_features"].shape[2:-1], size // 4)
        values = []
        for start in (0, size // 2):
            features = torch.randn(1, 1, *sound.shape[:-1], size)
            features[0, 0, ..., start : start + size // 4] = sound
            times = torch.tensor([[[start / 100, (start + size // 4) / 100]]])
            segments = clip_and_utterances(times, utterance_mask=torch.ones(1, 1, dtype=torch.bool))
            with torch.no_grad():
                values.append(voice_statistics(model.audio_tower, features, audio_mask=None, segments=segments).values)
        torch.testing.assert_close(values[0][0, 1], values[1][0, 1], atol=1e-5, rtol=1e-5)
        assert torch.equal(values[0][0, 0], values[0][0, 1]), "the clip is what its utterances are"

    def test_an_utterance_over_the_border_of_two_windows_is_heard_in_both(self):
        model = tiny_model(MicroEmoModel, use_voice_head=True)
        size = audio_of(tiny_clip(num_utterances=2))["input_features"].shape[-1]
        features = torch.randn(1, 2, *audio_of(tiny_clip(num_utterances=2))["input_features"].shape[2:])
        times = torch.tensor([[[0.0, 2 * size / 100]]])
        segments = clip_and_utterances(times, utterance_mask=torch.ones(1, 1, dtype=torch.bool))
        with torch.no_grad():
            found = voice_statistics(model.audio_tower, features, audio_mask=None, segments=segments)
        torch.testing.assert_close(
            found.values[0, 1], moments_of(model.audio_tower, features[0]), atol=1e-4, rtol=1e-4
        )

    def test_utterances_outside_the_audio_have_no_statistics(self):
        model = tiny_model(MicroEmoModel, use_voice_head=True)
        features = audio_of(tiny_clip(num_utterances=2))["input_features"]
        mask = torch.zeros(*features.shape[:2], features.shape[-1], dtype=torch.bool)
        mask[..., :20] = True
        times = torch.tensor([[[0.0, 0.2], [0.2, 0.4]]])
        segments = clip_and_utterances(times, utterance_mask=torch.ones(1, 2, dtype=torch.bool))
        with torch.no_grad():
            found = voice_statistics(model.audio_tower, features, audio_mask=mask, segments=segments)
        assert found.heard.tolist() == [[True, True, False]] and not found.values[0, 2].any()


class TestHead:
    def test_centre_and_scale_come_before_the_layer(self):
        head = VoiceHead(tiny_config(use_voice_head=True))
        statistics = VoiceStatistics(torch.randn(1, 6, len(head.centre)), heard=torch.ones(1, 6, dtype=torch.bool))
        with torch.no_grad():
            before = head(statistics)
            head.centre += 1.0
            head.emotion.bias += head.emotion.weight.sum(1)
            torch.testing.assert_close(head(statistics), before, atol=1e-4, rtol=1e-4)

    def test_single_layer_tower_is_refused(self):
        audio = {**tiny_config().audio_config.to_dict(), "encoder_layers": 1, "num_hidden_layers": 1}
        with pytest.raises(ValueError, match="needs an audio_config of at least 2 layers"):
            tiny_config(use_voice_head=True, audio_config=audio)


class TestInTheModel:
    def test_the_tokens_do_not_change(self):
        model = tiny_model(MicroEmoModel, use_voice_head=True)
        clip = audio_of(tiny_clip(num_utterances=2))
        with torch.no_grad():
            spoken = model.get_audio_features(**clip)
            model.config.use_voice_head = False
            silent = model.get_audio_features(**clip)
        torch.testing.assert_close(spoken.pooler_output, silent.pooler_output)
        assert silent.voice_logits is None

    @pytest.mark.parametrize("mode", ["clip", "window"])
    def test_voice_logits_do_not_depend_on_utterance_mode(self, mode):
        model = tiny_model(MicroEmoModel, use_voice_head=True)
        clip = audio_of(tiny_clip(num_utterances=2))
        with torch.no_grad():
            expected = model.get_audio_features(**clip).voice_logits
            model.config.utterance_mode = mode
            found = model.get_audio_features(**clip).voice_logits
        torch.testing.assert_close(found, expected)

    def test_logits_come_with_the_features(self):
        model = tiny_model(MicroEmoModel, use_voice_head=True)
        clip = audio_of(tiny_clip(num_utterances=2))
        with torch.no_grad():
            found = model.get_audio_features(**clip)
            times = clip["utterance_times"]
            segments = clip_and_utterances(times, utterance_mask=torch.ones(times.shape[:2], dtype=torch.bool))
            statistics = voice_statistics(
                model.audio_tower, clip["input_features"], audio_mask=clip.get("audio_mask"), segments=segments
            )
            expected = model.voice_head(statistics)
        torch.testing.assert_close(found.voice_logits, expected)
        assert found.hidden_states is None

    def test_logits_are_not_a_number_where_nothing_is_heard(self):
        model = tiny_model(MicroEmoModel, use_voice_head=True)
        clip = audio_of(tiny_clip(num_utterances=2))
        clip["utterance_times"] = clip["utterance_times"].clone()
        clip["utterance_times"][:, 1] += 1000
        with torch.no_grad():
            found = model.get_audio_features(**clip).voice_logits
        assert found[:, :2].isfinite().all() and found[:, 2].isnan().all()

    def test_clip_without_audio_has_no_voice_logits(self):
        model = tiny_model(MicroEmoModel, use_voice_head=True)
        clip = audio_of(tiny_clip(num_utterances=2))
        clip["audio_mask"] = torch.zeros(*clip["input_features"].shape[:2], clip["input_features"].shape[-1])
        with torch.no_grad():
            assert len(model.get_audio_features(**clip).pooler_output[0]) == 0
            assert model.get_audio_features(**clip).voice_logits.isnan().all()

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision_is_close(self, dtype):
        model = tiny_model(MicroEmoModel, use_voice_head=True)
        clip = audio_of(tiny_clip(num_utterances=2))
        with torch.no_grad():
            full = model.get_audio_features(**clip).pooler_output[0]
            half = model.to(dtype).get_audio_features(**clip).pooler_output[0]
        assert half.dtype == dtype
        torch.testing.assert_close(half.float(), full, atol=0.1, rtol=0.1)
