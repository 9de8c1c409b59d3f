"""A report as pandas tables: its utterances, its faces."""

from __future__ import annotations

from microemo.inference.report.face_table import TEXT_COLUMNS as FACE_TEXT_COLUMNS
from microemo.inference.report.face_table import FaceTable
from microemo.inference.report.report import EmotionReport
from microemo.inference.report.tables import LABEL_COLUMNS, TEXT_COLUMNS, UTTERANCE_COLUMNS, utterance_values

try:
    import pandas as pd
except ImportError:
    pd = None

TEXTS = (*TEXT_COLUMNS, "language", "micro_expressions")
WHOLE_NUMBERS = ("utterance", "track_id", "unsupported_sentences")


def utterances_frame(report: EmotionReport) -> pd.DataFrame:
    """The columns of the CSV, but a column of numbers for each label: "emotions.joy", "voice_emotions.calm".

    What was not measured is NaN, NA or None. Raises `ImportError` without pandas.
    """
    _need_pandas()
    values = [utterance_values(report, each, number=number) for number, each in enumerate(report.utterances, start=1)]
    columns: dict[str, pd.Series] = {}
    for name in UTTERANCE_COLUMNS:
        column = [row[name] for row in values]
        if name in LABEL_COLUMNS:
            for label in dict.fromkeys(score.label for scores in column for score in scores or ()):
                found = [{score.label: score.probability for score in scores or ()} for scores in column]
                columns[f"{name}.{label}"] = pd.Series([row.get(label) for row in found], dtype="float64")
        elif name in TEXTS:
            columns[name] = pd.Series(column, dtype="object")
        else:
            columns[name] = pd.Series(column, dtype="Int64" if name in WHOLE_NUMBERS else "float64")
    return pd.DataFrame(columns)


def faces_frame(report: EmotionReport) -> pd.DataFrame:
    """The columns of `FaceTable`; what was not measured is NaN. Raises `ImportError` without pandas."""
    _need_pandas()
    table = FaceTable(report)
    frame = pd.DataFrame(list(table.rows()), columns=list(table.columns), dtype="object")
    numbers = [name for name in table.columns if name not in FACE_TEXT_COLUMNS]
    return frame.astype({**dict.fromkeys(numbers, "float64"), "face_id": "int64"})


def _need_pandas() -> None:
    if pd is None:
        raise ImportError("a report as pandas tables needs pandas: pip install 'microemo[tables]'")
