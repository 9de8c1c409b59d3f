"""ELAN and Praat files, read back by the packages that people read them with."""

from dataclasses import replace

import pytest
from praatio import textgrid
from pympi.Elan import Eaf

from microemo.cli.main import main
from microemo.inference.report import annotation_files, export
from microemo.inference.report.annotation_files import annotation_tiers, to_eaf, to_textgrid
from microemo.inference.report.report import ActionUnitCurve, MacroExpression
from microemo.inference.report.report_events import BLINK_RULE, UNIT_RULE, report_events, unit_spans

TIERS = {
    "words@Anna": [(400, 2900, "You came back. I never thought that you would.")],
    "words@Ben": [(3100, 4500, "Of course.")],
    "emotions@Anna": [(400, 2900, "joy")],
    "expressions@Anna": [(1100, 2800, "happiness")],
    "micro-expressions@Anna": [(900, 1200, "happiness (AU12+AU6)")],
}
SMILES = "AU12 lip corner puller@Anna"
BLINKS = "AU45 blink@Anna"


def read_eaf(path):
    eaf = Eaf(str(path))
    return {name: [tuple(each) for each in eaf.get_annotation_data_for_tier(name)] for name in eaf.get_tier_names()}


def read_textgrid(path):
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
    return {
        tier.name: [(round(start * 1000), round(end * 1000), label) for start, end, label in tier.entries]
        for tier in grid.tiers
    }


@pytest.mark.parametrize(("ending", "read"), [(".eaf", read_eaf), (".TextGrid", read_textgrid)])
def test_files_come_back_through_their_own_readers(report, tmp_path, ending, read):
    found = read(report.save(tmp_path / f"clip{ending}"))
    assert found == annotation_tiers(report)
    assert {name: found[name] for name in TIERS} == TIERS
    assert [value for *_, value in found[SMILES]] == ["0.50", "0.50"] and len(found[BLINKS]) == 1
    assert set(found) == {*TIERS, SMILES, BLINKS}


def test_the_ending_may_be_written_in_any_case(report, tmp_path):
    assert read_textgrid(report.save(tmp_path / "clip.textgrid")) == annotation_tiers(report)


@pytest.mark.parametrize(("write", "read"), [(to_eaf, read_eaf), (to_textgrid, read_textgrid)])
@pytest.mark.parametrize("words", ['She said "no".', "a <b> & c", "你回来了。", "two\nlines\x07", "= 3 : text ="])
def test_any_words_survive(report, tmp_path, write, read, words):
    first = replace(report.utterances[0], text=words, speaker='A "x" & B')
    path = tmp_path / "annotations"
    path.write_text(write(replace(report, utterances=(first,))), encoding="utf-8")
    assert read(path)['words@A "x" & B'] == [(400, 2900, " ".join(words.replace("\x07", " ").split()))]


def test_what_overlaps_goes_to_a_further_tier(report):
    fear = MacroExpression(
        1, onset_seconds=2.0, apex_seconds=2.4, offset_seconds=2.9, probability=0.5, expression="fear"
    )
    lasting = (*report.summary.macro_expressions, fear)
    tiers = annotation_tiers(replace(report, summary=replace(report.summary, macro_expressions=lasting)))
    assert tiers["expressions@Anna"] == [(1100, 2800, "happiness")]
    assert tiers["expressions@Anna (2)"] == [(2000, 2900, "fear")]


def test_faces_without_a_name_have_a_number(report):
    tiers = annotation_tiers(replace(report, settings=replace(report.settings, person="largest")))
    assert "expressions@face 1" in tiers and "expressions@Anna" not in tiers and "words@Anna" in tiers


def test_a_report_without_events_still_opens(report, tmp_path):
    summary = replace(report.summary, macro_expressions=None, micro_expressions=None)
    empty = replace(report, utterances=(), face_curves=(), summary=summary)
    assert read_eaf(empty.save(tmp_path / "clip.eaf")) == {}
    assert read_textgrid(empty.save(tmp_path / "clip.TextGrid")) == {"words": []}


def test_elan_finds_the_video(report, tmp_path):
    video = tmp_path / "my clip.mp4"
    video.write_bytes(b"video")
    eaf = Eaf(str(replace(report, source=str(video)).save(tmp_path / "clip.eaf")))
    (linked,) = eaf.get_linked_files()
    assert linked["MEDIA_URL"] == video.resolve().as_uri() and linked["MIME_TYPE"] == "video/mp4"


def test_a_unit_acts_from_threshold_to_threshold():
    times = tuple(round(place * 0.1, 1) for place in range(12))
    curve = ActionUnitCurve("AU4", "brow lowerer", (0.0, 0.0, 0.24, 0.3, 0.0, 0.0, None, 0.15, 0.15, 0.0, 0.0, 0.5))
    (first, last) = unit_spans(curve, times, rule=UNIT_RULE)
    assert first == pytest.approx((0.15, 0.3, 0.36, 0.3)) and last[1:] == pytest.approx((1.1, 1.1, 0.5))
    assert list(unit_spans(curve, times, rule=BLINK_RULE)) == [pytest.approx((1.04, 1.1, 1.1, 0.5))]


def test_two_quick_blinks_are_two():
    times = tuple(round(place * 0.05, 2) for place in range(9))
    curve = ActionUnitCurve("AU45", "blink", (0.0, 0.6, 0.6, 0.0, 0.0, 0.7, 0.0, 0.0, 0.3))
    assert [span[1] for span in unit_spans(curve, times, rule=BLINK_RULE)] == pytest.approx([0.05, 0.25])


def test_events_are_in_order_of_time(report):
    starts = [event.start_seconds for event in report_events(report)]
    assert starts == sorted(starts) and len(starts) == 8


def test_a_missing_package_is_named_and_nothing_is_written(report, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"\.eaf files need the package pympi: pip install 'microemo\[annotation\]'"):
        report.save(tmp_path / "clip.eaf")
    video = tmp_path / "clip.mp4"
    video.write_bytes(b"")
    assert main(["analyze", str(video), "--out", str(tmp_path / "clip.TextGrid")]) == 2
    assert "pip install 'microemo[annotation]'" in capsys.readouterr().err
    paths = export.save_all(report, tmp_path / "all", stem="clip")
    assert len(paths) == 6 and sorted(path.name for path in tmp_path.iterdir()) == ["all", "clip.mp4"]


@pytest.mark.parametrize(("write", "package"), [(to_eaf, "Eaf"), (to_textgrid, "Textgrid")])
def test_the_writers_name_their_package_too(report, monkeypatch, write, package):
    monkeypatch.setattr(annotation_files, package, None)
    with pytest.raises(ImportError, match=r"microemo\[annotation\]"):
        write(report)
