import argparse
import json
import subprocess
import sys

import av
import numpy as np
import pytest

from microemo.cli import synthesize
from microemo.cli.main import main
from microemo.data.identities import read_identities, split_of
from microemo.synthesis import generate
from microemo.synthesis.generate import RunSettings
from microemo.synthesis.script.truth import ClipTruth, FaceEvent
from microemo.synthesis.video.augmentation import Augmentation, Occlusion, draw_augmentation, jitter_times
from microemo.synthesis.video.video_writing import write_video


def settings(stills, **changes) -> RunSettings:
    return RunSettings(**{"count": 3, "seed": 3, "stills": str(stills), "size": 64, "fps": 12.0, **changes})


@pytest.fixture
def drawn_models(monkeypatch, maker):
    """Replaces the networks of `generate` by the drawn face."""
    monkeypatch.setattr(generate, "create_maker", lambda settings, models: maker)


def test_clips_are_reproducible_in_any_order(maker):
    late, early = maker.make(4), maker.make(0)
    assert early.frames.dtype == np.uint8 and early.frames.shape[1:] == (64, 64, 3)
    assert len(early.frames) == len(early.truth.frame_times)
    assert len(early.waveform) == round(early.truth.duration_seconds * early.sampling_rate)
    again = maker.make(4)
    np.testing.assert_array_equal(late.frames, again.frames)
    np.testing.assert_array_equal(late.waveform, again.waveform)
    assert late.truth.to_json() == again.truth.to_json()


def test_files_are_complete_ordered_and_reproducible(tmp_path, stills, drawn_models):
    truth = generate.generate(settings(stills), out=tmp_path / "a", models=None, processes=1)
    lines = truth.read_text(encoding="utf-8").splitlines()
    assert [ClipTruth.from_json(line).index for line in lines] == [0, 1, 2]
    other = generate.generate(settings(stills), out=tmp_path / "b", models=None, processes=1)
    assert other.read_bytes() == truth.read_bytes()
    for clip in sorted((tmp_path / "a" / "clips").iterdir()):
        assert clip.read_bytes() == (tmp_path / "b" / "clips" / clip.name).read_bytes()


def test_video_frame_times_equal_the_truth(tmp_path, stills, drawn_models):
    generate.generate(settings(stills, count=1), out=tmp_path, models=None, processes=1)
    truth = ClipTruth.from_json((tmp_path / "truth.jsonl").read_text(encoding="utf-8"))
    with av.open(str(tmp_path / "clips" / f"{truth.clip_id}.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
        container.seek(0)
        samples = sum(frame.samples for frame in container.decode(audio=0))
    np.testing.assert_allclose(times, truth.frame_times, atol=1e-4)
    assert samples / 16_000 == pytest.approx(truth.duration_seconds, abs=0.15)


def test_interrupted_run_resumes(tmp_path, stills, drawn_models, monkeypatch):
    whole = generate.generate(settings(stills), out=tmp_path / "whole", models=None, processes=1).read_bytes()
    write, made = generate.write_clip, []

    def stop_in_the_second(maker, *, index, out):
        if index == 1:
            (out / "clips" / ".half.mp4.1.part").write_bytes(b"half")
            raise KeyboardInterrupt
        made.append(index)
        return write(maker, index=index, out=out)

    out = tmp_path / "stopped"
    monkeypatch.setattr(generate, "write_clip", stop_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        generate.generate(settings(stills), out=out, models=None, processes=1)
    assert not (out / "truth.jsonl").exists()
    monkeypatch.setattr(
        generate, "write_clip", lambda maker, *, index, out: made.append(index) or write(maker, index=index, out=out)
    )
    assert generate.generate(settings(stills), out=out, models=None, processes=1).read_bytes() == whole
    assert made == [0, 1, 2]
    assert not list(out.rglob("*.part"))


def test_other_settings_are_refused_and_larger_count_resumes(tmp_path, stills, drawn_models):
    generate.generate(settings(stills, count=1), out=tmp_path, models=None, processes=1)
    with pytest.raises(ValueError, match="seed 3 -> 4"):
        generate.generate(settings(stills, count=1, seed=4), out=tmp_path, models=None, processes=1)
    truth = generate.generate(settings(stills, count=2), out=tmp_path, models=None, processes=1)
    assert len(truth.read_text(encoding="utf-8").splitlines()) == 2


HOLD_LOCK = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_folder_is_locked_by_one_process(tmp_path, stills, drawn_models):
    command = [sys.executable, "-c", HOLD_LOCK, str(tmp_path / generate.LOCK_FILE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(OSError, match="another process"):
            generate.generate(settings(stills), out=tmp_path, models=None, processes=1)
        other.kill()  # a killed run leaves no lock behind
        other.wait(30)
        assert generate.generate(settings(stills, count=1), out=tmp_path, models=None, processes=1).is_file()


def test_only_neutral_photographs_of_labelled_ones_are_used(stills):
    with (stills / "labels.csv").open("a", encoding="utf-8") as file:
        file.write("0.png,happiness,person1\n1.png,happiness,someone else\n")
    people = {identity.name: identity.stills for identity in read_identities(stills)}
    assert "someone else" not in people and people["person1"] == (stills / "1.png",)
    (stills / "labels.csv").unlink()
    assert {identity.name for identity in read_identities(stills)} == set("012345")


def test_split_depends_on_the_name_only(stills):
    everyone = {identity.name for identity in read_identities(stills)}
    assert len(everyone) == 6
    splits = [split_of(f"person{number}") for number in range(2000)]
    assert 0.77 < splits.count("train") / 2000 < 0.83
    found = [
        {identity.name for identity in read_identities(stills, split=split)}
        for split in ("train", "validation", "test")
        if any(split_of(name) == split for name in everyone)
    ]
    assert set().union(*found) == everyone and sum(map(len, found)) == len(everyone)
    with pytest.raises(ValueError, match='split \\("dev"\\)'):
        read_identities(stills, split="dev")


def test_default_augmentation_is_identity_and_each_part_has_an_effect():
    rng = np.random.default_rng(0)
    frames = rng.integers(40, 200, (2, 48, 64, 3)).astype(np.uint8)
    times = np.array([0.0, 0.5])
    np.testing.assert_array_equal(np.stack(list(Augmentation().apply(frames, frame_times=times))), frames)
    occlusion = Occlusion(0.2, 0.8, (0.5, 0.5), (0.5, 1.5), (0.2, 0.2), (0.0, 0.0, 0.0))
    for change in ({"gain": 0.7}, {"gamma": 1.3}, {"shadow": 0.4}, {"blur": 1.0}, {"noise": 5.0}, {"scale": 0.5},
                   {"jpeg_quality": 40}, {"occlusion": occlusion}):  # fmt: skip
        altered = Augmentation(**change)
        seen = np.stack(list(altered.apply(frames, frame_times=times)))
        assert seen.shape == frames.shape and np.abs(seen[1].astype(int) - frames[1]).max() > 10, change
        assert len(altered.describe()) == 1, change


def test_no_occlusion_during_micro_expressions():
    event = FaceEvent("micro", "fear", ("AU1",), 1.4, 1.5, 1.7, 0.5)
    seen = 0
    for number in range(200):
        augmentation = draw_augmentation(
            duration_seconds=4.0, events=(event,), noise_seed=(0,), rng=np.random.default_rng(number)
        )
        if augmentation.occlusion is not None:
            seen += 1
            assert augmentation.occlusion.end_seconds < 1.4 or augmentation.occlusion.start_seconds > 1.7
    assert seen >= 5


def test_jitter_keeps_the_order_of_times():
    times = jitter_times(np.arange(200) / 24, rng=np.random.default_rng(0))
    assert times[0] == 0 and (np.diff(times) > 0).all() and np.diff(times).std() > 0.003


def test_failed_video_leaves_no_file(tmp_path):
    def broken():
        yield np.zeros((64, 64, 3), np.uint8)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_video(
            tmp_path / "a.mp4", frames=broken(), frame_times=np.arange(3) / 12, waveform=np.zeros(4000, np.float32)
        )
    assert not list(tmp_path.iterdir())


def test_command_line_errors(tmp_path, stills, capsys, monkeypatch, drawn_models):
    monkeypatch.setattr(synthesize, "fetch_face_models", lambda: None)
    parser = argparse.ArgumentParser()
    synthesize.add_arguments(parser)
    common = ["--stills", str(stills), "--size", "64", "--fps", "12", "--processes", "1", "--seed", "3"]
    out = tmp_path / "out"
    assert synthesize.run(parser.parse_args([*common, "--count", "1", "--out", str(out)])) == 0
    assert capsys.readouterr().out.strip() == str(out / "truth.jsonl")
    assert json.loads((out / "run.json").read_text())["count"] == 1
    with pytest.raises(ValueError, match="another run"):
        synthesize.run(parser.parse_args([*common, "--count", "1", "--seed", "9", "--out", str(out)]))
    with pytest.raises(ValueError, match="count \\(0\\)"):
        synthesize.run(parser.parse_args([*common, "--count", "0", "--out", str(out)]))


@pytest.mark.parametrize("changes", [{"stills": "absent"}, {"goemotions": "absent"}, {"recordings": ("absent",)}])
def test_invalid_folders_are_refused_before_writing(tmp_path, stills, changes):
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="absent"):
        generate.generate(settings(**{"stills": stills, **changes}), out=out, models=None, processes=2)
    assert not out.exists()


def test_exit_codes_match_the_help(tmp_path, stills, capsys, monkeypatch, drawn_models):
    monkeypatch.setattr(synthesize, "fetch_face_models", lambda: None)
    command = ["synthesize", "--count", "1", "--size", "64", "--fps", "12", "--processes", "1", "--out", str(tmp_path)]
    assert main([*command, "--stills", str(tmp_path / "absent")]) == 2
    assert "microemo: error: stills" in capsys.readouterr().err
    assert main([*command, "--stills", str(stills), "--seed", "3"]) == 0
    monkeypatch.setattr(synthesize, "generate", interrupted)
    assert main([*command, "--stills", str(stills), "--seed", "3"]) == 130


def interrupted(*positional, **named):
    raise KeyboardInterrupt
