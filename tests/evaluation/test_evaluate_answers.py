"""Questions of data sets, answered in files and by models."""

import json

import numpy as np
import pytest
import torch
from emobench_files import write_emobench
from labelled_clips import write_clip
from merr_files import CLASSES, write_merr
from PIL import Image
from tiny_vision_language import write_tiny_vision_language

from microemo.cli.main import main
from microemo.data.default_wheel import default_wheels
from microemo.data.example import Example, LabelledUtterance, Turn
from microemo.evaluation import answerers
from microemo.evaluation.answer_figures import Answer, answer_figures, answers_of
from microemo.evaluation.evaluate import Interval, score_of
from microemo.evaluation.figures import Matching
from microemo.evaluation.metrics.open_vocabulary import exact_grouping

MATCHING = Matching(wheels=default_wheels(), grouping=exact_grouping)
NO_INTERVAL = Interval(resamples=0)


def values(answers):
    figures = answer_figures(answers, matching=MATCHING)
    return {figure.name: score_of(figure, interval=NO_INTERVAL).estimate.value for figure in figures}


def answer(name, right, text, *, task="", options=("yes", "no")):
    return Answer(name, Turn("?", right, options=options, task=task), text)


def test_an_answer_without_a_choice_is_a_mistake_and_counted():
    found = values(
        [answer("a", "yes", "Yes."), answer("b", "no", "Hm."), answer("c", "no", "yes"), answer("d", "no", "no")]
    )
    assert found["WAR"] == 0.5 and found["answers without a choice"] == 0.25
    assert found["UAR"] == pytest.approx((1 + 1 / 3) / 2)
    assert "mean accuracy of 1 tasks" not in found


def test_every_task_counts_the_same_in_the_mean():
    found = values(
        [answer("a", "yes", "yes", task="hate"), *(answer(str(n), "no", "yes", task="humor") for n in range(3))]
    )
    assert found["hate: WAR"] == 1 and found["humor: WAR"] == 0 and found["mean accuracy of 2 tasks"] == 0.5


def test_a_question_without_answer_is_an_error_or_wrong():
    questions = {"a": Turn("?", "yes", options=("yes", "no")), "b": Turn("?", "no", options=("yes", "no"))}
    with pytest.raises(ValueError, match="1 of 2 are missing, first 'b'"):
        answers_of(questions, {"a": "yes"}, missing="error")
    assert values(answers_of(questions, {"a": "yes"}, missing="empty"))["WAR"] == 0.5


def write_answers(path, answers):
    rows = [json.dumps({"name": name, "answer": text}) for name, text in answers.items()]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_the_command_scores_closed_set_answers_of_a_file(tmp_path, capsys):
    merr = write_merr(tmp_path / "merr")
    right = {f"sample_{number:08d}": f"It is {label}." for number, label in enumerate(CLASSES)}
    good = write_answers(tmp_path / "good.jsonl", right)
    worse = write_answers(tmp_path / "worse.jsonl", {**right, "sample_00000000": "sad", "sample_00000001": "well"})
    dataset = f"merr:{merr},split=MERR_coarse_grained,tasks=emotion"
    asked = ["evaluate", "--mode", "answers", "--dataset", dataset, "--json", "--resamples", "0"]
    assert main([*asked, "--predictions", str(good), str(worse)]) == 0
    first, second = json.loads(capsys.readouterr().out)["models"]
    found = [{score["metric"]: score["value"] for score in model["scores"]} for model in (first, second)]
    assert found[0]["emotion: WAR"] == 1 and found[1]["emotion: WAR"] == 0.8
    assert found[1]["emotion: answers without a choice"] == 0.1


def test_a_model_answers_and_its_answers_can_be_scored_again(tiny_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(answerers, "ANSWER_TOKENS", 4)
    merr = write_merr(tmp_path / "merr", count=2, playable=True)
    dataset = f"merr:{merr},split=MERR_coarse_grained,tasks=emotion"
    asked = ["evaluate", "--mode", "answers", "--dataset", dataset, "--resamples", "0", "--quiet"]
    out = tmp_path / "table.md"
    assert main([*asked, "--model", str(tiny_folder), "--device", "cpu", "--out", str(out)]) == 0
    table = capsys.readouterr().out
    assert "| emotion: WAR |" in table and out.read_text(encoding="utf-8") == table
    kept = tmp_path / "table.answers.jsonl"
    rows = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    assert [row["reference"] for row in rows] == ["happy", "angry"] and all(
        "[emotion]" not in row["answer"] for row in rows
    )
    assert main([*asked, "--predictions", f"tiny={kept}"]) == 0
    again = capsys.readouterr().out
    assert [line for line in again.splitlines() if "WAR" in line] == [
        line for line in table.splitlines() if "WAR" in line
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--mode answers needs --dataset"),
        (["--dataset", "merr:{merr}"], "none of 2 does (merr takes tasks=emotion)"),
        (["--dataset", "merr:{merr},tasks=emotion", "--metrics", "hit"], "--mode answers does not take --metrics"),
        (["--dataset", "merr:{merr},tasks=emotion", "--predictions", "{bad}"], "bad.jsonl, entry 1 must have a name"),
        (
            ["--dataset", "merr:{merr},tasks=emotion", "--predictions", "{bad}", "--model", "x"],
            "--model or --predictions",
        ),
    ],
)
def test_unusable_arguments_are_named(tmp_path, arguments, words, capsys):
    merr = write_merr(tmp_path / "merr", count=3)
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"clip": "a"}\n', encoding="utf-8")
    filled = [text.format(merr=merr, bad=bad) for text in arguments]
    assert main(["evaluate", "--mode", "answers", *filled]) == 2
    assert words in capsys.readouterr().err


@pytest.fixture(scope="module")
def emobench(tmp_path_factory):
    folder = write_emobench(tmp_path_factory.mktemp("emobench"))
    Image.fromarray(np.full((40, 30, 3), 200, np.uint8)).save(folder / "a.jpg")
    write_clip(folder / "b.mp4")
    return folder


def test_emobench_is_scored_by_task_and_over_all(emobench, tmp_path, capsys):
    given = {"c0": "joy", "c1": "It is anger.", "o0": "Joyful", "o1": "angry", "i0": "praise", "hate_0": "No."}
    answers = write_answers(tmp_path / "a.jsonl", {**given, "h0": "yes", "s0": "No"})
    asked = ["evaluate", "--mode", "answers", "--dataset", f"emobench:{emobench}", "--predictions", str(answers)]
    assert main([*asked, "--json", "--resamples", "0"]) == 0
    scores = {entry["metric"]: entry["value"] for entry in json.loads(capsys.readouterr().out)["models"][0]["scores"]}
    accuracies = [scores[f"{task}: WAR"] for task in ("emo_c", "emo_o", "intent", "hate", "humor", "sarcasm")]
    assert accuracies == [0.5, 1, 1, 1, 1, 0]
    assert scores["mean accuracy of 6 tasks"] == pytest.approx(4.5 / 6)


def test_any_vision_language_model_is_asked(emobench, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(answerers, "ANSWER_TOKENS", 3)
    folder = write_tiny_vision_language(tmp_path / "llava")
    asked = ["evaluate", "--mode", "answers", "--dataset", f"emobench:{emobench},task=intent+sarcasm"]
    assert main([*asked, "--model", str(folder), "--device", "cpu", "--resamples", "0", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "mean accuracy of 2 tasks" in out and "llava, float32, 8 pictures of a video" in out


def test_a_vision_language_model_sees_pictures_and_reads_words(emobench, tmp_path, monkeypatch):
    answerer = answerers.VisionLanguageAnswerer.from_pretrained(
        str(write_tiny_vision_language(tmp_path / "llava")), device="cpu"
    )
    seen = {}

    def generate(**inputs):
        seen.update(inputs)
        more = torch.tensor([answerer.processor.tokenizer("Yes")["input_ids"]])
        return torch.cat([inputs["input_ids"], more], dim=1)

    monkeypatch.setattr(answerer.model, "generate", generate)
    turn = Turn("Is it funny?", "yes", options=("yes", "no"))
    said = (LabelledUtterance("Oh no."),)
    assert answerer(Example("x", video=str(emobench / "b.mp4"), utterances=said, turn=turn)) == "Yes"
    assert seen["pixel_values"].shape[0] == 8
    text = answerer.processor.tokenizer.decode(seen["input_ids"][0])
    assert 'The person says: "Oh no."\nIs it funny?' in text and text.endswith("assistant\n")
    answerer(Example("y", video=str(emobench / "a.jpg"), turn=turn))
    assert seen["pixel_values"].shape[0] == 1
    with pytest.raises(ValueError, match="example 'z' cannot be read"):
        answerer(Example("z", video=str(emobench / "missing.mp4"), turn=turn))


def test_a_model_that_is_none_is_named(emobench, tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    asked = ["evaluate", "--mode", "answers", "--dataset", f"emobench:{emobench}", "--model", str(tmp_path)]
    assert main(asked) == 2
    assert "must be a vision-language model" in capsys.readouterr().err
