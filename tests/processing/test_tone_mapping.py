"""HDR video is converted to match its SDR version."""

import numpy as np
import pytest
from synthetic_faces import portrait
from synthetic_media import write_hdr, write_video

from microemo.processing.media_index import index_media
from microemo.processing.tone_mapping import HLG, PQ, hdr_name, tone_map
from microemo.processing.video_reading import open_video

BT709_TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def hdr_codes(picture, *, transfer):
    """(H, W, 3) uint16: the code values of a uint8 sRGB picture whose white is 203 nits (ITU-R BT.2408)."""
    code = picture / 255.0
    light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    nits = np.clip(light @ BT709_TO_BT2020.T, 0, 1) * 203
    if transfer == PQ:
        power = (nits / 10_000) ** (2610 / 16384)
        code = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    else:
        display = nits / 1_000
        luma = np.maximum(display @ [0.2627, 0.6780, 0.0593], 1e-9)[..., None]
        scene = display * luma ** ((1 - 1.2) / 1.2)
        high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        code = np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)
    return np.round(np.clip(code, 0, 1) * 65535).astype(np.uint16)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_video_looks_like_its_sdr_version(tmp_path, transfer):
    face = portrait()
    hdr = write_hdr(tmp_path / "hdr.mp4", hdr_codes(face, transfer=transfer)[None].repeat(3, 0), transfer=transfer)
    plain = write_video(tmp_path / "plain.mp4", face[None].repeat(3, 0))
    pictures = []
    for path in (hdr, plain):
        with open_video(path, backend="decord" if path == hdr else None) as reader:
            pictures.append(next(reader.read([1], size=(100, 100)))[1][0].astype(float))
            if path == hdr:
                assert reader.backend == "pyav"
                assert any(f"HDR ({hdr_name(transfer)})" in warning for warning in reader.warnings)
    difference = np.abs(pictures[0] - pictures[1])
    assert difference.mean() < 4 and np.percentile(difference, 99) < 16
    assert not index_media(hdr).video.plain


def test_highlights_are_compressed_monotonically():
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None, :, None].repeat(3, 2)
    mapped = tone_map(ramp, transfer=PQ, primaries=9)[0].astype(int)
    assert np.all(np.diff(mapped[:, 0]) >= 0) and mapped[0].max() == 0 and 250 <= mapped[-1].min() <= 255
    np.testing.assert_allclose(mapped[:, 0], mapped[:, 2], atol=1)  # grey stays grey
    white, bright = tone_map(hdr_codes(np.full((1, 1, 3), 255), transfer=PQ), transfer=PQ, primaries=9), mapped[-1]
    assert white.max() < bright.max()
