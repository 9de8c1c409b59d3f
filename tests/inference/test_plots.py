"""Timelines, mean emotions and contact sheets: what is drawn, and the command that draws it."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from microemo.cli.main import main
from microemo.inference.plots import figures
from microemo.inference.plots.figures import save_figure
from microemo.inference.plots.summary_plots import mean_emotions, plot_contact_sheet, shown_at
from microemo.inference.plots.timeline import plot_timeline
from microemo.inference.report.report import LabelScore
from microemo.inference.report.report_events import report_events


def bars(axes):
    """(from, seconds) of each bar, by the name of its row."""
    names = [label.get_text() for label in axes.get_yticklabels()]
    found = {}
    for bar in axes.patches:
        row = names[round(bar.get_y() + bar.get_height() / 2)]
        found.setdefault(row, []).append((round(bar.get_x(), 2), round(bar.get_width(), 2)))
    return found


def test_a_timeline_has_words_curves_and_units_where_they_are(report):
    words, face, units = report.plot().axes
    assert bars(words) == {"Anna": [(0.4, 2.5)], "Ben": [(3.1, 1.4)]}
    assert bars(units) == {
        "AU12 lip corner puller, Anna": [(0.52, 0.75), (1.92, 0.75)],
        "AU45 blink, Anna": [(1.43, 0.14)],
    }
    curves = {line.get_label(): line for line in face.lines}
    assert set(curves) == {"neutral", "happiness", "micro-expression: happiness"}
    np.testing.assert_allclose(curves["happiness"].get_ydata(), report.face_curves[0].expressions[1].probabilities)
    assert curves["micro-expression: happiness"].get_xdata() == [1.0]
    assert (face.get_ylabel(), units.get_xlim(), words.get_title(loc="left")) == ("Anna", (0, 5.0), "clip.mp4")


def test_no_line_is_drawn_where_the_face_is_not_seen(report):
    curve = report.face_curves[0]
    apart = replace(curve, times=tuple(time + (2.0 if time > 1.05 else 0.0) for time in curve.times))
    line = replace(report, face_curves=(apart,)).plot().axes[1].lines[0]
    assert np.isnan(line.get_ydata()).sum() == 1 and len(line.get_xdata()) == len(curve.times) + 1


def test_reports_stand_side_by_side(report):
    silent = replace(report, source="other.mp4", utterances=(), face_curves=())
    axes = np.array(plot_timeline([report, silent]).axes).reshape(3, 2)
    assert [each.get_title(loc="left") for each in axes[0]] == ["clip.mp4", "other.mp4"]
    assert [text.get_text() for text in axes[0, 1].texts] == ["nobody speaks"]
    assert axes[1, 0].axison and not axes[1, 1].axison
    with pytest.raises(ValueError, match="reports must be one or more"):
        plot_timeline([])


@pytest.mark.parametrize("ending", [".svg", ".png"])
def test_pictures_are_the_same_each_time_and_show_any_words(report, tmp_path, ending):
    first = replace(report.utterances[0], text="$x < & 1", speaker="A_$b")
    changed = replace(report, utterances=(first,))
    one, two = (save_figure(changed.plot(), tmp_path / f"{name}{ending}").read_bytes() for name in "ab")
    assert one == two
    if ending == ".svg":
        assert b"$x &lt; &amp; 1" in one and b"A_$b" in one
    else:
        assert Image.open(tmp_path / "a.png").size[0] == 1200


def with_emotions(report, **emotions):
    scores = tuple(LabelScore(name, value) for name, value in emotions.items())
    return replace(report, summary=replace(report.summary, emotions=scores))


def test_means_count_each_report_once(report):
    reports = [with_emotions(report, joy=0.8, fear=0.1), with_emotions(report, joy=0.4), with_emotions(report)]
    assert mean_emotions(reports) == pytest.approx({"joy": 0.6, "fear": 0.05})
    with pytest.raises(ValueError, match="none of 1 reports has emotions"):
        mean_emotions(reports[2:])


def test_the_contact_sheet_says_who_when_and_what(report):
    (axes,) = plot_contact_sheet([report]).axes
    assert axes.get_title() == "clip.mp4\nAnna, 1.00 s\napex of happiness"
    assert axes.images[0].get_array().shape == (8, 8, 3)
    events = report_events(report)
    later, never = (replace(report.thumbnails[0], seconds=seconds) for seconds in (2.0, 0.4))
    assert (shown_at(events, later), shown_at(events, never)) == ("happiness", "")
    assert len(plot_contact_sheet([report] * 7).axes) == 12
    with pytest.raises(ValueError, match="none of 1 reports has pictures"):
        plot_contact_sheet([replace(report, thumbnails=())])


def test_the_command_draws_files_and_folders(report, tmp_path, capsys):
    folder = tmp_path / "results"
    report.save(folder / "a.json")
    report.save(folder / "b.json")
    assert main(["plot", str(folder / "a.json")]) == 0
    assert (folder / "a.svg").read_text(encoding="utf-8").startswith("<?xml")
    for kind in ("timeline", "means", "faces"):
        assert main(["plot", str(folder), "--kind", kind, "--out", str(tmp_path / "new" / f"{kind}.png")]) == 0
    widths = [Image.open(tmp_path / "new" / f"{kind}.png").size[0] for kind in ("timeline", "means", "faces")]
    assert widths == [2400, 900, 510]
    assert f"wrote {tmp_path / 'new' / 'faces.png'}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.json"], "no such file: missing.json"),
        (["{folder}/empty"], "holds no report (.json)"),
        (["{folder}/a.json", "--out", "a.pdf"], "path must end in one of .svg, .png, got 'a.pdf'"),
        (["{folder}/broken.json"], "broken.json is no report"),
        (["{folder}/a.json"] * 9, "--kind timeline draws at most 8 reports, got 9"),
    ],
)
def test_what_cannot_be_drawn_is_named(report, tmp_path, arguments, words, capsys):
    report.save(tmp_path / "a.json")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.json").write_text('{"a": 1}', encoding="utf-8")
    assert main(["plot", *(argument.format(folder=tmp_path) for argument in arguments)]) == 2
    assert words in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "broken.json", "empty"]


def test_a_plot_without_matplotlib_names_the_extra(report, monkeypatch):
    monkeypatch.setattr(figures, "matplotlib", None)
    with pytest.raises(ImportError, match=r"plots need matplotlib: pip install 'microemo\[plot\]'"):
        report.plot()
