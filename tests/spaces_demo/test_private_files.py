import errno
import os
import stat

import pytest

from microemo.spaces_demo.private_files import GONE, add, new_folder


@pytest.fixture
def uploads(tmp_path):
    (tmp_path / "uploads").mkdir()
    return tmp_path / "uploads"


@pytest.fixture
def stored(uploads):
    path = uploads / "hash" / "clip.mp4"
    path.parent.mkdir()
    path.write_bytes(b"pictures")
    return path


def take(path, uploads):
    return add(new_folder(uploads.parent), path, uploads=uploads)


def test_a_request_owns_its_copy(stored, uploads):
    taken = take(stored, uploads)
    (mine,) = taken.files
    assert mine.name == "clip.mp4" and mine.read_bytes() == b"pictures"
    assert stat.S_IMODE(taken.folder.stat().st_mode) == 0o700
    taken.delete()
    assert not stored.exists() and not taken.folder.exists()
    taken.delete()  # nothing left to do


def test_equal_uploads_of_two_visitors_share_no_fate(stored, uploads):
    one, other = take(stored, uploads), take(stored, uploads)
    one.delete()
    assert other.files[0].read_bytes() == b"pictures"
    other.delete()


def test_only_uploads_are_removed(stored, uploads, tmp_path):
    ours = tmp_path / "example.mp4"
    ours.write_bytes(b"ours")
    (uploads / "link.mp4").symlink_to(ours)
    for path in (ours, uploads / "link.mp4"):
        take(path, uploads).delete()
    assert ours.read_bytes() == b"ours"


def test_a_file_that_is_gone_is_said_to_be(uploads):
    taken = new_folder(uploads.parent)
    with pytest.raises(ValueError, match=GONE):
        add(taken, uploads / "missing.srt", uploads=uploads)
    taken.delete()


def test_another_file_system_gets_a_copy(stored, uploads, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EXDEV, "cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    taken = take(stored, uploads)
    assert taken.files[0].read_bytes() == b"pictures"
    taken.delete()
