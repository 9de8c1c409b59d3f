"""Every clip once, or an error that says which."""

from functools import partial

import pyarrow.parquet as pq
import pytest
from corpus_clips import JOB, StandInAnalyzer, plain_row, write_corpus

from microemo.inference.corpus.manifest import ClipEntry, Manifest, clip_id_of
from microemo.inference.corpus.merging import merge_parts
from microemo.inference.corpus.shards import Outcome, run_shard
from microemo.inference.corpus.tables import events_table, flat_path, utterances_table


@pytest.fixture
def manifest(tmp_path):
    folder = write_corpus(tmp_path / "clips", clips=7)
    return Manifest.of_entries([ClipEntry(clip_id_of(path), str(path)) for path in sorted(folder.iterdir())])


@pytest.fixture
def make_part(manifest, tmp_path):
    """Analyses a shard, or given clips."""

    def build(index, count, *, clips=None, **job):
        out = tmp_path / f"part-{index}-{count}.parquet"
        clips = manifest.shard(index, count=count) if clips is None else clips
        job = {**JOB, "manifest": manifest.digest(), "shard": f"{index}/{count}", **job}
        run_shard(clips, out=out, job=job, analyze=partial(plain_row, analyzer=StandInAnalyzer()))
        return out

    return build


def test_four_shards_are_the_table_of_one(manifest, make_part, tmp_path):
    parts = [make_part(index, 4) for index in (3, 1, 4, 2)]
    assert merge_parts(manifest, parts, out=tmp_path / "all.parquet") == Outcome(7, 0)
    merged, whole = pq.read_table(tmp_path / "all.parquet"), pq.read_table(make_part(1, 1))
    assert merged.equals(whole) and merged.schema.metadata == whole.schema.metadata
    assert pq.read_table(flat_path(tmp_path / "all.parquet", "utterances")).equals(utterances_table(whole))
    assert pq.read_table(flat_path(tmp_path / "all.parquet", "events")).equals(events_table(whole))


def test_more_shards_than_clips(manifest, make_part, tmp_path):
    parts = [make_part(index, 9) for index in range(1, 10)]
    assert merge_parts(manifest, parts, out=tmp_path / "all.parquet") == Outcome(7, 0)


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        ([(1, 4), (2, 4), (4, 4)], "2 of 7 clips are missing"),
        ([(1, 1), (2, 4)], "2 of 7 clips are there more than once"),
        ([], "parts must be tables of clips, got none"),
    ],
)
def test_clips_that_are_missing_or_twice_are_an_error(manifest, make_part, tmp_path, shards, message):
    with pytest.raises(ValueError, match=message):
        merge_parts(manifest, [make_part(*shard) for shard in shards], out=tmp_path / "all.parquet")
    assert not (tmp_path / "all.parquet").exists()


def test_clips_of_nowhere_are_an_error(manifest, make_part, tmp_path):
    (tmp_path / "foreign.mp4").write_text("foreign")
    foreign = Manifest.of_entries([ClipEntry(1, str(tmp_path / "foreign.mp4"))])
    parts = [make_part(1, 1), make_part(2, 2, clips=foreign)]
    with pytest.raises(ValueError, match="1 of 7 clips are not in the manifest: 1$"):
        merge_parts(manifest, parts, out=tmp_path / "all.parquet")


def test_tables_of_other_cuts_are_refused(manifest, make_part, tmp_path):
    entries = list(manifest.entries())
    even, odd = (Manifest.of_entries(entries[start::2]) for start in (0, 1))
    with pytest.raises(ValueError, match="parts must be runs of the manifest's rows"):
        merge_parts(manifest, [make_part(1, 2, clips=even), make_part(2, 2, clips=odd)], out=tmp_path / "all.parquet")


def test_tables_of_different_analyses_are_not_mixed(manifest, make_part, tmp_path):
    parts = [make_part(1, 2), make_part(2, 2, mode="explain")]
    with pytest.raises(ValueError, match="different analyses: mode .'scores', now 'explain'"):
        merge_parts(manifest, parts, out=tmp_path / "all.parquet")
    with pytest.raises(ValueError, match="is a table of another manifest"):
        merge_parts(manifest.shard(1, count=2), parts[:1], out=tmp_path / "all.parquet")
