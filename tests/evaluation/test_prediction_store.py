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


def test_what_is_kept_comes_back(tmp_path, clip):
    path = tmp_path / "table.predictions.jsonl"
    store = PredictionStore(path)
    store.add("a", clip)
    again = PredictionStore(path)
    assert "a" in again and "b" not in again and again.get("a", example=clip.example) == clip


def test_a_line_that_was_cut_off_is_made_anew(tmp_path, clip):
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


def test_without_a_file_it_keeps_for_as_long_as_it_lives(clip):
    store = PredictionStore()
    store.add("a", clip)
    assert store.get("a", example=clip.example) == clip


def test_keys_tell_their_parts_apart():
    assert prediction_key("a", "b") != prediction_key("ab") and prediction_key("a", "b") == prediction_key("a", "b")


def test_targets_and_utterances_must_be_as_many(clip):
    with pytest.raises(ValueError, match=r"targets \(2\) and utterances of the report \(1\)"):
        EvaluatedClip(clip.example, (TARGETS, TARGETS), clip.report)
