"""What was perceived is kept as JSON and comes back the same."""

import numpy as np
import pytest

from microemo.processing.clip import Clip, Utterance
from microemo.processing.evidence import Evidence
from microemo.training.language.composition import WordsSource
from microemo.training.language.prepare import cached_sources
from microemo.training.language.sources import ClipSource, FaceSource, VoiceSource

ROW = np.array([0.25, 0.75], np.float32)
TOKENS = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
CLIP = Clip("a.mp4", 0.0, 2.0, (Utterance(0.1, 1.0, "看!", "Anna"),))
SOURCES = [
    FaceSource(ROW, {"AU12": 0.5}),
    VoiceSource(ROW, ("loud", "high"), None, TOKENS),
    WordsSource("words", ROW),
    ClipSource(CLIP, ((Evidence("face", "happiness", 0.1, 1.0, certainty=0.9),),), TOKENS[0], None),
]


def refuse():
    raise AssertionError("made again")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: type(source).__name__)
def test_sources_are_made_once_and_come_back_equal(source, tmp_path):
    kind, path = type(source), tmp_path / "kept.json"
    made = cached_sources(path, lambda: iter([source, source]), kind=kind)
    again = cached_sources(path, refuse, kind=kind)
    for entry in (*made, *again):
        np.testing.assert_equal(vars(entry), vars(source))
        for name, value in vars(entry).items():
            assert type(value) is type(getattr(source, name))
            assert not isinstance(value, np.ndarray) or value.dtype == getattr(source, name).dtype


def test_a_stopped_pass_keeps_no_half_file(tmp_path):
    def stop():
        yield SOURCES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_sources(tmp_path / "kept.json", stop, kind=FaceSource)
    assert not any(tmp_path.iterdir())
