import socket
import time
from pathlib import Path

import numpy as np
import pytest
from synthetic_media import (
    cut_file,
    frame_number,
    moving_squares,
    rotate_display,
    set_display_matrix,
    tone,
    write_interlaced,
    write_video,
    write_wav,
)

from microemo.processing import video_decoders, video_reading
from microemo.processing.audio_reading import read_audio
from microemo.processing.media_source import VideoArray
from microemo.processing.video_decoders import decord
from microemo.processing.video_reading import fit_size, open_video

needs_decord = pytest.mark.skipif(decord is None, reason="decord has no wheel for this platform")
BACKENDS = ["pyav", pytest.param("decord", marks=needs_decord)]


def read_all(reader, indices=None, **how):
    parts = list(reader.read(range(len(reader)) if indices is None else indices, **how))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def distrust(path):
    return f"decord cannot be trusted with {path.name}; read with PyAV"


def numbers(pictures):
    return [frame_number(picture) for picture in pictures]


@pytest.fixture
def plain(tmp_path):
    return write_video(tmp_path / "plain.mp4", moving_squares(count=60))


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_frame_at_its_time(plain, backend):
    with open_video(plain, backend=backend) as reader:
        indices, pictures = read_all(reader)
        assert reader.backend == backend
        assert (reader.width, reader.height) == (128, 96)
        np.testing.assert_allclose(reader.times, np.arange(60) / 25, atol=1e-6)
        assert reader.duration_seconds == pytest.approx(60 / 25)
    assert indices.tolist() == numbers(pictures) == list(range(60))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("wanted", [[0], [59], [3, 4, 50], [13, 29, 30, 58]])
def test_sparse_reading_seeks_to_the_right_frame(plain, backend, wanted):
    with open_video(plain, backend=backend) as reader:
        for _ in range(2):  # the second time from wherever the first ended
            indices, pictures = read_all(reader, wanted)
            assert indices.tolist() == numbers(pictures) == wanted


@needs_decord
@pytest.mark.parametrize("size", [None, (48, 64), (33, 47)])
def test_both_backends_give_the_same_pictures(plain, size):
    pictures = {}
    for backend in ("decord", "pyav"):
        with open_video(plain, backend=backend) as reader:
            pictures[backend] = read_all(reader, size=size)[1].astype(int)
            assert pictures[backend].shape[1:3] == (size or (96, 128))
    difference = np.abs(pictures["decord"] - pictures["pyav"])
    # Unscaled they are equal; scaled, the two FFmpeg versions round differently at the edges of saturated colours.
    assert difference.max() == 0 if size is None else difference.mean() < 0.5 and difference.max() <= 24


def test_pyav_reads_what_names_no_backend(plain):
    with open_video(plain) as reader:
        assert reader.backend == "pyav" and reader.warnings == ()


@needs_decord
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
def test_decord_does_not_decode_ahead(tmp_path):
    """Left alone after a batch, it would fill the memory while nobody reads."""
    frames = np.concatenate([moving_squares(count=60, height=240, width=320)] * 10)
    path = write_video(tmp_path / "long.mp4", frames)

    def resident_bytes():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    with open_video(path, backend="decord") as reader:
        read_all(reader, [0])
        before = resident_bytes()
        read_all(reader, [1])
        time.sleep(0.5)  # enough to decode all 600 frames, 138 MB
        assert resident_bytes() - before < 40e6


def test_long_groups_of_pictures_go_to_pyav(plain, monkeypatch):
    monkeypatch.setattr(video_reading, "DECORD_LONGEST_GROUP", 5)
    with open_video(plain, backend="decord") as reader:
        assert reader.backend == "pyav" and reader.warnings == (distrust(plain),)


def test_decord_that_is_not_installed_is_named(plain, monkeypatch):
    monkeypatch.setattr(video_decoders, "decord", None)
    with pytest.raises(ImportError, match="pip install decord"):
        open_video(plain, backend="decord")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_variable_frame_rate_keeps_true_times(tmp_path, suffix):
    times = 0.1 + np.cumsum(np.where(np.arange(30) % 3 == 0, 0.1, 0.03))
    path = write_video(tmp_path / f"variable{suffix}", moving_squares(count=30), times=times)
    with open_video(path) as reader:
        np.testing.assert_allclose(reader.times, times, atol=1e-3)
        assert numbers(read_all(reader)[1]) == list(range(30))


@pytest.mark.parametrize(("degrees", "turns"), [(90, -1), (180, 2), (270, 1)])
@pytest.mark.parametrize("backend", [None, "decord"])
def test_rotated_videos_come_upright(tmp_path, degrees, turns, backend):
    frames = moving_squares(count=5)
    path = rotate_display(write_video(tmp_path / "rotated.mp4", frames), clockwise_degrees=degrees)
    expected = np.rot90(frames, turns, axes=(1, 2))
    with open_video(path, backend=backend) as reader:
        assert reader.backend == "pyav"  # decord turns some and not others
        assert reader.warnings == (() if backend is None else (distrust(path),))
        assert (reader.height, reader.width) == expected.shape[1:3]
        pictures = read_all(reader)[1]
        assert np.abs(pictures.astype(int) - expected).mean() < 6
        assert read_all(reader, size=(30, 20))[1].shape[1:3] == (30, 20)


MIRRORED = {  # display matrix -> what a player shows of the stored frames (N, H, W, 3)
    "left to right": ((-1, 0, 0, 1), lambda frames: frames[:, :, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda frames: frames[:, ::-1]),
    "transposed": ((0, 1, 1, 0), lambda frames: frames.transpose(0, 2, 1, 3)),
    "transposed at the other diagonal": ((0, -1, -1, 0), lambda frames: frames[:, ::-1, ::-1].transpose(0, 2, 1, 3)),
}


@pytest.mark.parametrize("how", MIRRORED)
def test_mirrored_videos_come_as_players_show_them(tmp_path, how):
    matrix, shown = MIRRORED[how]
    frames = moving_squares(count=5)
    path = set_display_matrix(write_video(tmp_path / "mirrored.mp4", frames), matrix)
    expected = shown(frames)
    with open_video(path) as reader:
        assert (reader.height, reader.width) == expected.shape[1:3]
        assert np.abs(read_all(reader)[1].astype(int) - expected).mean() < 6


def test_interlaced_pictures_show_one_moment(tmp_path):
    """The two fields show a square at two places: woven together its edges are combs."""
    early, late = (np.full((5, 96, 128, 3), 40, dtype=np.uint8) for _ in range(2))
    early[:, 24:72, 16:64], late[:, 24:72, 48:96] = 220, 220
    path = write_interlaced(tmp_path / "interlaced.mpg", early, late)
    with open_video(path) as reader:
        pictures = read_all(reader)[1].astype(int)
        assert any("interlaced" in warning for warning in reader.warnings)
        assert pictures.shape[1:3] == (96, 128)
        assert np.abs(pictures - early).mean() < 6
        assert np.abs(np.diff(pictures[:, 30:66, 50:94], axis=1)).max() < 40  # no combs inside


def test_names_with_a_colon_are_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    video = write_video(tmp_path / "plain.mp4", moving_squares(count=10), waveform=tone(seconds=0.4))
    names = ("scene:1.mp4", "concat:plain.mp4|plain.mp4", "data:video.mp4", "http:clip.mp4", "subfile,,start,0.mp4")
    for name in names:
        Path(name).write_bytes(video.read_bytes())
        with open_video(Path(name)) as reader:
            assert numbers(read_all(reader)[1]) == list(range(10))
        assert read_audio(Path(name)) is not None
    Path("concat:plain.mp4|plain.mp4").unlink()
    with pytest.raises(FileNotFoundError, match="no such file: concat:plain"):
        open_video("concat:plain.mp4|plain.mp4")


@needs_decord
def test_decord_opens_names_with_a_colon(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "plain.mp4", moving_squares(count=10)).rename("scene:1.mp4")
    with open_video("scene:1.mp4", backend="decord") as reader:
        assert numbers(read_all(reader)[1]) == list(range(10))
        assert reader.backend == "decord" and reader.warnings == ()


def test_a_playlist_cannot_reach_the_network(tmp_path):
    """A playlist is a small text that names other media; none of them is fetched from an address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x.ts"
        lines = ("#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXTINF:2,", address, "#EXT-X-ENDLIST")
        (tmp_path / "list.m3u8").write_text("\n".join(lines) + "\n")
        with pytest.raises(ValueError, match=r"list\.m3u8"):
            open_video(tmp_path / "list.m3u8")
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_list_of_files_is_not_opened(tmp_path):
    """FFmpeg would open what it names, and one that names itself until the process has no file left."""
    write_video(tmp_path / "other.mp4", moving_squares(count=3))
    for name in ("other.mp4", "clip.mp4"):
        (tmp_path / "clip.mp4").write_text(f"ffconcat version 1.0\nfile '{name}'\n")
        with pytest.raises(ValueError, match=r"clip\.mp4 is a list of other files"):
            open_video(tmp_path / "clip.mp4")


@pytest.mark.parametrize("form", ["file:{}", "{}", "../secret/{}"])
def test_a_playlist_under_another_name_reads_no_file(tmp_path, form):
    secret = tmp_path / "secret"
    secret.mkdir()
    write_video(secret / "s.mp4", moving_squares(count=3))
    inside = tmp_path / "in"
    inside.mkdir()
    named = form.format("s.mp4" if form.startswith("..") else secret / "s.mp4")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{named}\n#EXT-X-ENDLIST\n"
    manifest = (
        f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
        f'<Representation id="1" mimeType="video/mp4"><BaseURL>{named}</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>"
    )
    for text in (playlist, manifest):
        (inside / "clip.mp4").write_text(text)
        with pytest.raises(ValueError, match=r"clip\.mp4 is not a readable"):
            open_video(inside / "clip.mp4")


def test_odd_sizes(tmp_path):
    path = write_video(tmp_path / "odd.mp4", moving_squares(count=8, height=97, width=131))
    with open_video(path) as reader:
        assert (reader.width, reader.height) == (131, 97)
        assert numbers(read_all(reader)[1]) == list(range(8))


@pytest.mark.parametrize("suffix", [".ts", ".avi"])
@pytest.mark.parametrize("backend", [None, "decord"])
def test_containers_that_decord_gets_wrong(tmp_path, suffix, backend):
    path = write_video(tmp_path / f"clip{suffix}", moving_squares(count=40))
    with open_video(path, backend=backend) as reader:
        assert reader.backend == "pyav"
        assert (distrust(path) in reader.warnings) is (backend == "decord")
        assert numbers(read_all(reader)[1]) == list(range(40))
        assert numbers(read_all(reader, [5, 35])[1]) == [5, 35]
        # An AVI holds decoding times, of which the muxer presses the last one close to its neighbour.
        np.testing.assert_allclose(reader.times[:-1], np.arange(39) / 25, atol=2e-3)


def test_one_frame(tmp_path):
    with open_video(write_video(tmp_path / "one.mp4", moving_squares(count=1))) as reader:
        assert len(reader) == 1 and numbers(read_all(reader)[1]) == [0]


def test_cut_video_gives_what_is_readable_and_says_so(tmp_path):
    path = cut_file(write_video(tmp_path / "cut.mp4", moving_squares(count=60), moov_first=True), part=0.6)
    with open_video(path) as reader:
        indices, pictures = read_all(reader)
        assert numbers(pictures) == indices.tolist() == list(range(len(indices)))
        assert 10 < len(indices) < 50
        assert any("damaged or cut" in warning for warning in reader.warnings)


def test_video_that_lost_its_index_is_a_clear_error(tmp_path):
    path = cut_file(write_video(tmp_path / "cut.mp4", moving_squares()), part=0.6)
    with pytest.raises(ValueError, match=r"cut\.mp4 is not a readable .*; an mp4 that was cut before its end"):
        open_video(path)


@pytest.mark.parametrize("backend", BACKENDS)
def test_damaged_middle_does_not_hang(tmp_path, backend):
    path = write_video(tmp_path / "damaged.mp4", moving_squares(count=60), moov_first=True)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = bytes(600)
    path.write_bytes(content)
    with open_video(path, backend=backend) as reader:
        indices, _ = read_all(reader)
    assert len(indices) >= 20


def test_sound_alone_is_no_video(tmp_path):
    with pytest.raises(ValueError, match="no video that can be read: sound only"):
        open_video(write_wav(tmp_path / "sound.wav", tone(seconds=0.5)))


def test_bounded_batches(plain, monkeypatch):
    monkeypatch.setattr(video_reading, "BATCH_BYTES", 7 * 96 * 128 * 3)
    with open_video(plain) as reader:
        assert [len(indices) for indices, _ in reader.read(range(60))] == [7] * 8 + [4]


@needs_decord
def test_a_failing_decord_is_replaced_in_the_middle(plain, monkeypatch):
    class FailingReader(decord.VideoReader):
        def get_batch(self, indices):
            raise RuntimeError("[12:03:04] /build/src/video/video_reader.cc:270: no such frame\nStack trace")

    monkeypatch.setattr(decord, "VideoReader", FailingReader)
    with open_video(plain, backend="decord") as reader:
        assert numbers(read_all(reader)[1]) == list(range(60))
        assert reader.backend == "pyav"
        assert reader.warnings == ("decord: no such frame; continued with PyAV",)


def test_arrays():
    frames = np.random.default_rng(0).integers(0, 255, (4, 20, 30, 3), dtype=np.uint8)
    with open_video(VideoArray(frames, np.array([0.0, 0.1, 0.5, 0.6]))) as reader:
        assert reader.backend == "array" and reader.duration_seconds == pytest.approx(0.7)
        indices, pictures = read_all(reader, [1, 3])
        np.testing.assert_array_equal(pictures, frames[[1, 3]])
        assert read_all(reader, size=(10, 15))[1].shape == (4, 10, 15, 3)


@pytest.mark.parametrize(
    ("indices", "message"),
    [([3, 2], "strictly increasing"), ([1, 1], "strictly increasing"), ([-1], r"\[0, 60\)"), ([60], r"\[0, 60\)")],
)
def test_indices_are_checked(plain, indices, message):
    with open_video(plain) as reader, pytest.raises(ValueError, match=message):
        next(reader.read(indices))


def test_unknown_backend(plain):
    with pytest.raises(ValueError, match="backend must be None or one of"):
        open_video(plain, backend="cv2")


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"shortest": 224}, (224, 398)),
        ({"longest": 416}, (234, 416)),
        ({"shortest": 5000}, (1080, 1920)),
        ({}, (1080, 1920)),
        ({"longest": 1}, (1, 1)),
    ],
)
def test_fit_size(limits, expected):
    assert fit_size(height=1080, width=1920, **limits) == expected
