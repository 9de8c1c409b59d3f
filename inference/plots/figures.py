"""matplotlib figures without a window, and saving them whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from microemo.inference.report.export import write_atomically

try:
    import matplotlib
    from matplotlib.figure import Figure
except ImportError:
    matplotlib = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # noqa: F811

ENDINGS = (".svg", ".png")
DOTS_PER_INCH = 150

# Those of a report's page, after Okabe and Ito: told apart with every common colour blindness.
COLOURS = {
    "neutral": "#78828c", "happiness": "#d98a00", "surprise": "#9a8700", "sadness": "#0072b2", "anger": "#c4500a",
    "disgust": "#00805c", "fear": "#a8507f", "contempt": "#2f86bd",
}  # fmt: skip
OTHER_COLOUR = "#555555"


def need_matplotlib() -> None:
    """Raises `ImportError` that names the extra where matplotlib is missing."""
    if matplotlib is None:
        raise ImportError("plots need matplotlib: pip install 'microemo[plot]'")


def new_figure(*, width: float, height: float) -> Figure:
    """An empty figure of so many inches, which belongs to no window."""
    need_matplotlib()
    return Figure(figsize=(width, height), layout="constrained")


def check_name(path: Path) -> str:
    """The ending of a picture's name. Raises `ValueError` for one that is none of `ENDINGS`."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(f"path must end in one of {', '.join(ENDINGS)}, got {path.name!r}")
    return ending


def save_figure(figure: Figure, path: Path) -> Path:
    """Writes a figure as SVG or PNG; the same figure gives the same bytes. Returns the path."""
    ending = check_name(path)
    stream = io.BytesIO()
    # Else an SVG differs from one call to the next; letters stay text, so that words can be found.
    with matplotlib.rc_context({"svg.hashsalt": "microemo", "svg.fonttype": "none"}):
        metadata = {"Date": None} if ending == ".svg" else {"Software": None}
        figure.savefig(stream, format=ending[1:], dpi=DOTS_PER_INCH, metadata=metadata)
    write_atomically(path, stream.getvalue())
    return path
