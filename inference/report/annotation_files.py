"""A report for annotators: ELAN's .eaf and Praat's .TextGrid, with a tier for each kind of event and person.

    words@Anna   emotions@Anna   expressions@Anna   micro-expressions@Anna   AU12 lip corner puller@Anna

Annotations of a tier may not overlap in either format: those that do (two expressions of one face, say) go to a
further tier of the same name with a number.
"""

from __future__ import annotations

import mimetypes
import tempfile
from collections.abc import Callable
from pathlib import Path

from microemo.inference.report.report import EmotionReport
from microemo.inference.report.report_events import UNIT_NAMES, ReportEvent, report_events
from microemo.inference.report.text_timeline import printable

try:
    from pympi.Elan import Eaf
except ImportError:
    Eaf = None
try:
    from praatio.textgrid import IntervalTier, Textgrid
except ImportError:
    IntervalTier = Textgrid = None

TIER_NAMES = {
    "words": "words",
    "emotion": "emotions",
    "macro_expression": "expressions",
    "micro_expression": "micro-expressions",
}
UNKNOWN_EXPRESSION = "micro-expression"

Annotation = tuple[int, int, str]  # from, to in milliseconds, what


def to_eaf(report: EmotionReport) -> str:
    """ELAN's XML; a video file is linked. Raises `ImportError` without pympi."""
    if Eaf is None:
        raise ImportError(".eaf files need the package pympi: pip install 'microemo[annotation]'")
    eaf = Eaf(author="MicroEmo")
    eaf.remove_tier("default")
    source = Path(report.source)
    if source.is_file():
        kind = mimetypes.guess_type(source.name)[0] or "unknown"
        eaf.add_linked_file(source.resolve().as_uri(), mimetype=kind)
    for name, entries in annotation_tiers(report).items():
        eaf.add_tier(name, part=name.partition("@")[2])
        for annotation in entries:
            eaf.add_annotation(name, *annotation)
    return _written(lambda path: eaf.to_file(str(path)))


def to_textgrid(report: EmotionReport) -> str:
    """Praat's long text format, from 0 to the end of the video. Raises `ImportError` without praatio."""
    if Textgrid is None:
        raise ImportError(".TextGrid files need the package praatio: pip install 'microemo[annotation]'")
    tiers = annotation_tiers(report) or {"words": []}  # Praat opens no file without tiers
    ends = [end / 1000 for entries in tiers.values() for _, end, _ in entries]
    last = max([report.duration_seconds, *ends])
    grid = Textgrid(0, last)
    for name, entries in tiers.items():
        grid.addTier(IntervalTier(name, [(start / 1000, end / 1000, what) for start, end, what in entries], 0, last))
    return _written(lambda path: grid.save(str(path), format="long_textgrid", includeBlankSpaces=True))


def annotation_tiers(report: EmotionReport) -> dict[str, list[Annotation]]:
    """The tiers by name, each in order of time and without overlaps; those without annotations are left out.

    Words, emotions and expressions come first, then the action units in order of their numbers.
    """
    order = [*TIER_NAMES.values(), *UNIT_NAMES.values()]
    tiers: dict[str, list[Annotation]] = {}
    events = sorted(report_events(report), key=lambda event: order.index(_tier_name(event)))
    for event in events:
        start = round(event.start_seconds * 1000)
        annotation = (start, max(round(event.end_seconds * 1000), start + 1), _value(event))
        name = printable(f"{_tier_name(event)}@{event.who}")
        lane, number = name, 1
        while lane in tiers and tiers[lane][-1][1] > annotation[0]:
            number += 1
            lane = f"{name} ({number})"
        tiers.setdefault(lane, []).append(annotation)
    return tiers


def _tier_name(event: ReportEvent) -> str:
    return UNIT_NAMES[event.label] if event.kind == "action_unit" else TIER_NAMES[event.kind]


def _value(event: ReportEvent) -> str:
    """What stands in the annotation: words, a label, of a micro-expression with its units, of a unit its intensity."""
    if event.kind == "action_unit":
        return f"{event.score:.2f}"
    if event.kind == "micro_expression":
        units = f" ({'+'.join(event.action_units)})" if event.action_units else ""
        return f"{event.label or UNKNOWN_EXPRESSION}{units}"
    return " ".join(printable(event.label).split())


def _written(save: Callable[[Path], None]) -> str:
    """The text that a package writes, which knows files alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "annotations"
        save(path)
        return path.read_text(encoding="utf-8")
