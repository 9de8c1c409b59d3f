import io

from microemo.cli.progress_bars import ProgressBars
from microemo.inference.stage_timer import StageTimer


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_file_gets_one_line_a_stage():
    stream = io.StringIO()
    with ProgressBars(stream=stream) as progress:
        for window in range(3):
            progress("frames", window, 3)
            progress("model", window, 3)
    assert stream.getvalue() == "frames ...\nmodel ...\n"


def test_a_terminal_gets_bars_that_vanish():
    stream = Terminal()
    with ProgressBars(stream=stream) as progress:
        progress("frames", 1, 4)
        progress("frames", 4, 4)
        progress("model", 1, 0)  # total unknown
    text = stream.getvalue()
    assert "frames:" in text and "0/4" in text and "model:" in text
    assert text.endswith("\r") and "\n" not in text


def test_stages_that_take_turns_keep_their_bars():
    stream = Terminal()
    with ProgressBars(stream=stream) as progress:
        for done in range(1, 4):
            progress("frames", done, 3)
            progress("faces", done, 3)
    text = stream.getvalue()
    assert text.count("frames:   0%") == 1 and text.count("faces:   0%") == 1


def test_quiet_is_quiet():
    stream = Terminal()
    with ProgressBars(stream=stream, enabled=False) as progress:
        progress("frames", 1, 4)
    assert stream.getvalue() == ""


def test_the_clock_gives_time_to_the_stage_that_reports(monkeypatch):
    moments = iter([0.0, 1.0, 3.0, 3.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(moments))
    calls = []
    clock = StageTimer(lambda *call: calls.append(call))
    clock("frames", 1, 2)
    clock("model", 1, 1)
    clock("frames", 2, 2)
    assert [(timing.stage, timing.seconds) for timing in clock.timings()] == [("frames", 1.5), ("model", 2.0)]
    assert calls == [("frames", 1, 2), ("model", 1, 1), ("frames", 2, 2)]
