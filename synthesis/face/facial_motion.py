"""Displacements of the 468 face points by action units and speech.

Movements are defined in millimetres at full intensity in the face's axes and decay with distance, so that they scale
with the face. Magnitudes are of the order measured on adults (brow 7-9 mm, lip corner in a smile 12-14 mm: Popat et
al., Eur. J. Orthod. 34, 2012; Paletz et al., Plast. Reconstr. Surg. 93, 1994).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microemo.data.action_units import ACTION_UNITS, NUM_UNITS
from microemo.synthesis.face import face_mesh

LID_MM = 9.0  # points closer to an eye follow the brow less
LID_SHARE = 0.08
BAND_MM = 9.0  # height of the transition between moving jaw and fixed upper face around the mouth

# Parts of the face that a movement affects. Upper and lower lip move separately.
UPPER, LOWER, WHOLE, BROW = "upper", "lower", "whole", "brow"

# Speech movements without an action unit; they follow the units in the basis.
SPEECH_SHAPES = ("round", "press", "wide")
NUM_MOVEMENTS = NUM_UNITS + len(SPEECH_SHAPES)


@dataclass(frozen=True)
class Pull:
    """A displacement of a group of points.

    Args:
        points: indices on the left side of the picture or the midline; the other side is mirrored.
        outward, up: mm at full intensity.
        reach: standard deviation in mm of the decay with distance.
        part: part of the face that moves.
    """

    points: tuple[int, ...]
    outward: float
    up: float
    reach: float
    part: str = WHOLE


INNER_BROW, OUTER_BROW, WHOLE_BROW = (55, 107, 65, 66), (46, 70, 53, 63), (46, 53, 52, 65, 55, 70, 63, 105, 66, 107)
LOWER_LID, CHEEK, NOSE_WING = (144, 145, 153, 163, 154), (117, 118, 101, 36, 50), (129, 102, 64, 98)
UPPER_LIP_LEFT, UPPER_LIP_MIDDLE = (39, 40, 73, 74, 41, 42, 80, 81), (0, 37, 11, 72, 12, 38, 13, 82)
LOWER_LIP_LEFT, LOWER_LIP_MIDDLE = (181, 91, 180, 90, 179, 89, 178, 88), (17, 84, 16, 85, 15, 86, 14, 87)
CORNER, CHIN = (61, 76, 62, 78), (152, 148, 175, 199, 200, 18, 171, 208)

PULLS: dict[str, tuple[Pull, ...]] = {
    "AU1": (Pull(INNER_BROW, 0.0, 8.0, 10.0, BROW), Pull((9, 108, 151), 0.0, 4.0, 9.0, BROW)),
    "AU2": (Pull(OUTER_BROW, 0.0, 8.0, 11.0, BROW), Pull((52, 105), 0.0, 6.5, 9.0, BROW)),
    "AU4": (Pull(INNER_BROW, -4.5, -6.0, 10.0, BROW), Pull(OUTER_BROW, -1.5, -3.0, 9.0, BROW)),
    "AU5": (Pull(face_mesh.LEFT_EYE_UPPER[1:6], 0.0, 2.8, 2.5, UPPER),),
    "AU6": (
        Pull(CHEEK, -1.0, 6.0, 13.0, UPPER),
        Pull(LOWER_LID, 0.0, 2.2, 4.0, UPPER),
        Pull((35, 31, 226, 111), -2.0, 1.0, 8.0, UPPER),
    ),
    "AU7": (Pull(LOWER_LID, 0.0, 2.4, 3.5, UPPER), Pull(face_mesh.LEFT_EYE_UPPER[1:6], 0.0, -1.4, 2.5, UPPER)),
    "AU9": (
        Pull(NOSE_WING, 0.5, 5.0, 7.0, UPPER),
        Pull((122, 196, 6, 188), -0.5, 2.5, 7.0, UPPER),
        Pull((55, 107, 8), -1.5, -4.5, 8.0, BROW),
        Pull(UPPER_LIP_LEFT, 0.0, 2.5, 6.0, UPPER),
    ),
    "AU10": (Pull(UPPER_LIP_LEFT, 0.0, 6.0, 6.0, UPPER), Pull(UPPER_LIP_MIDDLE, 0.0, 4.5, 6.0, UPPER),
             Pull(NOSE_WING, 1.0, 2.0, 6.0, UPPER)),
    "AU12": (Pull(CORNER, 8.5, 8.5, 9.0), Pull((40, 185, 74, 42), 3.0, 3.5, 6.0, UPPER),
             Pull((91, 146, 90, 89), 3.0, 2.5, 6.0, LOWER), Pull((205, 50, 36), 1.0, 3.5, 13.0, UPPER)),
    "AU14": (Pull(CORNER, 6.0, 1.5, 7.0), Pull((57, 186, 43), 3.0, 0.8, 5.0)),
    "AU15": (Pull(CORNER, 1.0, -7.0, 7.0), Pull((57, 43, 106), 0.5, -5.0, 7.0)),
    "AU17": (Pull(CHIN, 0.0, 5.0, 9.0, LOWER), Pull(LOWER_LIP_MIDDLE, 0.0, 4.0, 8.0, LOWER),
             Pull(UPPER_LIP_MIDDLE, 0.0, 1.8, 7.0, UPPER), Pull(CORNER, 0.0, -1.0, 5.0)),
    "AU20": (Pull(CORNER, 9.0, -1.5, 9.0), Pull((91, 90, 89), 4.0, -0.5, 6.0, LOWER),
             Pull((40, 74, 42), 4.0, -0.5, 6.0, UPPER)),
    "AU23": (Pull(CORNER, -3.0, 0.0, 7.0), Pull(UPPER_LIP_MIDDLE[:4], 0.0, -1.8, 6.0, UPPER),
             Pull(LOWER_LIP_MIDDLE[:4], 0.0, 1.8, 6.0, LOWER)),
    "AU24": (Pull(UPPER_LIP_MIDDLE[:4] + UPPER_LIP_LEFT[:4], 0.0, -3.2, 5.0, UPPER),
             Pull(LOWER_LIP_MIDDLE[:4] + LOWER_LIP_LEFT[:4], 0.0, 3.2, 5.0, LOWER), Pull(CORNER, -1.5, 0.0, 6.0)),
    "AU25": (Pull(LOWER_LIP_MIDDLE + LOWER_LIP_LEFT, 0.0, -4.5, 6.0, LOWER),
             Pull(UPPER_LIP_MIDDLE, 0.0, 1.8, 6.0, UPPER)),
    "round": (Pull(CORNER, -7.0, 0.0, 8.0), Pull((40, 74, 42), -2.5, 0.0, 6.0, UPPER),
              Pull((91, 90, 89), -2.5, 0.0, 6.0, LOWER)),
    "press": (Pull(UPPER_LIP_MIDDLE[:6] + UPPER_LIP_LEFT[:6], 0.0, -1.2, 5.0, UPPER),
              Pull(LOWER_LIP_MIDDLE[:6] + LOWER_LIP_LEFT[:6], 0.0, 1.6, 5.0, LOWER)),
    "wide": (Pull(CORNER, 3.5, 0.8, 8.0),),
}  # fmt: skip
LIP_YIELD = (1.0, 0.75, 0.5, 0.25)  # displacement of each row of an overlapping lip, from the inner edge outwards
JAW_DROP_MM = 19.0  # at the chin, at full intensity


def jaw_share(shape_mm: np.ndarray, *, mouth_height: float) -> np.ndarray:
    """Share (468,) with which each point follows the lower jaw: 0 above the mouth, 1 at the lower lip and the chin.

    Args:
        shape_mm: (468, 2) points in the face's axes.
        mouth_height: y of the line of the mouth, mm.
    """
    below = (shape_mm[:, 1] - mouth_height + BAND_MM) / (2 * BAND_MM)
    share = np.clip(below, 0, 1) ** 2 * (3 - 2 * np.clip(below, 0, 1))
    share[list(face_mesh.UPPER_LIP)] = 0.0
    share[list(face_mesh.LOWER_LIP)] = 1.0
    for column in face_mesh.CORNER_COLUMNS:
        share[list(column)] = 0.5
    return share


def brow_share(shape_mm: np.ndarray) -> np.ndarray:
    """Share (468,) with which each point follows the brow: small on the lids, 1 from `LID_MM` away from the eyes."""
    loops = [*face_mesh.LEFT_EYE_LOOP, *face_mesh.RIGHT_EYE_LOOP]
    distance = np.linalg.norm(shape_mm[:, None] - shape_mm[loops][None], axis=2).min(1)
    return np.clip(distance / LID_MM, LID_SHARE, 1.0)


def movement_basis(shape_mm: np.ndarray) -> np.ndarray:
    """Displacements (21, 2, 468, 2) in mm of every point by each movement at full intensity, for each side.

    The first 18 are the action units, then `SPEECH_SHAPES`. "AU43" (eyes closed) and "AU26" follow the lids and the
    jaw instead of pulls.

    Args:
        shape_mm: (468, 2) points of a neutral face in its own axes, mm, y down.
    """
    mouth_height = float(shape_mm[list(face_mesh.MOUTH_CORNERS), 1].mean())
    jaw = jaw_share(shape_mm, mouth_height=mouth_height)
    basis = np.zeros((NUM_MOVEMENTS, 2, len(shape_mm), 2))
    for index, name in enumerate([unit.label for unit in ACTION_UNITS] + list(SPEECH_SHAPES)):
        if name == "AU43":
            basis[index] = _closing_lids(shape_mm)
        elif name == "AU26":
            basis[index] = _dropping_jaw(shape_mm, jaw=jaw, mouth_height=mouth_height)
        else:
            basis[index] = _pulled(shape_mm, PULLS[name], jaw=jaw)
    return basis


def _pulled(shape_mm: np.ndarray, pulls: tuple[Pull, ...], *, jaw: np.ndarray) -> np.ndarray:
    """Displacements (2, 468, 2) in mm of the pulls, blended by distance for each side."""
    mirror = face_mesh.load_topology().mirror
    parts = {UPPER: 1 - jaw, LOWER: jaw, WHOLE: np.ones_like(jaw), BROW: (1 - jaw) * brow_share(shape_mm)}
    moved, weights = np.zeros((2, len(shape_mm), 2)), np.zeros(len(shape_mm))
    for pull in pulls:
        for side, points in enumerate((np.array(pull.points), mirror[list(pull.points)])):
            distance = np.linalg.norm(shape_mm[:, None] - shape_mm[points][None], axis=2).min(1)
            weight = parts[pull.part] * np.exp(-0.5 * (distance / pull.reach) ** 2)
            outward = -pull.outward if side == 0 else pull.outward
            moved[side] += weight[:, None] * np.array([outward, -pull.up])
            weights += weight
    return moved / np.maximum(weights, 1.0)[None, :, None]


def _dropping_jaw(shape_mm: np.ndarray, *, jaw: np.ndarray, mouth_height: float) -> np.ndarray:
    """Displacements (2, 468, 2) in mm of the jaw, which rotates about the ears; both sides have half of it."""
    depth = np.clip((shape_mm[:, 1] - mouth_height) / 40.0, 0, 1)
    aside = np.clip((np.abs(shape_mm[:, 0]) - 25.0) / 45.0, 0, 1)
    travel = jaw * (0.8 + 0.2 * depth) * (1 - 0.75 * aside)
    moved = np.zeros((len(shape_mm), 2))
    moved[:, 1] = JAW_DROP_MM * travel
    moved[:, 0] = -0.08 * np.sign(shape_mm[:, 0]) * np.minimum(np.abs(shape_mm[:, 0]), 25.0) * travel
    return np.stack([moved, moved]) / 2


def _closing_lids(shape_mm: np.ndarray) -> np.ndarray:
    """Displacements (2, 468, 2) in mm of closing lids and the skin above them."""
    moved = np.zeros((2, len(shape_mm), 2))
    eyes = (
        (face_mesh.LEFT_EYE_UPPER, face_mesh.LEFT_EYE_LOWER),
        (face_mesh.RIGHT_EYE_UPPER, face_mesh.RIGHT_EYE_LOWER),
    )
    ring = set(face_mesh.LEFT_EYE_LOOP) | set(face_mesh.RIGHT_EYE_LOOP)
    free = np.array([point not in ring for point in range(len(shape_mm))])
    for side, (upper, lower) in enumerate(eyes):
        gap = shape_mm[list(lower)] - shape_mm[list(upper)]
        moved[side, list(upper)] = 0.9 * gap
        moved[side, list(lower)] = -0.1 * gap
        offset = shape_mm[:, None] - shape_mm[list(upper)][None]
        reach = np.where(offset[..., 1] < 0, 4.5, 0.1)  # only the skin above the lid moves
        weight = np.exp(-0.5 * (np.linalg.norm(offset, axis=2) / reach) ** 2) * free[:, None]
        strongest = weight.argmax(1)
        moved[side] += weight.max(1)[:, None] * 0.9 * gap[strongest]
    return moved


def keep_openings(shape_mm: np.ndarray) -> np.ndarray:
    """Returns the shapes (F, 468, 2) with overlapping lids and lips moved apart until they touch.

    An upper lid is moved to the lower one; lips meet halfway. The rows of a lip behind its edge are moved less, so
    that a pressed lip gets thinner but does not fold.
    """
    shapes = shape_mm.copy()
    for lid, other in (
        (face_mesh.LEFT_EYE_UPPER, face_mesh.LEFT_EYE_LOWER),
        (face_mesh.RIGHT_EYE_UPPER, face_mesh.RIGHT_EYE_LOWER),
    ):
        shapes[:, list(lid), 1] -= _overlap(shapes, lid, other)
    overlap = _overlap(shapes, face_mesh.UPPER_LIP_INNER, face_mesh.LOWER_LIP_INNER)
    rows = zip(face_mesh.UPPER_LIP_ROWS, face_mesh.LOWER_LIP_ROWS, LIP_YIELD, strict=True)
    for upper, lower, share in rows:
        shapes[:, list(upper), 1] -= 0.5 * share * overlap
        shapes[:, list(lower), 1] += 0.5 * share * overlap
    return shapes


def _overlap(shapes: np.ndarray, upper: tuple[int, ...], lower: tuple[int, ...]) -> np.ndarray:
    """Overlap (F, n) in mm of an upper edge with the lower one."""
    return np.maximum(shapes[:, list(upper), 1] - shapes[:, list(lower), 1], 0)
