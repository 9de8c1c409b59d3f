"""Makes clips in memory from scenario, portrait and augmentation, with their ground truth."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from microemo.data.identities import Identity
from microemo.synthesis.face.face_mesh import FaceMesh
from microemo.synthesis.face.person_mask import PersonMask
from microemo.synthesis.face.portrait import Portrait, UnsuitablePhotograph, portrait_of
from microemo.synthesis.script.casting import Sources
from microemo.synthesis.script.scenario import ClipId, ClipSettings, Scenario, draw_scenario
from microemo.synthesis.script.truth import ClipTruth
from microemo.synthesis.video.augmentation import Augmentation, draw_augmentation
from microemo.synthesis.voice.sound_scene import NOISE_SLOPES, in_room
from microemo.synthesis.voice.speech import SAMPLING_RATE

CACHED_PORTRAITS = 32  # about 2 MB each at 224 px
MAX_TRIES = 200  # photographs to try for one clip
REVERBERATION_SECONDS = (0.05, 0.6)
NOISE_RATIO_DB = (15.0, 45.0)


@dataclass(frozen=True)
class SyntheticClip:
    """frames: (F, H, W, 3) uint8 RGB at truth.frame_times. waveform: (S,) float32 mono from 0 s on."""

    frames: np.ndarray
    waveform: np.ndarray
    truth: ClipTruth
    sampling_rate: int = SAMPLING_RATE


@dataclass(frozen=True)
class FaceTools:
    """Networks for photographs. detect: as `FaceDetector.detect` of `microemo.processing`."""

    detect: Callable[[np.ndarray], list]
    mesh: FaceMesh
    segment: PersonMask | None = None


def read_photograph(path: Path) -> np.ndarray:
    """Reads a picture as (H, W, 3) uint8 RGB with the EXIF orientation applied.

    Uses Pillow, as OpenCV's PNG reader fails in some processes that have loaded other video libraries.
    """
    try:
        with Image.open(path) as picture:
            return np.array(ImageOps.exif_transpose(picture).convert("RGB"))
    except UnidentifiedImageError:
        raise ValueError(f"{path} is not a picture") from None


@dataclass(frozen=True)
class PlannedClip:
    """A clip whose frames are not rendered yet."""

    scenario: Scenario
    portrait: Portrait
    augmentation: Augmentation
    waveform: np.ndarray
    settings: ClipSettings

    @property
    def truth(self) -> ClipTruth:
        return replace(self.scenario.truth, alterations=self.augmentation.describe())

    def frames(self) -> Iterator[np.ndarray]:
        """Renders the frames, (H, W, 3) uint8 RGB, one at a time."""
        performance, side = self.scenario.performance, self.settings.size
        clean = performance.frames(self.portrait, size=(side, side))
        return self.augmentation.apply(clean, frame_times=performance.frame_times)


@dataclass
class ClipMaker:
    """Makes the clips of a run. A clip depends on seed and index only, not on the order of calls.

    Example:
        maker = ClipMaker(seed=0, people=read_identities("photos", split="train"), tools=tools)
        clip = maker.make(17)
    """

    seed: int
    people: tuple[Identity, ...]
    tools: FaceTools
    sources: Sources = field(default_factory=Sources)
    settings: ClipSettings = field(default_factory=ClipSettings)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed ({self.seed}) must be >= 0")
        if not self.people:
            raise ValueError("people must have at least one identity, got none")
        self._portraits: OrderedDict[Path, Portrait | None] = OrderedDict()

    def make(self, index: int) -> SyntheticClip:
        """Makes clip number `index`."""
        planned = self.plan(index)
        return SyntheticClip(np.stack(list(planned.frames())), planned.waveform, planned.truth)

    def plan(self, index: int) -> PlannedClip:
        """Makes clip number `index` with audio and ground truth, without rendering its frames."""
        if index < 0:
            raise ValueError(f"index ({index}) must be >= 0")
        rng = np.random.default_rng([self.seed, index, 0])
        person, portrait = self._draw_portrait(rng)
        clip = ClipId(self.seed, index, person.name, person.sex)
        scenario = draw_scenario(clip, sources=self.sources, settings=self.settings)
        augmentation, waveform = Augmentation(), scenario.performance.waveform()
        if self.settings.augment:
            augmentation = draw_augmentation(
                duration_seconds=scenario.truth.duration_seconds,
                events=scenario.truth.events,
                noise_seed=(self.seed, index, 3),
                rng=rng,
            )
            waveform = in_room(
                waveform,
                reverberation_seconds=float(rng.uniform(*REVERBERATION_SECONDS)),
                noise=str(rng.choice(sorted(NOISE_SLOPES))),
                noise_ratio_db=float(rng.uniform(*NOISE_RATIO_DB)),
                rng=rng,
            )
        return PlannedClip(scenario, portrait, augmentation, waveform, self.settings)

    def _draw_portrait(self, rng: np.random.Generator) -> tuple[Identity, Portrait]:
        """Draws a person with a photograph that can be animated."""
        for _ in range(MAX_TRIES):
            person = self.people[int(rng.integers(len(self.people)))]
            still = person.stills[int(rng.integers(len(person.stills)))]
            portrait = self._portrait(still)
            if portrait is not None:
                return person, portrait
        raise ValueError(
            f"none of {MAX_TRIES} random photographs can be animated: they need a large face that looks at the camera"
        )

    def _portrait(self, still: Path) -> Portrait | None:
        """The cached portrait of a photograph; None if it is not suitable."""
        if still in self._portraits:
            self._portraits.move_to_end(still)
            return self._portraits[still]
        tools = self.tools
        try:
            portrait = portrait_of(
                read_photograph(still),
                detect=tools.detect,
                mesh=tools.mesh,
                segment=tools.segment,
                size=self.settings.size,
            )
        except UnsuitablePhotograph:
            portrait = None
        self._portraits[still] = portrait
        while len(self._portraits) > CACHED_PORTRAITS:
            self._portraits.popitem(last=False)
        return portrait
