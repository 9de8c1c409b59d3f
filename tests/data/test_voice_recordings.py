"""Labelled recordings of acted and natural voices."""

import numpy as np
import soundfile

from microemo.data import voice_recordings
from microemo.data.voice_recordings import SAMPLING_RATE, played, read_acted, read_natural
from microemo.training.perception.voice_training import person_folds

LABELS = ("neutral", "joy", "boredom")


def write_sound(path, *, seconds):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.sin(2 * np.pi * 200 * np.arange(round(seconds * SAMPLING_RATE)) / SAMPLING_RATE)
    soundfile.write(path, samples.astype(np.float32), SAMPLING_RATE, format="WAV")


def test_acted_recordings_have_voice_labels(tmp_path):
    for name in ("a.wav", "b.wav"):
        write_sound(tmp_path / "emodb" / name, seconds=0.5)
    table = "file,speaker,emotion\na.wav,03,happiness\nb.wav,08,boredom\n"
    (tmp_path / "emodb" / "labels.csv").write_text(table)
    first, second = read_acted(tmp_path, corpus="emodb", labels=LABELS)
    assert (first.emotion, second.emotion) == ("joy", "boredom")
    assert first.person == "emodb_03" and first.waveform.shape == (SAMPLING_RATE // 2,) and first.may_train


def test_natural_speech_is_neutral_where_the_face_is(tmp_path, monkeypatch):
    folder = tmp_path / "faces_in_motion"
    for name in ("one.wav", "two.wav"):
        write_sound(folder / name, seconds=6)
    (folder / "sources.csv").write_text(
        "file,licence,sound\none.wav,MIT,yes\ntwo.wav,none declared,yes\nmute.wav,MIT,no\n"
    )
    header = "file,person,start_seconds,end_seconds,expression,talking\n"
    rows = "one.wav,p1,0,2.5,neutral,yes\none.wav,p1,2.5,6,happiness,yes\ntwo.wav,p2,0,6,neutral,no\n"
    rows += "mute.wav,p3,0,6,neutral,yes\n"
    (folder / "labels.csv").write_text(header + rows)
    (folder / "labels_extra.csv").write_text(header + "two.wav,p2,0,6,neutral,yes\n")
    speech = [{"start": 1.0, "end": 3.0}, {"start": 4.0, "end": 5.5}]
    monkeypatch.setattr(voice_recordings.silero_vad, "load_silero_vad", lambda: None)
    monkeypatch.setattr(voice_recordings.silero_vad, "get_speech_timestamps", lambda *_, **__: speech)
    found = {recording.name: recording for recording in read_natural(tmp_path)}
    assert list(found) == ["one.wav 1.00-2.50", "one.wav 4.00-5.50", "two.wav 1.00-3.00", "two.wav 4.00-5.50"]
    assert [each.emotion for each in found.values()] == ["neutral", "", "neutral", "neutral"]
    assert [each.may_train for each in found.values()] == [True, True, False, False]
    assert len(found["one.wav 1.00-2.50"].waveform) == 1.5 * SAMPLING_RATE


def test_faster_speech_is_shorter(tmp_path):
    write_sound(tmp_path / "emodb" / "a.wav", seconds=1)
    (tmp_path / "emodb" / "labels.csv").write_text("file,speaker,emotion\na.wav,03,neutral\n")
    (recording,) = read_acted(tmp_path, corpus="emodb", labels=LABELS)
    assert len(played(recording, speed=1.25).waveform) == 0.8 * SAMPLING_RATE
    assert played(recording, speed=1) is recording


def test_the_last_fold_holds_the_people_left_for_validation(tmp_path):
    people = [f"{number:02d}" for number in range(10)]
    table = "file,speaker,emotion\n" + "".join(f"{person}.wav,{person},neutral\n" for person in people)
    for person in people:
        write_sound(tmp_path / "emodb" / f"{person}.wav", seconds=0.1)
    (tmp_path / "emodb" / "labels.csv").write_text(table)
    recordings = list(read_acted(tmp_path, corpus="emodb", labels=LABELS))
    assert person_folds(recordings).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
