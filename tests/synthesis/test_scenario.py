import re

import numpy as np
import pytest

from microemo.data.action_units import EMOTIONS, LABELS, MICRO_SECONDS, UNIT_INDEX
from microemo.data.emotion_words import (
    CLOSED_LABELS,
    GOEMOTIONS_ADJECTIVES,
    GOEMOTIONS_TO_CLOSED,
    STRENGTHS,
    is_speakable,
    load_lexicon,
    read_goemotions,
    strength_of,
)
from microemo.processing.emotion_parsing import parse_emotions
from microemo.processing.evidence import Evidence
from microemo.processing.evidence_text import UNIT_DESCRIPTIONS
from microemo.synthesis.script.casting import Sources
from microemo.synthesis.script.explanation import micro_expression_relation, reasons
from microemo.synthesis.script.scenario import CLIP_SECONDS, ClipId, ClipSettings, draw_scenario
from microemo.synthesis.script.truth import ClipTruth, FaceEvent


def draw(index: int, *, settings: ClipSettings | None = None, seed: int = 5):
    clip = ClipId(seed, index, "someone", "female")
    return draw_scenario(clip, sources=Sources(), settings=settings or ClipSettings(size=64))


@pytest.fixture
def scenarios(humming):
    return [draw(index) for index in range(60)]


def test_truth_json_round_trip(scenarios):
    for scenario in scenarios:
        line = scenario.truth.to_json()
        assert "\n" not in line
        again = ClipTruth.from_json(line)
        assert again.to_json() == line
        np.testing.assert_allclose(again.action_units, scenario.truth.action_units, atol=1e-4)
        assert again.events == scenario.truth.events
        assert again.utterances == scenario.truth.utterances


def test_scenario_depends_on_the_seed_only(humming):
    assert draw(7).truth.to_json() == draw(7).truth.to_json()
    assert draw(7).truth.to_json() != draw(8).truth.to_json()
    assert draw(7).truth.to_json() != draw(7, seed=6).truth.to_json()


def test_clips_are_within_the_limits(scenarios):
    for scenario in scenarios:
        truth = scenario.truth
        assert CLIP_SECONDS[0] <= truth.duration_seconds <= CLIP_SECONDS[1]
        assert 1 <= len(truth.utterances) <= 4
        ends = [0.0] + [utterance.utterance.end_seconds for utterance in truth.utterances]
        starts = [utterance.utterance.start_seconds for utterance in truth.utterances]
        assert all(start > end for start, end in zip(starts, ends, strict=False))
        assert ends[-1] < truth.duration_seconds
        assert 11.9 <= 1 / np.median(np.diff(truth.frame_times)) <= 31
        assert (np.diff(truth.frame_times) > 0).all() and truth.frame_times[-1] < truth.duration_seconds


def test_micro_expressions_are_short_visible_and_in_half_of_the_utterances(scenarios):
    micros, spoken = [], 0
    for scenario in scenarios:
        truth = scenario.truth
        spoken += sum(utterance.on_screen for utterance in truth.utterances)
        for event in truth.events:
            if event.kind != "micro":
                continue
            micros.append(event)
            assert MICRO_SECONDS[0] <= event.offset_seconds - event.onset_seconds <= MICRO_SECONDS[1] + 1e-3
            inside = (truth.frame_times > event.onset_seconds) & (truth.frame_times < event.offset_seconds)
            units = [LABELS.index(unit) for unit in event.units]
            shown = truth.action_units[inside][:, units].max()
            assert shown >= 0.8 * event.intensity
    assert 0.35 < len(micros) / spoken < 0.6
    assert {event.emotion for event in micros} == set(EMOTIONS)


def test_action_units_are_zero_outside_of_events(scenarios):
    """Except for units of speech (25, 26) and blinks (43)."""
    quiet = [
        index for label, index in zip(LABELS, range(len(LABELS)), strict=True) if label not in ("AU25", "AU26", "AU43")
    ]
    for scenario in scenarios:
        times = scenario.truth.frame_times
        free = np.ones(len(times), bool)
        for event in scenario.truth.events:
            free &= (times <= event.onset_seconds) | (times >= event.offset_seconds)
        assert scenario.truth.action_units[free][:, quiet].max(initial=0) == 0


def test_no_blink_during_micro_expressions(scenarios):
    for scenario in scenarios:
        lids = scenario.truth.action_units[:, UNIT_INDEX[43]]
        for event in scenario.truth.events:
            if event.kind == "micro":
                times = scenario.truth.frame_times
                assert lids[(times > event.onset_seconds) & (times < event.offset_seconds)].max(initial=0) == 0


def test_explanations_match_the_truth(scenarios):
    for scenario in scenarios:
        truth = scenario.truth
        for utterance in truth.utterances:
            parsed = parse_emotions(utterance.feeling.explanation)
            assert parsed.is_parsed and parsed.labels == utterance.feeling.labels
            start, end = utterance.utterance.start_seconds, utterance.utterance.end_seconds
            near = [e for e in truth.events if e.onset_seconds < end and e.offset_seconds > start - 0.2]
            allowed = {UNIT_DESCRIPTIONS[unit] for event in near for unit in event.units}
            mentioned = {looks for looks in UNIT_DESCRIPTIONS.values() if looks in parsed.description}
            assert mentioned <= allowed and (utterance.on_screen or not mentioned)
            for event in near:
                if event.kind == "micro":
                    assert f"{event.apex_seconds:.1f} s" in parsed.description and event.emotion in parsed.description
            assert ("not seen" in parsed.description or "No face" in parsed.description) == (not utterance.on_screen)
            assert len(set(utterance.feeling.labels)) == len(utterance.feeling.labels)
            assert -1 <= utterance.feeling.valence <= 1 and -1 <= utterance.feeling.arousal <= 1
        assert parse_emotions(truth.feeling.explanation).labels == truth.feeling.labels


def test_micro_expressions_agree_and_conflict(scenarios):
    texts = [each.feeling.explanation for scenario in scenarios for each in scenario.truth.utterances]
    conflicts = sum(bool(re.search(r"disagree|contradicts|does not fit", text)) for text in texts)
    agreements = sum(bool(re.search(r"the \w+ agree|The face fits", text, re.IGNORECASE)) for text in texts)
    assert conflicts >= 2 and agreements >= 3


def test_relation_is_between_a_lone_micro_expression_and_an_emotional_stream():
    span = (0.0, 2.0)
    micro = Evidence("micro_expression", "fear", 0.9, 1.1, apex_seconds=1.0)
    voice, words = Evidence("voice", "neutral", *span), Evidence("words", "fear", *span)
    assert micro_expression_relation([micro, voice, words]) == (micro, words)
    assert micro_expression_relation([micro, voice]) is None
    assert micro_expression_relation([Evidence("face", "happiness", *span), micro, words]) is None
    text = " ".join(reasons([micro, Evidence("voice", "happiness", *span)], span=span, rng=np.random.default_rng(0)))
    assert re.search(
        r"[Tt]he face and the voice disagree|face contradicts the voice|face does not fit the voice", text
    )


def test_lexicon_is_complete():
    lexicon = load_lexicon()
    assert set(lexicon) == set(CLOSED_LABELS)
    for emotion, entry in lexicon.items():
        assert all(len(entry.labels[strength]) >= 2 for strength in STRENGTHS), emotion
        assert set(entry.goemotions) <= set(GOEMOTIONS_ADJECTIVES)
        assert all(is_speakable(sentence) for sentence in entry.sentences), emotion
    assert set(GOEMOTIONS_TO_CLOSED) == set(GOEMOTIONS_ADJECTIVES) and len(GOEMOTIONS_TO_CLOSED) == 28
    assert [strength_of(value) for value in (0.1, 0.5, 0.9)] == ["weak", "medium", "strong"]


def test_read_goemotions_groups_by_closed_label(tmp_path):
    (tmp_path / "labels.txt").write_text("anger\njoy\nlove\nneutral\n", encoding="utf-8")
    (tmp_path / "train.tsv").write_text(
        'I love my little garden\t1,2\tid1\nThis is "quite" bad, stop it\t0\tid2\nmixed words are not used\t0,1\tid3\n'
        "[NAME] went home late today\t3\tid4\nno\t3\tid5\n",
        encoding="utf-8",
    )
    script = read_goemotions(tmp_path)
    assert [(line.text, line.goemotions) for line in script["happiness"]] == [
        ("I love my little garden", ("joy", "love"))
    ]
    assert script["anger"][0].text == 'This is "quite" bad, stop it'
    assert script["neutral"] == tuple(line for line in script["neutral"] if not line.goemotions)  # ours: none was left
    with pytest.raises(ValueError, match="train.tsv"):
        read_goemotions(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kind": "mini"}, "kind"),
        ({"units": ("AU99",)}, "AU99"),
        ({"apex_seconds": 0.5}, "apex"),
        ({"intensity": 0.0}, "intensity"),
    ],
)
def test_invalid_events_are_refused(change, named):
    good = {"kind": "micro", "emotion": "fear", "units": ("AU1",), "onset_seconds": 1.0, "apex_seconds": 1.1,
            "offset_seconds": 1.3, "intensity": 0.5}  # fmt: skip
    with pytest.raises(ValueError, match=named):
        FaceEvent(**{**good, **change})
