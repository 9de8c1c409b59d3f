"""Renders frames by warping the photograph with a triangle mesh.

Shapes: V vertices (468 of the face, then the rings around it), T triangles, F frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from microemo.synthesis.face import face_mesh
from microemo.synthesis.face.wrinkles import shade

SKULL_POINTS = [*face_mesh.MOUTH_CORNERS, 2, 98, 327, 17, 152, 57, 287, 0]  # around the mouth
SUBPIXEL_BITS = 4
SUBPIXEL = 1 << SUBPIXEL_BITS
SMALLEST_AREA = 0.05  # px^2; smaller triangles are skipped
SUPERSAMPLING = 2  # against aliasing where lids and lips meet
MOUTH_SUPERSAMPLING = 4  # against aliasing at the edge of the lips
CONTACT_SHADE = np.array([0.3, 0.4, 0.4], np.float32)  # darkening (R, G, B) of the line between touching lips
OPEN_PIXELS = 1.5  # the mouth interior is faded out below this lip gap
LIP_SHADE = 0.45  # darkening of the teeth under the upper lip


@dataclass(frozen=True)
class Layers:
    """Image layers of a portrait.

    Args:
        person: (h, w, 4) uint8 RGB and alpha.
        plate: (h, w, 3) uint8, the background without the person.
        interior: (h, w, 3) uint8, with the interior of an open mouth.
        folds: (n, 2, h, w) float16 of `fold_maps`.
    """

    person: np.ndarray
    plate: np.ndarray
    interior: np.ndarray
    folds: np.ndarray


@dataclass(frozen=True)
class FrameGeometry:
    """Geometry of one frame, in pixels.

    Args:
        target: (V, 2) vertices in the frame.
        source: (V, 2) vertices in the layers.
        opening_source: (V, 2) for the triangles of the eyes, where lids cover the eye instead of deforming it.
        skull: (V, 2) targets without expression.
        camera: (2, 3) from layers to frame without motion of the person.
        movements: (21, 2) intensities.
    """

    target: np.ndarray
    source: np.ndarray
    opening_source: np.ndarray
    skull: np.ndarray
    camera: np.ndarray
    movements: np.ndarray


def strip(first: list[int], second: list[int]) -> list[tuple[int, int, int]]:
    """Triangles between two rows of equally many points."""
    triangles = []
    for left in range(len(first) - 1):
        a, b, c, d = first[left], first[left + 1], second[left], second[left + 1]
        triangles += [(a, b, c), (b, d, c)]
    return triangles


def eye_triangles() -> np.ndarray:
    """Triangles (T, 3) int of the eye openings."""
    triangles: list[tuple[int, int, int]] = []
    eyes = (
        (face_mesh.LEFT_EYE_CORNERS, face_mesh.LEFT_EYE_UPPER, face_mesh.LEFT_EYE_LOWER),
        (face_mesh.RIGHT_EYE_CORNERS, face_mesh.RIGHT_EYE_UPPER, face_mesh.RIGHT_EYE_LOWER),
    )
    for (left, right), upper, lower in eyes:
        triangles += [(left, upper[0], lower[0]), *strip(list(upper), list(lower)), (right, upper[-1], lower[-1])]
    return np.array(triangles, np.int32)


def mouth_triangles() -> np.ndarray:
    """Triangles (T, 3) int of the mouth opening."""
    left, right = face_mesh.INNER_MOUTH_CORNERS
    upper, lower = face_mesh.UPPER_LIP_INNER, face_mesh.LOWER_LIP_INNER
    between = strip(list(upper), list(lower))
    return np.array([(left, upper[0], lower[0]), *between, (right, upper[-1], lower[-1])], np.int32)


def ring_triangles(oval: np.ndarray, *, num_rings: int, first_vertex: int) -> np.ndarray:
    """Triangles (T, 3) int between the oval and the rings around it, outermost first."""
    rings = [oval.tolist()]
    for ring in range(num_rings):
        start = first_vertex + ring * len(oval)
        rings.append(list(range(start, start + len(oval))))
    triangles: list[tuple[int, int, int]] = []
    for inner, outer in reversed(list(zip(rings[:-1], rings[1:], strict=True))):
        triangles += strip([*inner, inner[0]], [*outer, outer[0]])
    return np.array(triangles, np.int32)


def affine_to_source(target: np.ndarray, source: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrices (T, 2, 3) float32 from frame to layer, and areas (T,) in the frame in px^2."""
    t, s = target[triangles], source[triangles]  # (T, 3, 2)
    edges, source_edges = t[:, 1:] - t[:, :1], s[:, 1:] - s[:, :1]  # (T, 2, 2), rows are edges
    area = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]
    safe = np.where(np.abs(area) < 1e-9, 1.0, area)
    inverse = np.stack([edges[:, 1, 1], -edges[:, 0, 1], -edges[:, 1, 0], edges[:, 0, 0]], -1).reshape(-1, 2, 2)
    linear = np.swapaxes((inverse / safe[:, None, None]) @ source_edges, 1, 2)  # (T, 2, 2)
    shift = s[:, 0] - np.einsum("tij,tj->ti", linear, t[:, 0])
    return np.concatenate([linear, shift[..., None]], axis=2).astype(np.float32), np.abs(area) / 2


class MeshRenderer:
    """Renders frames of one size from the layers of a portrait."""

    def __init__(self, layers: Layers, *, skin: np.ndarray, rings: np.ndarray, size: tuple[int, int]) -> None:
        """
        Args:
            skin: (T, 3) triangles of the face.
            rings: (T, 3) triangles around it, drawn first.
            size: (height, width) of the frames.
        """
        self.layers = layers
        self.size = size
        self.mouth, self.eyes = mouth_triangles(), eye_triangles()
        self.order = np.concatenate([rings, self.mouth, self.eyes, skin])
        self.eye_slice = slice(len(rings) + len(self.mouth), len(rings) + len(self.mouth) + len(self.eyes))
        self.fine_size = (SUPERSAMPLING * size[0], SUPERSAMPLING * size[1])
        # Centres of the supersampled pixels in frame coordinates, in which the centre of pixel i is i.
        fine_columns, fine_rows = (
            (np.arange(n, dtype=np.float32) + 0.5) / SUPERSAMPLING - 0.5 for n in self.fine_size[::-1]
        )
        self.pixels = np.meshgrid(fine_columns, fine_rows)  # two of (2H, 2W)

    def draw(self, geometry: FrameGeometry) -> np.ndarray:
        """Renders a frame (H, W, 3) uint8 RGB."""
        height, width = self.size
        x, y = self._source_map(geometry)
        folded = shade(self.layers.person, movements=geometry.movements, maps=self.layers.folds)
        person = cv2.remap(folded, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        person = cv2.resize(person, (width, height), interpolation=cv2.INTER_AREA)
        plate = cv2.warpAffine(
            self.layers.plate,
            geometry.camera,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        alpha = person[..., 3:].astype(np.float32) / 255.0
        picture = person[..., :3] * alpha + plate * (1 - alpha)
        self._open_mouth(picture, geometry=geometry)
        return np.clip(picture + 0.5, 0, 255).astype(np.uint8)

    def _source_map(self, geometry: FrameGeometry) -> tuple[np.ndarray, np.ndarray]:
        """Layer coordinates of each supersampled pixel, as two arrays (2H, 2W) float32."""
        matrices, areas = affine_to_source(geometry.target, geometry.source, self.order)
        eye_matrices, _ = affine_to_source(geometry.target, geometry.opening_source, self.eyes)
        matrices[self.eye_slice] = eye_matrices
        owner = np.zeros(self.fine_size, np.int32)
        fine = (geometry.target[self.order] + 0.5) * SUPERSAMPLING - 0.5
        corners = np.round(fine * SUBPIXEL).astype(np.int32)
        for index in np.flatnonzero(areas > SMALLEST_AREA).tolist():
            cv2.fillConvexPoly(owner, corners[index], index, cv2.LINE_8, SUBPIXEL_BITS)
        columns, rows = self.pixels
        entries = matrices.reshape(-1, 6).T  # gathered separately, which is faster than matrices per pixel
        xx, xy, x0, yx, yy, y0 = (entry[owner] for entry in np.ascontiguousarray(entries))
        return xx * columns + xy * rows + x0, yx * columns + yy * rows + y0

    def _open_mouth(self, picture: np.ndarray, *, geometry: FrameGeometry) -> None:
        """Paints the mouth interior between the lips into the picture (H, W, 3) float, in place."""
        loop = geometry.target[list(face_mesh.MOUTH_LOOP)]
        low = np.maximum(np.floor(loop.min(0)).astype(int) - 2, 0)
        high = np.minimum(np.ceil(loop.max(0)).astype(int) + 3, np.array(self.size[::-1]))
        width, height = (high - low).tolist()
        if width <= 0 or height <= 0:
            return
        matrix = similarity(geometry.source[SKULL_POINTS], geometry.skull[SKULL_POINTS])
        matrix[:, 2] -= low
        interior = cv2.warpAffine(self.layers.interior, matrix, (width, height), flags=cv2.INTER_LINEAR)
        fine = np.zeros((height * MOUTH_SUPERSAMPLING, width * MOUTH_SUPERSAMPLING), np.uint8)
        outline = np.round(((loop - low + 0.5) * MOUTH_SUPERSAMPLING - 0.5) * SUBPIXEL).astype(np.int32)
        cv2.fillPoly(fine, [outline], 255, cv2.LINE_8, SUBPIXEL_BITS)
        alpha: np.ndarray = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
        alpha = cv2.GaussianBlur(alpha, (0, 0), 0.5) * min(1.0, _mouth_gap(geometry.target) / OPEN_PIXELS)
        shaded = np.roll(cv2.GaussianBlur(alpha, (0, 0), max(1.0, height / 8)), 1, axis=0)
        region = picture[low[1] : high[1], low[0] : high[0]]
        line = cv2.polylines(np.zeros_like(fine), [outline], True, 255, MOUTH_SUPERSAMPLING, cv2.LINE_8, SUBPIXEL_BITS)
        touch = cv2.resize(line, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
        region *= 1 - CONTACT_SHADE * touch[..., None]
        lit = interior * (1 - LIP_SHADE + LIP_SHADE * shaded[..., None])
        region += alpha[..., None] * (lit - region)


def _mouth_gap(points: np.ndarray) -> float:
    """Largest distance between the inner edges of the lips, in pixels."""
    edges = points[list(face_mesh.UPPER_LIP_INNER)] - points[list(face_mesh.LOWER_LIP_INNER)]
    return float(np.linalg.norm(edges, axis=1).max())


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares similarity transform (2, 3) between points (n, 2)."""
    middle, new_middle = source.mean(0), target.mean(0)
    # In complex numbers, rotation with scale is a single factor.
    before, after = (source - middle) @ [1, 1j], (target - new_middle) @ [1, 1j]
    factor = complex(np.vdot(before, after) / np.vdot(before, before).real)
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.hstack([linear, (new_middle - linear @ middle)[:, None]])
