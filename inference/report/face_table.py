"""Every face at every moment as one table, in the column names of py-feat and OpenFace where they have one.

`docs/tables.md` sets the columns beside theirs, with the units that differ. A value that was not measured is None.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from microemo.inference.report.report import EmotionReport, FaceCurve
from microemo.processing.facial_actions import FACIAL_ACTIONS

WHO_AND_WHEN = ("input", "face_id", "Identity", "timestamp")
BOX = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore")
POSE = ("Pitch", "Roll", "Yaw")
GAZE = ("gaze_pitch", "gaze_yaw")
UNITS = {unit.label: f"AU{unit.number:02d}" for unit in FACIAL_ACTIONS}  # AU1 of a report -> AU01 of the table
TEXT_COLUMNS = ("input", "Identity")

BLINK = "AU45"
BLINK_INTENSITY = 0.4  # of AU45 above rest: lids of an upright head that looks down rise to about 0.3


class FaceTable:
    """The faces of a report: `columns`, and `rows` with a value for each, face after face in order of time."""

    def __init__(self, report: EmotionReport) -> None:
        self.report = report
        curves = [curve.label for face in report.face_curves for curve in face.expressions or ()]
        self.labels = tuple(dict.fromkeys(curves))
        self.columns = (
            *(*WHO_AND_WHEN, *BOX, *POSE, *GAZE, *UNITS.values()),
            *("blink", *self.labels, "micro_score"),
        )

    def rows(self) -> Iterator[list[Any]]:
        """Yields a row for each face and moment."""
        for face in self.report.face_curves:
            name = speaker_of_track(self.report, face.track_id)
            columns = self._columns(face)
            for index, seconds in enumerate(face.times):
                values = (None if column is None else column[index] for column in columns)
                yield [self.report.source, face.track_id, name, seconds, *values]

    def _columns(self, face: FaceCurve) -> list[Any]:
        """The columns behind `WHO_AND_WHEN`; None for what is not known of a face."""
        expressions = {curve.label: curve.probabilities for curve in face.expressions or ()}
        units = {unit.label: unit.intensities for unit in face.action_units or ()}
        boxes = [(left, top, right - left, bottom - top) for left, top, right, bottom in face.boxes or ()]
        poses = None if face.head_pose is None else [row and (row[0], row[2], row[1]) for row in face.head_pose]
        looks = None if face.gaze is None else [row and (row[1], row[0]) for row in face.gaze]
        return [
            *_split(boxes or None, len(BOX) - 1),
            face.detection_scores,
            *_split(poses, len(POSE)),
            *_split(looks, len(GAZE)),
            *(units.get(label) for label in UNITS),
            _blinks(units.get(BLINK)),
            *(expressions.get(label) for label in self.labels),
            face.micro_scores,
        ]


def speaker_of_track(report: EmotionReport, track_id: int) -> str | None:
    """The name that most of a face's utterances have; None where faces were not chosen as their speakers'."""
    if report.settings.person != "speaker":
        return None
    names = Counter(each.speaker for each in report.utterances if each.track_id == track_id and each.speaker)
    return names.most_common(1)[0][0] if names else None


def _split(rows: Any, width: int) -> list[Any]:
    """The `width` columns of rows of so many values, or None for a row that was not measured."""
    if rows is None:
        return [None] * width
    return [[row and row[place] for row in rows] for place in range(width)]


def _blinks(intensities: Any) -> Any:
    """1 where the eyes are closed, 0 where they are open."""
    if intensities is None:
        return None
    return [None if value is None else int(value >= BLINK_INTENSITY) for value in intensities]
