"""Tables by the command line: usage, and a whole corpus by the tiny model."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from synthetic_media import moving_squares, tone, write_video
from tiny_folder import write_tiny_folder

from microemo.cli.main import main
from microemo.inference.corpus.tables import flat_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--manifest", "m", "a.mp4", "--out", "t.parquet"], "clips are either VIDEOs or those of a --manifest"),
        (["--out", "t.parquet"], "clips are either VIDEOs or those of a --manifest"),
        (["--manifest", "m"], "--manifest needs --out with a name that ends in .parquet, got None"),
        (["--manifest", "m", "--out", "t.json"], "--manifest needs --out with a name that ends in .parquet"),
        (["a.mp4", "--out", "t.parquet", "--json"], "--json does not go with a table"),
        (["a.mp4", "--out", "t.parquet", "--shard", "1/2"], "--shard cuts a --manifest"),
        (["a.mp4", "--out", "t.parquet"], "no such file: a.mp4"),
        (["--manifest", "m", "--out", "t.parquet", "--transcript", "a.srt"], "a manifest names the transcripts"),
        ([], "give a VIDEO, or --manifest"),
        (["a.mp4", "--shard", "1/2"], "--shard and --time-limit belong to tables"),
    ],
)
def test_wrong_usage_is_named_before_a_model_is_loaded(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["analyze", *arguments]) == 2
    assert message in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_a_limit_must_be_positive_and_a_shard_a_pair(tmp_path, capsys):
    (tmp_path / "a.mp4").touch()
    table = ["--out", str(tmp_path / "t.parquet")]
    assert main(["analyze", str(tmp_path / "a.mp4"), *table, "--time-limit", "0"]) == 2
    assert "--time-limit must be > 0, got 0" in capsys.readouterr().err
    assert main(["analyze", "--manifest", str(tmp_path / "a.mp4"), *table, "--shard", "3"]) == 2
    assert "shard must be NUMBER/COUNT such as 3/16, got '3'" in capsys.readouterr().err


def test_manifest_and_merge_check_their_output_first(tmp_path, capsys):
    assert main(["corpus", "manifest", str(tmp_path), "--out", str(tmp_path / "m.csv")]) == 2
    assert "--out must end in .parquet" in capsys.readouterr().err
    assert main(["corpus", "merge", str(tmp_path / "m.parquet"), "p", "--out", str(tmp_path / "t.parquet")]) == 2
    assert "m.parquet" in capsys.readouterr().err


@pytest.fixture
def clips(tmp_path):
    """Three clips of half a second with a transcript each, and an empty file."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(3):
        frames = moving_squares(count=12, height=64, width=64)
        frames[:, 4:12, 4:12] = number * 40
        path = write_video(folder / f"{number}.mp4", np.asarray(frames), waveform=tone(seconds=0.5))
        entry = {"start": 0.05, "end": 0.4, "text": f"Look at number {number}!"}
        path.with_suffix(".json").write_text(json.dumps([entry]))
    (folder / "empty.mp4").touch()
    return folder


@pytest.mark.slow
def test_shards_merged_are_the_table_of_one_go(clips, tmp_path, capsys):
    model = str(write_tiny_folder(tmp_path / "model"))
    manifest, whole, merged = (str(tmp_path / name) for name in ("m.parquet", "whole.parquet", "merged.parquet"))
    how = ["--model", model, "--mode", "scores", "--quiet"]
    assert main(["corpus", "manifest", str(clips), "--out", manifest, "--quiet"]) == 0
    parts = [str(tmp_path / f"part-{index}.parquet") for index in (1, 2)]
    for index, part in enumerate(parts, start=1):
        assert main(["analyze", "--manifest", manifest, "--shard", f"{index}/2", "--out", part, *how]) == 0
    assert main(["corpus", "merge", manifest, *reversed(parts), "--out", merged]) == 0
    assert "4 clips, 1 of them errors" in capsys.readouterr().err
    videos = [str(path) for path in sorted(clips.glob("*.mp4"))]
    assert main(["analyze", "--manifest", manifest, "--out", whole, *how]) == 0
    assert pq.read_table(merged).equals(pq.read_table(whole))
    for name in ("utterances", "events"):
        flat = [pq.read_table(flat_path(tmp_path / f"{table}.parquet", name)) for table in ("merged", "whole")]
        assert flat[0].equals(flat[1])
    assert pq.read_table(flat_path(tmp_path / "whole.parquet", "utterances")).num_rows == 3
    # Videos named one by one: files beside them are not taken as transcripts.
    assert main(["analyze", *videos, "--out", str(tmp_path / "direct.parquet"), *how]) == 0
    rows = pq.read_table(tmp_path / "direct.parquet").to_pylist()
    assert not any("Look" in utterance["text"] for row in rows for utterance in row["utterances"] or ())
    assert {row["path"]: row["status"] for row in rows} == {
        video: "error" if video.endswith("empty.mp4") else "done" for video in videos
    }
