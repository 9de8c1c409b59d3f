"""The model card contains the training record in the format of the Hub."""

import json
import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from microemo import MicroEmoConfig
from microemo.conversion.hub.model_card import CardFacts, card_metadata, mini_card, model_card
from microemo.conversion.hub.model_figures import Figure, TrainingRecord, read_training_record
from microemo.conversion.mini.trained_parts import RECORD, mini_checkpoint_folder

EMOTIONS = Figure("emotion recognition", "Test clips, held out", "mean average precision", 0.41, "microemo evaluate x")
SPOTTING = Figure("micro-expression spotting", "Synthetic clips", "F1", 0.5, "microemo evaluate y")
ENTRY = {"task": "a", "dataset": "b", "metric": "c", "value": 0.25, "command": "d"}


def facts(**changes):
    settings = {
        "name": "microemo-test",
        "repo_id": "user/microemo-test",
        "licence": "apache-2.0",
        "record": TrainingRecord((EMOTIONS, SPOTTING), ("user/clips",)),
        "sources": ({"package": "llm", "version": "1.0", "licence": "MIT"},),
        "parameters": 158_000_000,
        "dtype": "bfloat16",
        "weight_bytes": 316_000_000,
        "num_files": 1,
        "has_speech_recognition": True,
    }
    return CardFacts(**{**settings, **changes})


def written(record, tmp_path):
    path = tmp_path / RECORD
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


class TestCard:
    def test_metadata_can_be_parsed_by_huggingface_hub(self, tmp_path):
        model_card(MicroEmoConfig(), facts=facts()).save(tmp_path / "README.md")
        data = ModelCard.load(tmp_path / "README.md").data
        assert (data.license, data.library_name, data.pipeline_tag) == (
            "apache-2.0",
            "transformers",
            "video-text-to-text",
        )
        assert data.datasets == ["user/clips"]
        assert {"microemo", "emotion-recognition"} <= set(data.tags)
        assert [(result.metric_value, result.metric_args["command"]) for result in data.eval_results] == [
            (0.41, "microemo evaluate x"),
            (0.5, "microemo evaluate y"),
        ]
        assert data.to_dict()["model-index"][0]["name"] == "microemo-test"

    def test_unknown_entries_are_left_out(self):
        data = card_metadata(facts(record=TrainingRecord(), licence=None)).to_dict()
        assert not {"license", "datasets", "model-index", "model_name"} & data.keys()
        card = model_card(MicroEmoConfig(), facts=facts(record=TrainingRecord(), sources=()))
        assert "None were recorded with these weights" in card.text
        assert "Pretrained weights" not in card.text

    def test_tables_are_well_formed(self):
        piped = Figure("a|b", "c", "d", 0.5, "cat x | wc")
        record = TrainingRecord((EMOTIONS, piped))
        text = model_card(MicroEmoConfig(trained_parts=["face_tower"]), facts=facts(record=record)).text
        rows = [line.replace(r"\|", "") for line in text.splitlines() if line.startswith("|")]
        tables = [row.count("|") for row in rows]
        assert tables == [3] * 7 + [6] * 4 + [4] * 3
        assert "| facial expressions | trained |" in text
        assert "| explanations in words | **untrained** |" in text
        assert "| emotion recognition | Test clips, held out | mean average precision | 0.41 |" in text
        assert "158.0 million parameters in bfloat16, 0.32 GB in 1 file;" in text

    def test_examples_name_the_repository_and_a_commit(self):
        text = model_card(MicroEmoConfig(), facts=facts()).text
        assert 'AutoProcessor.from_pretrained("user/microemo-test", **pinned)' in text
        assert '"revision": "COMMIT"' in text


class TestCardOfMini:
    def test_the_repositorys_card_is_the_one_that_export_pushes(self):
        root = Path(__file__).parents[2]
        assert (root / "MODEL_CARD.md").read_text(encoding="utf-8") == mini_card(), "make card writes it again"

    def test_metadata_is_complete(self):
        data = ModelCard(mini_card()).data
        assert data.license == "cc-by-nc-sa-4.0"
        assert data.base_model and data.datasets and data.metrics and data.eval_results

    def test_real_people_come_first_and_the_card_is_short(self):
        text = ModelCard(mini_card()).text
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert headings[:3] == ["Uses", "How to load it", "What it can and cannot see"]
        assert headings[3:] == ["Training data", "Training", "Size", "Limits", "Licence", "Citation"]
        assert text.index("### Real people") < text.index("synthetic clips")
        assert len(text.split()) <= 1400

    def test_an_exported_mini_has_this_text(self):
        pushed = model_card(MicroEmoConfig(), facts=facts(is_mini=True)).text
        for heading in ("### Real people", "## Training data", "## Limits"):
            assert heading in pushed
        assert 'from_pretrained("user/microemo-test")' in pushed


class TestRecord:
    def test_figures_of_the_record_and_of_its_parts(self, tmp_path):
        other = {**ENTRY, "metric": "e", "note": "is ignored"}
        record = {"figures": [ENTRY, ENTRY], "emotion_head": {"figures": [other]}, "datasets": ["user/clips"]}
        found = read_training_record(written(record, tmp_path))
        assert found.figures == (Figure(**ENTRY), Figure("a", "b", "e", 0.25, "d"))
        assert found.datasets == ("user/clips",)

    def test_numbers_of_a_fit_are_not_figures(self, tmp_path):
        record = {"expressions": {"figures": {"recall": 0.5}}, "emotion_head": {"figures": [ENTRY]}}
        assert read_training_record(written(record, tmp_path)).figures == (Figure(**ENTRY),)

    def test_a_record_without_figures(self, tmp_path):
        assert read_training_record(written({"trained_parts": []}, tmp_path)) == TrainingRecord()

    @pytest.mark.parametrize(
        ("entry", "words"),
        [
            ({"metric": "accuracy", "value": 1.0}, "a figure must have command, dataset, metric, task, value"),
            ("accuracy 1.0", "a figure must have"),
            ({**ENTRY, "value": "high"}, "must be a finite number, got 'high'"),
            ({**ENTRY, "value": float("nan")}, "must be a finite number, got nan"),
            ({**ENTRY, "value": True}, "must be a finite number, got True"),
            ({**ENTRY, "command": " "}, "command must be a non-empty text"),
        ],
    )
    def test_invalid_figures(self, entry, words, tmp_path):
        with pytest.raises(ValueError, match=words):
            read_training_record(written({"figures": [entry]}, tmp_path))

    def test_packaged_record(self):
        path = mini_checkpoint_folder() / RECORD
        measured = json.loads(path.read_text(encoding="utf-8"))["face_tower"]["cross_validation"]["recall_among_five"]
        assert measured in [figure.value for figure in read_training_record(path).figures]
