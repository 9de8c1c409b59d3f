from demo_models import EndingAnalyzer

from microemo.spaces_demo import zero_gpu
from microemo.spaces_demo.jobs import Failed, Finished, Grown, Job, Stage


def test_elsewhere_there_is_none(monkeypatch):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert not zero_gpu.is_zero_gpu()


def test_news_are_those_of_a_worker(tmp_path, report):
    (tmp_path / "clip.mp4").write_text(report.to_json())
    told = list(zero_gpu.listen(Job(tmp_path / "clip.mp4"), analyzer=EndingAnalyzer()))
    assert [type(news) for news in told] == [Stage, Grown, Finished]
    told = list(zero_gpu.listen(Job(tmp_path / "bug.mp4"), analyzer=EndingAnalyzer()))
    assert isinstance(told[-1], Failed)


def test_the_gpu_is_borrowed_for_the_call(tmp_path, report, monkeypatch):
    class Spaces:
        borrowed = []

        @classmethod
        def GPU(cls, *, duration):
            def decorate(function):
                def run(job):
                    cls.borrowed.append(duration)
                    yield from function(job)

                return run

            return decorate

    monkeypatch.setattr(zero_gpu, "spaces", Spaces)
    (tmp_path / "clip.mp4").write_text(report.to_json())
    run = zero_gpu.gpu_runner(EndingAnalyzer())
    assert [type(news) for news in run(Job(tmp_path / "clip.mp4"))][-1] is Finished
    assert Spaces.borrowed == [zero_gpu.GPU_SECONDS]
