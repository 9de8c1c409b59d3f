"""Two networks from the wheel of mediapipe for synthesis. The package mediapipe itself is not installed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from microemo.data.package_weights import (
    PackageFile,
    Progress,
    WeightPackage,
    default_cache_dir,
    extract_files,
    fetch_wheel,
)

MEDIAPIPE = WeightPackage(
    name="mediapipe",
    version="0.10.21",
    wheel="mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl",
    wheel_bytes=35_622_638,
    wheel_sha256="05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
    licence="Apache-2.0",
    files=(
        PackageFile(
            "mediapipe/modules/face_landmark/face_landmark.tflite",
            "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
        ),
        PackageFile(
            "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite",
            "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
        ),
    ),
)


@dataclass(frozen=True)
class FaceModels:
    """Files of `FaceMesh` and `PersonMask`."""

    face_mesh: Path
    person_mask: Path


def fetch_face_models(*, cache_dir: Path | None = None, progress: Progress | None = None) -> FaceModels:
    """Returns the model files; the first call downloads them (36 MB) to the user's cache."""
    cache = cache_dir or default_cache_dir()
    folder = cache / "face_models" / MEDIAPIPE.version
    paths = [folder / Path(file.path).name for file in MEDIAPIPE.files]
    if not all(path.is_file() for path in paths):
        wheel = fetch_wheel(MEDIAPIPE, cache_dir=cache, progress=progress)
        paths = extract_files(MEDIAPIPE, wheel=wheel, folder=folder)
    return FaceModels(*paths)
