"""Voices with parts hidden."""

import pytest
import torch

from microemo.training.voice_masks import check_voice_masks, hide_parts


def voices():
    torch.manual_seed(0)
    features = torch.randn(3, 2, 80, 100)
    mask = torch.zeros(3, 2, 100, dtype=torch.bool)
    mask[0, 0, :60] = True
    mask[2] = True
    return features, mask


def test_bands_and_moments_of_a_voice_take_its_mean_and_no_more_than_was_asked():
    features, mask = voices()
    torch.manual_seed(1)
    hidden = hide_parts(features, audio_mask=mask, share=0.2)
    changed = hidden != features
    assert not changed[1].any() and not changed[0, 1].any() and not changed[0, 0, :, 60:].any()
    first = changed[0, 0, :, :60]
    bands, moments = first.all(1), first.all(0)
    assert 0 < bands.sum() <= 2 * 0.2 * 80 and 0 < moments.sum() <= 2 * 0.2 * 60
    torch.testing.assert_close(first, bands[:, None] | moments)
    filled = hidden[0, 0, :, :60][first]
    assert (filled - features[0, 0, :, :60].mean()).abs().max() < 0.1  # the second mask's mean is of the first's voice
    assert changed[2, 0].any() and changed[2, 1].any()  # a moment may lie across two windows
    bands = changed[2].transpose(0, 1).flatten(1).all(1)
    assert bands.any()


def test_each_draw_hides_others_and_none_changes_the_original():
    features, mask = voices()
    before = features.clone()
    one, other = (hide_parts(features, audio_mask=mask, share=0.2) for _ in range(2))
    assert not torch.equal(one, other)
    assert torch.equal(features, before)
    assert hide_parts(features, audio_mask=mask, share=0.0) is features


def test_samples_lose_moments_alone():
    torch.manual_seed(0)
    samples, mask = torch.randn(1, 1, 1000), torch.ones(1, 1, 1000, dtype=torch.bool)
    changed = (hide_parts(samples, audio_mask=mask, share=0.2) != samples)[0, 0]
    assert 0 < changed.sum() <= 400
    assert changed.int().diff().ne(0).sum() <= 4


@pytest.mark.parametrize("share", [-0.1, 0.6, 2])
def test_a_share_that_leaves_no_voice_is_refused(share):
    with pytest.raises(ValueError, match=r"voice_masks \(-?\d\.?\d*\) must be in 0\.\.0\.5"):
        check_voice_masks(share)
