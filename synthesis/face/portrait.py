"""Animates a photograph: speech, blinks, action units and head motion.

photograph --face_mesh--> 468 points --rest_offset--> a neutral face
movements over time --facial_motion--> points --head_pose--> points --rendering--> frames
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from microemo.data.action_units import UNIT_INDEX
from microemo.synthesis.face import face_mesh
from microemo.synthesis.face.face_mesh import FaceFrame, FaceMesh, face_frame, load_topology
from microemo.synthesis.face.facial_motion import NUM_MOVEMENTS, keep_openings, movement_basis
from microemo.synthesis.face.head_pose import NUM_POSE, still_pose, turn_head
from microemo.synthesis.face.mouth_interior import paint_interior
from microemo.synthesis.face.person_mask import background_plate
from microemo.synthesis.face.picture_framing import choose_window, cut_window
from microemo.synthesis.face.rendering import FrameGeometry, Layers, MeshRenderer, ring_triangles
from microemo.synthesis.face.wrinkles import fold_maps

# Rings around the face outline: radius factor, share of the outline's expression, share of the head's movement above
# and below the face (the neck moves less than the hair), and depth behind the outline in mm.
RING_RADII = np.array([1.12, 1.35, 1.7, 2.4, 12.0])
RING_EXPRESSION = np.array([0.5, 0.12, 0.0, 0.0, 0.0])
RING_POSE_UP = np.array([1.0, 1.0, 1.0, 0.6, 0.0])
RING_POSE_DOWN = np.array([0.85, 0.5, 0.2, 0.05, 0.0])
RING_DEPTH_MM = np.array([4.0, 15.0, 25.0, 30.0, 30.0])

MAX_ASIDE = 0.22  # largest head turn: distance of the nose from the face centre, relative to half of its width
MAX_OPEN_MM = 11.0  # largest lip gap that can be closed
MIN_FACE_PIXELS = 44  # height of the face in the photograph
LARGEST_TEXTURE = 1.5  # largest resolution of the layers relative to the frame; a higher one causes aliasing
UPPER_LIP_CLOSES = 0.34  # share of a lip gap that the upper lip closes; the jaw closes the rest
LARGEST_SMILE = 1.4  # intensity of a laugh, above the full movement of the unit
SMILE_MM = 7.0  # height of the mouth corners above the mouth centre in a full smile


class UnsuitablePhotograph(ValueError):
    """The photograph has no face that can be animated; the message has the reason."""


@dataclass(frozen=True)
class Motion:
    """Motion of face, head and camera in each frame.

    Args:
        movements: (F, 21, 2) intensities of the movements of `facial_motion` on the left and right side of the
            picture, 0 at rest.
        pose: (F, 6), see `head_pose`.
        camera: (F, 4): shift right and down relative to the frame, roll in radians, relative growth.
    """

    movements: np.ndarray
    pose: np.ndarray
    camera: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.movements)
        shapes = {"movements": (frames, NUM_MOVEMENTS, 2), "pose": (frames, NUM_POSE), "camera": (frames, 4)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.movements)


def still_motion(frames: int) -> Motion:
    """A face at rest."""
    return Motion(np.zeros((frames, NUM_MOVEMENTS, 2)), still_pose(frames), np.zeros((frames, 4)))


@dataclass(frozen=True)
class Portrait:
    """A photograph prepared for animation.

    Args:
        layers: image layers.
        points: (V, 3) vertices in the layers, pixels.
        frame: axes of the face in the layers.
        basis: (21, 2, 468, 2) mm, see `movement_basis`.
        rest: (468, 2) mm from the photograph's expression to a neutral one.
    """

    layers: Layers
    points: np.ndarray
    frame: FaceFrame
    basis: np.ndarray
    rest: np.ndarray

    def face_points(self, motion: Motion, *, size: tuple[int, int]) -> np.ndarray:
        """True face points (F, 468, 2) in pixels, in frames of `size` (height, width)."""
        return np.stack([geometry.target[: face_mesh.NUM_POINTS] for geometry in self._geometries(motion, size=size)])

    def render(self, motion: Motion, *, size: tuple[int, int]) -> Iterator[np.ndarray]:
        """Renders frames of (height, width) = size, each (H, W, 3) uint8 RGB."""
        oval = load_topology().oval
        rings = ring_triangles(oval, num_rings=len(RING_RADII), first_vertex=face_mesh.NUM_POINTS)
        renderer = MeshRenderer(self.layers, skin=load_topology().triangles, rings=rings, size=size)
        for geometry in self._geometries(motion, size=size):
            yield renderer.draw(geometry)

    def _geometries(self, motion: Motion, *, size: tuple[int, int]) -> Iterator[FrameGeometry]:
        neutral = self.frame.to_mm(self.points[: face_mesh.NUM_POINTS, :2])
        displaced = neutral + self.rest + np.einsum("fms,msvc->fvc", motion.movements, self.basis)
        face = keep_openings(displaced)
        expression = self._spread_to_rings(face - neutral)  # (F, V, 2) mm
        all_points = self.frame.to_mm(self.points[:, :2])
        depth = self.points[:, 2] / self.frame.pixels_per_mm
        weight = ring_pose_weights()[:, None]
        depths = np.broadcast_to(depth[:, None], (len(motion), len(depth), 1))
        skull = np.broadcast_to(all_points, (len(motion), *all_points.shape))
        turned = turn_head(np.concatenate([skull + expression, depths], 2), pose=motion.pose)
        turned_skull = turn_head(np.concatenate([skull, depths], 2), pose=motion.pose)
        covered = self._covered_eyes(expression)
        for index in range(len(motion)):
            camera = self._camera_matrix(motion.camera[index], size=size)
            moving = skull[index] + expression[index]
            target = moving + weight * (turned[index] - moving)
            bare = skull[index] + weight * (turned_skull[index] - skull[index])
            yield FrameGeometry(
                target=self._to_frame(target, camera),
                source=self.points[:, :2],
                opening_source=self._from_mm(covered[index]),
                skull=self._to_frame(bare, camera),
                camera=camera,
                movements=motion.movements[index],
            )

    def _spread_to_rings(self, expression: np.ndarray) -> np.ndarray:
        oval = expression[:, load_topology().oval]
        return np.concatenate([expression, *(share * oval for share in RING_EXPRESSION)], axis=1)

    def _covered_eyes(self, expression: np.ndarray) -> np.ndarray:
        """Source points (F, V, 2) in mm of the lid edges: lids slide over the eye instead of deforming it."""
        source = np.broadcast_to(self.frame.to_mm(self.points[:, :2]), expression.shape).copy()
        for upper, lower in (
            (face_mesh.LEFT_EYE_UPPER, face_mesh.LEFT_EYE_LOWER),
            (face_mesh.RIGHT_EYE_UPPER, face_mesh.RIGHT_EYE_LOWER),
        ):
            source[:, list(upper), 1] += np.maximum(expression[:, list(upper), 1], 0)
            source[:, list(lower), 1] += np.minimum(expression[:, list(lower), 1], 0)
        return source

    def _from_mm(self, points_mm: np.ndarray) -> np.ndarray:
        return points_mm @ self.frame.axes + self.frame.origin

    def _to_frame(self, points_mm: np.ndarray, camera: np.ndarray) -> np.ndarray:
        return self._from_mm(points_mm) @ camera[:, :2].T + camera[:, 2]

    def _camera_matrix(self, camera: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
        """Matrix (2, 3) from the layers to a frame of (height, width) = size."""
        height, width = self.layers.plate.shape[:2]
        scale = size[0] / height
        right, down, roll, growth = camera.tolist()
        linear = scale * (1 + growth) * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
        # Pixel centres have integer coordinates, so the centre of w pixels is (w - 1) / 2.
        middle, new_middle = (np.array([width, height]) - 1) / 2, (np.array([size[1], size[0]]) - 1) / 2
        shift = new_middle + np.array([right * size[1], down * size[0]]) - linear @ middle
        return np.hstack([linear, shift[:, None]])


def ring_pose_weights() -> np.ndarray:
    """Share (V,) of the head's movement that each vertex follows."""
    topology = load_topology()
    y = topology.neutral_shape[topology.oval, 1]
    low = np.clip((y - 30.0) / 60.0, 0, 1)  # 0 beside the eyes and above, 1 at the chin
    rings = [up * (1 - low) + down * low for up, down in zip(RING_POSE_UP, RING_POSE_DOWN, strict=True)]
    return np.concatenate([np.ones(face_mesh.NUM_POINTS), *rings])


def rest_offset(shape_mm: np.ndarray, *, basis: np.ndarray) -> np.ndarray:
    """Displacement (468, 2) in mm from the photograph's face to a neutral one without smile and lip gap."""
    corners, upper, lower = (
        shape_mm[list(points), 1].mean()
        for points in (face_mesh.MOUTH_CORNERS, face_mesh.UPPER_LIP_INNER, face_mesh.LOWER_LIP_INNER)
    )
    smile = float(np.clip(((upper + lower) / 2 - corners - 1.0) / SMILE_MM, 0, LARGEST_SMILE))
    units = np.zeros(NUM_MOVEMENTS)
    units[UNIT_INDEX[12]], units[UNIT_INDEX[6]] = -smile, -0.5 * smile
    offset = np.einsum("m,msvc->vc", units, basis)
    # The remaining gap is closed by the jaw (lower lip and everything below) and, for a third, by the upper lip. Each
    # column of the lips closes its own gap, the skin follows the widest one.
    relaxed = shape_mm + offset
    gaps = relaxed[list(face_mesh.LOWER_LIP_INNER), 1] - relaxed[list(face_mesh.UPPER_LIP_INNER), 1]
    gaps = np.maximum(gaps, 0.0)
    jaw, lift = basis[UNIT_INDEX[26]].sum(0), basis[UNIT_INDEX[10]].sum(0)
    lips = np.zeros_like(offset)
    for upper, lower in zip(face_mesh.UPPER_LIP_ROWS, face_mesh.LOWER_LIP_ROWS, strict=True):
        lips[list(upper), 1], lips[list(lower), 1] = UPPER_LIP_CLOSES * gaps, (UPPER_LIP_CLOSES - 1) * gaps
    widest = float(gaps.max())
    skin = widest * ((UPPER_LIP_CLOSES - 1) * jaw / jaw[14, 1] + UPPER_LIP_CLOSES * lift / lift[13, 1])
    on_lips = np.zeros((len(offset), 1), bool)
    on_lips[[*face_mesh.UPPER_LIP, *face_mesh.LOWER_LIP]] = True
    offset = offset + np.where(on_lips, lips, skin)
    return offset


def make_portrait(
    picture: np.ndarray, *, points: np.ndarray, mask: np.ndarray | None = None, size: int = 224
) -> Portrait:
    """Makes a portrait from a photograph and its face points.

    Args:
        picture: (H, W, 3) uint8 RGB photograph.
        points: (468, 3) of `FaceMesh.locate`.
        mask: (H, W) float32 of `PersonMask`; without it the background is warped with the head.
        size: side in pixels of the frames to render.

    Raises:
        UnsuitablePhotograph: see `check_suitable`.
    """
    check_suitable(points)
    window = choose_window(points[load_topology().oval, :2], shape=(picture.shape[0], picture.shape[1]))
    texture = min(round(LARGEST_TEXTURE * size), max(window.side, size))
    scale = texture / window.side
    alpha = np.ones(picture.shape[:2], np.float32) if mask is None else mask
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(cut_window(picture, window=window), (texture, texture), interpolation=method)
    alpha = cv2.resize(cut_window(alpha, window=window), (texture, texture), interpolation=cv2.INTER_LINEAR)
    points = (points - [window.left - 0.5, window.top - 0.5, 0]) * scale - [0.5, 0.5, 0]
    frame = face_frame(points)
    shape_mm = frame.to_mm(points[:, :2])
    basis = movement_basis(shape_mm)
    layers = Layers(
        person=np.dstack([picture, np.round(alpha * 255).astype(np.uint8)]),
        plate=background_plate(picture, alpha),
        interior=paint_interior(picture, points=points[:, :2], frame=frame),
        folds=fold_maps((texture, texture), frame=frame),
    )
    vertices = np.concatenate([points, _rings(points, frame=frame)])
    return Portrait(layers, vertices, frame, basis, rest_offset(shape_mm, basis=basis))


def _rings(points: np.ndarray, *, frame: FaceFrame) -> np.ndarray:
    """Vertices (180, 3) of the rings around the face."""
    oval = points[load_topology().oval]
    centre = oval[:, :2].mean(0)
    rings = []
    for radius, depth in zip(RING_RADII, RING_DEPTH_MM, strict=True):
        flat = centre + radius * (oval[:, :2] - centre)
        rings.append(np.column_stack([flat, oval[:, 2] + depth * frame.pixels_per_mm]))
    return np.concatenate(rings)


def check_suitable(points: np.ndarray) -> None:
    """Raises `UnsuitablePhotograph` if the face is too small, turned away or has a wide open mouth."""
    oval = points[load_topology().oval, :2]
    height = float(np.ptp(oval[:, 1]))
    if height < MIN_FACE_PIXELS:
        raise UnsuitablePhotograph(
            f"the face is {height:.0f} px high in the photograph, at least {MIN_FACE_PIXELS} are needed"
        )
    left, right, nose = points[234, :2], points[454, :2], points[1, :2]
    across = (right - left) / max(float(np.linalg.norm(right - left)), 1e-6)
    aside = float((nose - (left + right) / 2) @ across) / (float(np.linalg.norm(right - left)) / 2)
    if abs(aside) > MAX_ASIDE:
        raise UnsuitablePhotograph(
            f"the face is turned away ({aside:+.2f} of its half width, at most {MAX_ASIDE} is animated)"
        )
    lips = face_frame(points).to_mm(points[[13, 14], :2])
    gap = float(lips[1, 1] - lips[0, 1])
    if gap > MAX_OPEN_MM:
        raise UnsuitablePhotograph(f"the mouth is open by {gap:.0f} mm, at most {MAX_OPEN_MM:.0f} are closed")


def portrait_of(
    picture: np.ndarray,
    *,
    detect: Callable[[np.ndarray], list],
    mesh: FaceMesh,
    segment: Callable[[np.ndarray], np.ndarray] | None = None,
    size: int = 224,
) -> Portrait:
    """Makes a portrait of the largest face in a photograph.

    Args:
        picture: (H, W, 3) uint8 RGB.
        detect: detects faces in (N, H, W, 3) frames, as `FaceDetector.detect` of `microemo.processing`.
        segment: a `PersonMask`; without it the background is warped with the head.

    Raises:
        UnsuitablePhotograph: no face is found, or see `make_portrait`.
    """
    faces = detect(picture[None])[0]
    if len(faces) == 0:
        raise UnsuitablePhotograph("no face found in the photograph")
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    largest = int(np.argmax(sides.prod(1)))
    points = mesh.locate(picture, five_points=faces.landmarks[largest].astype(np.float64))
    mask = None if segment is None else segment(picture)
    return make_portrait(picture, points=points, mask=mask, size=size)
