import pytest
from evaluated_clips import evaluated, event, report, scores, utterance

from microemo.data.example import EmotionTargets
from microemo.evaluation.prediction_store import EvaluatedClip, PredictionStore, prediction_key

TARGETS = EmotionTargets(open_labels=("happy",), emotions=("joy",), valence=0.5)


@pytest.fixture
def clip():
    # U+2028 is a line to Python's splitlines, not to JSON lines
    said = report(utterance(0, answer="voil\u2028à", emotions=scores({"joy": 0.9})))
    return evaluated(said, TARGETS, events=[event(1.0, apex=1.2, offset=1.4)])


def test_stored_clips_are_restored(tmp_path, clip):
    path = tmp_path / "table.predictions.jsonl"
    store = PredictionStore(path)
    store.add("a", clip)
    again = PredictionStore(path)
    assert "a" in again and "b" not in again and again.get("a", example=clip.example) == clip


def test_truncated_line_is_recomputed(tmp_path, clip):
    path = tmp_path / "table.predictions.jsonl"
    store = PredictionStore(path)
    store.add("a", clip)
    store.add("b", clip)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    again = PredictionStore(path)
    assert "a" in again and "b" not in again
    again.add("b", clip)
    assert path.read_bytes() == whole


def test_store_without_file_is_in_memory(clip):
    store = PredictionStore()
    store.add("a", clip)
    assert store.get("a", example=clip.example) == clip


def test_prediction_keys_are_unambiguous():
    assert prediction_key("a", "b") != prediction_key("ab") and prediction_key("a", "b") == prediction_key("a", "b")


def test_targets_and_utterances_must_have_equal_length(clip):
    with pytest.raises(ValueError, match=r"targets \(2\) and utterances of the report \(1\)"):
        EvaluatedClip(clip.example, (TARGETS, TARGETS), clip.report)
