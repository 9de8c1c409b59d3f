"""The list of clips: which files, which ids, and what is refused."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_clips import write_corpus
from synthetic_media import tone, write_wav

from microemo.inference.corpus.manifest import COLUMNS, ClipEntry, Manifest, clip_id_of, scan_folder


def manifest_of(count):
    return Manifest.of_entries([ClipEntry(7 * number, f"{number}.mp4") for number in range(count)])


def test_a_folder_is_listed_with_what_belongs_to_each_clip(tmp_path):
    write_corpus(tmp_path / "clips" / "deep", clips=2)
    sound = write_wav(tmp_path / "clips" / "sound.wav", tone(seconds=0.5))
    (tmp_path / "clips" / "sound.srt").write_text("")
    (tmp_path / "clips" / "deep" / "clip_000.wav").write_text("the sound of clip 0, not a clip of its own")
    (tmp_path / "clips" / "notes.txt").write_text("no clip")
    manifest = scan_folder(tmp_path / "clips")
    found = {entry.path.rpartition("/")[2]: entry for entry in manifest.entries()}
    assert sorted(found) == ["clip_000.mp4", "clip_001.mp4", "sound.wav"]
    assert found["sound.wav"].duration_seconds == pytest.approx(0.5, abs=0.01)
    assert found["sound.wav"].transcript == str(sound.with_suffix(".srt"))
    assert found["clip_000.mp4"].duration_seconds is None  # no header of a video
    assert found["clip_000.mp4"].bytes == 6 and found["clip_000.mp4"].transcript is None
    manifest.write(tmp_path / "m.parquet")
    assert Manifest.read(tmp_path / "m.parquet").table.equals(manifest.table)


def test_an_id_is_that_of_the_bytes_alone(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_text("same")
    (tmp_path / "c.mp4").write_text("other")
    first, same, other = (clip_id_of(tmp_path / name) for name in ("a.mp4", "b.mp4", "c.mp4"))
    assert first == same != other and 0 <= first < 2**63


def test_files_with_the_same_bytes_are_refused_by_name():
    twins = [ClipEntry(3, "a.mp4"), ClipEntry(5, "b.mp4"), ClipEntry(3, "c.mp4")]
    with pytest.raises(ValueError, match=r"must have each id once, but 1 stand there again.*a\.mp4, c\.mp4"):
        Manifest.of_entries(twins)


@pytest.mark.parametrize(("length", "count"), [(10, 3), (3, 5), (0, 2), (16, 16)])
def test_shards_are_all_clips_once_and_of_about_equal_length(length, count):
    manifest = manifest_of(length)
    shards = [manifest.shard(index, count=count) for index in range(1, count + 1)]
    ids = [entry.id for shard in shards for entry in shard.entries()]
    assert ids == [7 * number for number in range(length)]
    assert np.ptp([len(shard) for shard in shards]) <= 1


def test_a_shard_out_of_range_is_refused():
    with pytest.raises(ValueError, match="shard must be 1/3 to 3/3, got 4/3"):
        manifest_of(5).shard(4, count=3)


def test_a_manifest_made_elsewhere_needs_ids_and_paths_alone(tmp_path):
    table = pa.table({"path": ["b", "a"], "id": [2, 1], "speaker": ["x", "y"]})
    pq.write_table(table, tmp_path / "m.parquet")
    manifest = Manifest.read(tmp_path / "m.parquet")
    assert [entry.id for entry in manifest.entries()] == [1, 2] and manifest.table.schema.equals(COLUMNS)
    with pytest.raises(ValueError, match=r"lacks the columns \['path'\]"):
        Manifest(table.drop_columns("path"))
    with pytest.raises(ValueError, match=r"must have the columns id \(int64\)"):
        Manifest(pa.table({"id": ["x"], "path": ["a"]}))
    (tmp_path / "words.parquet").write_text("words")
    with pytest.raises(ValueError, match="words.parquet is no Parquet file"):
        Manifest.read(tmp_path / "words.parquet")


def test_the_digest_is_that_of_the_clips():
    manifest = manifest_of(3)
    assert manifest.digest() == manifest_of(3).digest() != manifest_of(4).digest()
    renamed = [ClipEntry(entry.id, f"x{entry.path}") for entry in manifest.entries()]
    assert Manifest.of_entries(renamed).digest() != manifest.digest()


def test_a_folder_without_clips_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no file that ends in \.mp4"):
        scan_folder(tmp_path)
    with pytest.raises(ValueError, match="there is no folder"):
        scan_folder(tmp_path / "nowhere")
