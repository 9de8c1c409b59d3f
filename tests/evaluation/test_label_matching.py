import io
import json
import zipfile

import numpy as np
import pytest

from microemo.evaluation.metrics.label_matching import (
    embedding_grouping,
    file_grouping,
    model_grouping,
    read_stored_groups,
    word_vector_embedder,
)
from microemo.evaluation.metrics.open_vocabulary import set_scores, set_scores_of_groups

VECTORS = {"happy": (1, 0), "glad": (0.9, 0.1), "sad": (-1, 0.1), "odd": (0, 0)}


def embed(words):
    return np.array([VECTORS.get(word, (0, 0)) for word in words], dtype=float)


def test_groups_of_a_file(tmp_path):
    path = tmp_path / "groups.json"
    path.write_text(json.dumps([["Happy", "glad"], ["sad"]]))
    group = file_grouping(path)
    assert group(["glad", "table"]) == {"glad": "happy"}
    assert set_scores([["happy"]], [["glad"]], grouping=group).average == 1
    path.write_text('{"happy": "glad"}')
    with pytest.raises(ValueError, match="list of lists"):
        file_grouping(path)


def test_near_vectors_make_a_group_and_unknown_words_stay_alone():
    mapping = embedding_grouping(embed, threshold=0.8)(["glad", "happy", "odd", "sad", "unknown"])
    assert mapping["glad"] == mapping["happy"]
    assert mapping["sad"] == "sad"
    assert "odd" not in mapping
    assert set_scores([["odd"]], [["unknown"]], grouping=embedding_grouping(embed)).average == 0


def test_equal_vectors_agree_even_at_the_highest_threshold():
    group = embedding_grouping(lambda words: np.tile([0.1, 0.3], (len(words), 1)), threshold=1.0)
    assert set_scores([["a"]], [["b"]], grouping=group).average == 1


def test_embedding_grouping_needs_no_words():
    assert embedding_grouping(embed)([]) == {}
    with pytest.raises(ValueError, match="threshold"):
        embedding_grouping(embed, threshold=2)
    with pytest.raises(ValueError, match="one vector per word"):
        embedding_grouping(lambda words: np.zeros((1, 2)))(["a", "b"])


@pytest.mark.parametrize("header", ["", "3 2\n"])
def test_word_vectors_are_read_with_and_without_header(tmp_path, header):
    path = tmp_path / "vectors.txt"
    path.write_text(header + "happy 1 0\nvery 0 1\nsad -1 0\n")
    vectors = word_vector_embedder(path)(["happy", "very happy", "table"])
    np.testing.assert_allclose(vectors, [[1, 0], [0.5, 0.5], [0, 0]])


def test_a_file_without_vectors_is_refused(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("nothing\n")
    with pytest.raises(ValueError, match="got none"):
        word_vector_embedder(path)


def test_a_model_groups_words_and_is_asked_again_after_an_empty_answer():
    answers = iter(["", " ", "[['glad', 'happy']]"])
    group = model_grouping(lambda prompt: next(answers))
    assert group(["glad", "happy"]) == {"glad": "glad", "happy": "glad"}
    calls = []
    assert model_grouping(lambda prompt: calls.append(prompt) or "")(["glad"]) == {}
    assert len(calls) == 5
    assert model_grouping(lambda prompt: calls.append(prompt) or "")([]) == {}
    assert len(calls) == 5


def test_stored_groups_are_read_from_a_folder_and_from_a_zip(tmp_path):
    folder = tmp_path / "openset-synonym"
    folder.mkdir()
    np.save(folder / "clip_1.npy", "[['happy', 'glad']]")
    with zipfile.ZipFile(tmp_path / "stored.zip", "w") as archive:
        archive.write(folder / "clip_1.npy", "openset-synonym/clip_1.npy")
    for path in (folder, tmp_path / "stored.zip"):
        stored = read_stored_groups(path)
        assert stored == {"clip_1": "[['happy', 'glad']]"}
        assert set_scores_of_groups([["happy"]], [["glad"]], groups=[stored["clip_1"]]).average == 1


def test_pickled_groups_are_refused(tmp_path):
    content = io.BytesIO()
    np.save(content, np.array([["happy"], ["glad", "sad"]], dtype=object), allow_pickle=True)
    (tmp_path / "clip.npy").write_bytes(content.getvalue())
    with pytest.raises(ValueError, match="allow_pickle"):
        read_stored_groups(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match="folder or a zip"):
        read_stored_groups(tmp_path / "notes.txt")
