from dataclasses import replace

import numpy as np
import pytest

from microemo.evaluation.ablation import ABLATIONS, AblatedAnalyzer, subsample_clip
from microemo.evaluation.model_runs import RunSettings, clip_loader, evaluate_examples
from microemo.evaluation.tower_cache import cached_towers, tower_modules
from microemo.inference.report.report import Settings
from microemo.processing.clip import Clip, Utterance

SCORES = Settings("scores", "speaker")


@pytest.fixture
def clip(analyzer, examples):
    return clip_loader(analyzer, settings=RunSettings()).load(examples[0]).clip


def reported(analyzer, clip, name):
    variant, seen = AblatedAnalyzer(analyzer, ablation=ABLATIONS[name]).prepared(clip)
    return variant.report_clip(seen, settings=SCORES)


def emotions(report):
    return [utterance.emotions for utterance in report.utterances]


def test_full_is_the_analyzer_itself(analyzer, clip):
    variant, seen = AblatedAnalyzer(analyzer).prepared(clip)
    assert variant is analyzer and seen is clip


def test_a_changed_config_shares_every_weight_and_leaves_the_model_as_it_was(analyzer):
    variant = AblatedAnalyzer(analyzer, ablation=ABLATIONS["no_utterance_qformer"]).analyzer
    before, after = analyzer.model.state_dict(), variant.model.state_dict()
    assert {name: tensor.data_ptr() for name, tensor in before.items()} == {
        name: tensor.data_ptr() for name, tensor in after.items()
    }
    assert all(tower_modules(variant.model)[name] is tower for name, tower in tower_modules(analyzer.model).items())
    assert (analyzer.model.config.utterance_mode, analyzer.processor.utterance_mode) == ("utterance", "utterance")
    assert variant.model.model.config.utterance_mode == variant.processor.utterance_mode == "clip"


def test_without_local_branch_face_is_none(analyzer, clip):
    report = reported(analyzer, clip, "no_local_branch")
    assert report.status.micro_expressions == "untrained" and report.summary.micro_expressions is None
    # the same as never seeing a face, as far as the language model is concerned
    assert emotions(report) == emotions(reported(analyzer, clip, "no_faces"))


@pytest.mark.parametrize(
    "name", ["no_utterance_qformer", "window_2s", "no_audio", "no_words", "no_pictures", "eight_frames"]
)
def test_each_ablation_changes_the_report(analyzer, clip, name):
    full, other = reported(analyzer, clip, "full"), reported(analyzer, clip, name)
    changed = emotions(full) != emotions(other) or full.face_curves != other.face_curves
    assert changed and len(emotions(other)) == len(emotions(full))


def test_hidden_streams_have_a_reason(analyzer, clip):
    modalities = {each.name: each for each in reported(analyzer, clip, "no_audio").modalities}
    assert not modalities["voice"].used and modalities["voice"].note == "hidden for the ablation"


def test_windows_last_two_seconds(analyzer, clip):
    """Eight frames over four seconds: four of them fill a window."""
    frames = np.repeat(clip.frames[:1], 8, axis=0)
    long = replace(clip, end_seconds=clip.start_seconds + 4, frames=frames, frame_times=np.arange(8) / 2)
    variant, _ = AblatedAnalyzer(analyzer, ablation=ABLATIONS["window_2s"]).prepared(long)
    config, processor = variant.model.config, variant.processor
    assert {config.window_frames, config.window_stride, processor.window_frames, processor.window_stride} == {4}


def faces_at(times, *, frame_times):
    return Clip(
        source="clip",
        start_seconds=10.0,
        end_seconds=14.0,
        utterances=(Utterance(10.0, 14.0),),
        frames=np.zeros((len(frame_times), 2, 2, 3), np.uint8),
        frame_times=np.asarray(frame_times),
        face_crops=np.zeros((len(times), 2, 2, 3), np.uint8),
        face_times=np.asarray(times),
        face_track_ids=np.zeros(len(times), np.int64),
    )


def test_sampled_times_are_centres_of_equal_parts():
    seen = subsample_clip(faces_at(np.arange(10, 14, 0.1), frame_times=np.arange(10, 14, 0.1)), count=4)
    assert seen.frame_times.round(1).tolist() == seen.face_times.round(1).tolist() == [10.5, 11.5, 12.5, 13.5]
    assert len(seen.frames) == len(seen.face_crops) == len(seen.face_track_ids) == 4


def test_times_without_a_nearby_face_have_none():
    seen = subsample_clip(faces_at([10.45, 11.1, 11.65], frame_times=[10.5]), count=4)
    assert seen.face_times.tolist() == [10.45] and seen.frame_times.tolist() == [10.5]
    none = subsample_clip(faces_at([11.0], frame_times=[10.5]), count=4)
    assert none.face_crops is None and none.missing_reasons["faces"] == "no face at the 4 sampled times"


def test_towers_run_once_for_all_ablations_and_nothing_changes(analyzer, examples, monkeypatch):
    names = ("full", "no_utterance_qformer", "no_words", "no_audio")
    alone = {name: evaluate_examples(analyzer, examples[:1], ablations=[ABLATIONS[name]])[name] for name in names}
    runs = []
    frame_tower = analyzer.model.model.frame_tower
    plain = type(frame_tower).forward

    def counted(self, *inputs, **options):
        runs.append(self)
        return plain(self, *inputs, **options)

    monkeypatch.setattr(type(frame_tower), "forward", counted)
    together = evaluate_examples(analyzer, examples[:1], ablations=[ABLATIONS[name] for name in names])
    assert runs.count(frame_tower) == 1
    for name in names:
        (one,), (other,) = alone[name], together[name]
        assert replace(one.report, timings=()) == replace(other.report, timings=())


def test_towers_are_restored(analyzer):
    towers = tower_modules(analyzer.model).values()
    with pytest.raises(RuntimeError), cached_towers(analyzer.model):
        assert all("forward" in vars(tower) for tower in towers)
        raise RuntimeError
    assert not any("forward" in vars(tower) for tower in towers)
