"""What the first token of a segment says about the voice."""

import pytest
import torch
from tiny_model import AUDIO_TOKENS, tiny_clip, tiny_config, tiny_model

from microemo import MicroEmoModel
from microemo.voice_readout import VoiceReadout, num_inner_states, voice_statistics

AUDIO = ("input_features", "audio_mask", "utterance_times", "utterance_mask")


def audio_of(clip):
    return {name: clip[name] for name in AUDIO if name in clip}


class TestStatistics:
    def test_they_are_mean_and_spread_of_each_segments_moments(self):
        torch.manual_seed(0)
        states = (torch.randn(2, 7, 3), torch.randn(2, 7, 3))
        membership = torch.zeros(2, 2, 7, dtype=torch.bool)
        membership[:, 0], membership[0, 1, 2:5] = True, True
        found = voice_statistics(states, membership=membership)
        part = torch.cat(states, dim=-1)[0, 2:5]
        expected = torch.cat((part.mean(0), part.std(0, correction=0)))
        torch.testing.assert_close(found.values[0, 1], expected, atol=1e-5, rtol=1e-4)
        assert found.heard.tolist() == [[True, True], [True, False]]
        assert not found.values[1, 1].any()

    def test_large_means_leave_the_spread_alone(self):
        states = torch.tensor([39.9, 40.1] * 5).view(1, 10, 1)
        found = voice_statistics((states,), membership=torch.ones(1, 1, 10, dtype=torch.bool))
        torch.testing.assert_close(found.values[0, 0], torch.tensor([40.0, 0.1]), atol=2e-3, rtol=0)


class TestReadout:
    def test_the_first_token_says_the_likeliest_emotion(self):
        config = tiny_config(use_voice_readout=True)
        readout = VoiceReadout(config)
        with torch.no_grad():
            readout.gate.zero_()
            readout.emotion.weight.zero_()
            readout.emotion.bias.zero_()
            readout.emotion.bias[3] = 50.0
        states = (torch.randn(1, 6, 32),) * num_inner_states(config)
        membership = torch.tensor([[[True] * 6, [False] * 6]])
        tokens = torch.randn(1, 2, AUDIO_TOKENS, 32)
        with torch.no_grad():
            spoken = readout(tokens, statistics=voice_statistics(states, membership=membership))
        torch.testing.assert_close(spoken[0, 0, 0], readout.words.weight[3])
        assert torch.equal(spoken[0, 1], tokens[0, 1]), "nothing is said where nothing is heard"
        assert torch.equal(spoken[:, :, 1:], tokens[:, :, 1:])

    def test_centre_and_scale_come_before_the_layer(self):
        config = tiny_config(use_voice_readout=True)
        readout = VoiceReadout(config)
        statistics = voice_statistics(
            (torch.randn(1, 6, len(readout.centre) // 2),), membership=torch.ones(1, 1, 6, dtype=torch.bool)
        )
        with torch.no_grad():
            before = readout.logits(statistics)
            readout.centre += 1.0
            readout.emotion.bias += readout.emotion.weight.sum(1)
            torch.testing.assert_close(readout.logits(statistics), before, atol=1e-4, rtol=1e-4)

    def test_a_tower_of_one_layer_has_nothing_between(self):
        audio = {**tiny_config().audio_config.to_dict(), "encoder_layers": 1, "num_hidden_layers": 1}
        with pytest.raises(ValueError, match="use_voice_readout needs an audio_config of at least 2 layers"):
            tiny_config(use_voice_readout=True, audio_config=audio)


class TestInTheModel:
    def test_one_token_of_each_segment_changes(self):
        model = tiny_model(MicroEmoModel, use_voice_readout=True)
        clip = audio_of(tiny_clip(num_utterances=2))
        with torch.no_grad():
            spoken = model.get_audio_features(**clip).pooler_output[0].unflatten(0, (3, AUDIO_TOKENS))
            model.config.use_voice_readout = False
            silent = model.get_audio_features(**clip).pooler_output[0].unflatten(0, (3, AUDIO_TOKENS))
        assert not torch.allclose(spoken[:, 0], silent[:, 0], atol=1e-3)
        torch.testing.assert_close(spoken[:, 1:], silent[:, 1:])

    def test_the_statistics_are_those_of_the_towers_inner_states(self):
        model = tiny_model(MicroEmoModel, use_voice_readout=True)
        clip = audio_of(tiny_clip(num_utterances=2))
        with torch.no_grad():
            statistics = model.get_voice_statistics(**clip)
            recorded = model.get_audio_features(**clip, output_hidden_states=True)
            unasked = model.get_audio_features(**clip)
            model.audio_tower.config.output_hidden_states = True
            by_config = model.get_audio_features(**clip)
        assert unasked.hidden_states is None and recorded.hidden_states is not None
        assert len(by_config.hidden_states) == len(recorded.hidden_states)
        inner = recorded.hidden_states[1:-1]
        assert len(inner) == num_inner_states(model.config)
        whole = torch.cat([states.flatten(0, 1) for states in inner], dim=-1)  # this clip sounds from end to end
        expected = torch.cat((whole.mean(0), whole.std(0, correction=0)))
        torch.testing.assert_close(statistics.values[0, 0], expected, atol=1e-4, rtol=1e-4)

    def test_a_clip_without_sound_says_nothing(self):
        model = tiny_model(MicroEmoModel, use_voice_readout=True)
        clip = audio_of(tiny_clip(num_utterances=2))
        clip["audio_mask"] = torch.zeros(*clip["input_features"].shape[:2], clip["input_features"].shape[-1])
        with torch.no_grad():
            assert len(model.get_audio_features(**clip).pooler_output[0]) == 0
            assert not model.get_voice_statistics(**clip).heard.any()

    def test_without_it_statistics_are_refused(self):
        with pytest.raises(ValueError, match="built without a voice readout"):
            tiny_model(MicroEmoModel).get_voice_statistics(torch.zeros(1, 1, 80, 60))

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision_says_the_same(self, dtype):
        model = tiny_model(MicroEmoModel, use_voice_readout=True)
        clip = audio_of(tiny_clip(num_utterances=2))
        with torch.no_grad():
            full = model.get_audio_features(**clip).pooler_output[0]
            half = model.to(dtype).get_audio_features(**clip).pooler_output[0]
        assert half.dtype == dtype
        torch.testing.assert_close(half.float(), full, atol=0.1, rtol=0.1)
