import json

import numpy as np
import pytest

from microemo.evaluation.clip_labels import ClipLabels, read_clip_labels


def test_a_csv_of_the_challenges(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("\ufeffname,openset\nclip_1,\"['happy', 'calm']\"\nclip_2,[]\nclip_3,\n", encoding="utf-8")
    clips = read_clip_labels(path)
    assert list(clips) == ["clip_1", "clip_2", "clip_3"]
    assert clips["clip_1"].labels == ("happy", "calm")
    assert clips["clip_2"].labels == clips["clip_3"].labels == ()


def test_json_lines_with_every_kind_of_label(tmp_path):
    path = tmp_path / "labels.jsonl"
    entry = {"name": "clip", "labels": ["happy"], "discrete": " Happy", "val": "0.5", "valence": 2, "arousal": None}
    path.write_text(json.dumps(entry) + "\n\n")
    assert read_clip_labels(path) == {
        "clip": ClipLabels(name="clip", labels=("happy",), emotion="happy", sentiment=0.5, valence=2.0)
    }


def test_free_text_is_read_for_labels(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text('names,reasons\nclip,"He looks happy, not angry."\n')
    assert read_clip_labels(path)["clip"].labels == ("happy",)
    assert read_clip_labels(path, extract=lambda text: ["anything"])["clip"].labels == ("anything",)


def test_a_submission_of_mer2025(tmp_path):
    path = tmp_path / "model-openset.npz"
    np.savez_compressed(path, filenames=["a", "b"], fileitems=["['sad']", "happy, calm"])
    assert [clip.labels for clip in read_clip_labels(path).values()] == [("sad",), ("happy", "calm")]


def test_pickled_submissions_are_refused(tmp_path):
    path = tmp_path / "model-openset.npz"
    np.savez(path, filenames=["a", "b"], fileitems=np.array([["sad"], ["happy", "calm"]], dtype=object))
    with pytest.raises(ValueError, match="not of pickled objects"):
        read_clip_labels(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "openset\nhappy\n", "must name the clip"),
        ("a.csv", "name,openset\n", "at least one clip"),
        ("a.csv", "name,valence\nclip,high\n", "entry 1: valence"),
        ("a.csv", "name,openset\nclip,a\nclip,b\n", "entry 2: clip 'clip' occurs more than once"),
        ("a.jsonl", "[1]\n", "line 1 must be a JSON object"),
        ("a.txt", "", "must end in"),
    ],
)
def test_unusable_files_are_explained(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_clip_labels(tmp_path / name)
    with pytest.raises(ValueError, match="there is none"):
        read_clip_labels(tmp_path / "absent.csv")
