"""Assembles a chunk's streams into a clip: the attended person's crops, missing streams and warnings."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .chunk_reading import ChunkPictures, FaceCrops
from .clip import Clip, FaceTrack, Utterance
from .frame_sampling import largest_gap_seconds
from .reading_chunks import Chunk
from .reading_settings import ReadingSettings
from .speaker_choice import choose_tracks, mouth_opening_curve, visible_size, voice_energy_curve


def assemble_clip(
    source: str,
    *,
    chunk: Chunk,
    pictures: ChunkPictures | None,
    waveform: np.ndarray | None,
    person: str | int,
    settings: ReadingSettings,
    missing_reasons: dict[str, str],
    warnings: Sequence[str],
) -> Clip:
    """Returns the chunk as a `Clip`.

    Args:
        missing_reasons: reasons known so far ("audio", "frames", "faces"); more are added.
    """
    utterances = chunk.utterances
    faces = None
    tracks: tuple[FaceTrack, ...] = ()
    track_ids: tuple[int | None, ...] = (None,) * len(utterances)
    missing_reasons, warnings = dict(missing_reasons), list(warnings)
    if pictures is not None:
        tracks = pictures.tracks
        track_ids = _attended_tracks(chunk, pictures, waveform=waveform, person=person, settings=settings)
        faces = attended_crops(
            pictures.faces, utterances=utterances, track_ids=track_ids, everywhere=settings.faces_everywhere
        )
        if person == "speaker" and waveform is None and len(tracks) > 1:
            warnings.append("several faces and no audio: the largest face is attended")
        if person == "speaker" and waveform is not None:
            warnings += _unseen_speaker_warnings(track_ids, tracks=tracks, utterances=utterances)
        if isinstance(person, int) and tracks:
            warnings += _unknown_person_warnings(person, tracks=tracks, chunk=chunk)
        if len(faces.times) == 0:
            faces = None
            missing_reasons.setdefault("faces", "the requested person is not visible" if tracks else "no face found")
        warnings += blind_warnings(pictures.sampled_times, utterances=utterances, settings=settings) if tracks else []
    frames = pictures if pictures is not None and len(pictures.frame_times) else None
    readings = None if faces is None else faces.readings
    if faces is not None and readings is None:
        missing_reasons["face_actions"] = "no landmark model was given"
    return Clip(
        source=source,
        start_seconds=chunk.start_seconds,
        end_seconds=chunk.end_seconds,
        utterances=utterances,
        frames=None if frames is None else frames.frames,
        frame_times=None if frames is None else frames.frame_times,
        face_crops=None if faces is None else faces.crops,
        face_times=None if faces is None else faces.times,
        face_track_ids=None if faces is None else faces.track_ids,
        face_actions=None if readings is None else readings.actions,
        head_pose=None if readings is None else readings.head_pose,
        gaze=None if readings is None else readings.gaze,
        face_actions_mask=None if readings is None else readings.mask,
        utterance_track_ids=track_ids,
        tracks=tracks,
        waveform=waveform,
        sampling_rate=settings.sampling_rate,
        missing_reasons=missing_reasons,
        warnings=tuple(warnings),
    )


def _unseen_speaker_warnings(
    track_ids: Sequence[int | None], *, tracks: Sequence[FaceTrack], utterances: Sequence[Utterance]
) -> list[str]:
    """Warnings for utterances in which faces are visible but none is known to be the speaker's."""
    return [
        f"{each.start_seconds:.1f}-{each.end_seconds:.1f} s: the speaker's face is not visible or cannot be "
        "identified; no face is attended"
        for each, track_id in zip(utterances, track_ids, strict=True)
        if track_id is None and any(visible_size(track, utterance=each) > 0 for track in tracks)
    ]


def _unknown_person_warnings(person: int, *, tracks: Sequence[FaceTrack], chunk: Chunk) -> list[str]:
    known = sorted(track.track_id for track in tracks)
    if person in known:
        return []
    span = f"{chunk.start_seconds:.1f}-{chunk.end_seconds:.1f} s"
    return [f"person {person} is not among the tracks {', '.join(map(str, known))} of {span}"]


def _attended_tracks(
    chunk: Chunk,
    pictures: ChunkPictures,
    *,
    waveform: np.ndarray | None,
    person: str | int,
    settings: ReadingSettings,
) -> tuple[int | None, ...]:
    opening, energy = {}, None
    if waveform is not None:
        energy = voice_energy_curve(waveform, sampling_rate=settings.sampling_rate, start_seconds=chunk.start_seconds)
    if energy is not None and person == "speaker" and len(pictures.tracks) > 1:
        for track in pictures.tracks:
            crops = pictures.faces.of_track(track.track_id)
            opening[track.track_id] = mouth_opening_curve(crops.crops, crops.times)
    return choose_tracks(
        pictures.tracks, utterances=chunk.utterances, person=person, mouth_opening=opening, voice_energy=energy
    )


def attended_crops(
    faces: FaceCrops,
    *,
    utterances: Sequence[Utterance],
    track_ids: Sequence[int | None],
    everywhere: bool = False,
) -> FaceCrops:
    """The crops of the attended person, at most one at a time.

    Where two utterances overlap, the one that started first is attended. With `everywhere`, silence belongs to the
    nearest
    utterance.
    """
    selected: list[int] = []
    for time in np.unique(faces.times):
        owners = _owners(float(time), utterances=utterances, track_ids=track_ids, everywhere=everywhere)
        rows = {int(faces.track_ids[row]): int(row) for row in np.flatnonzero(faces.times == time)}
        row = next((rows[owner] for owner in owners if owner in rows), None)
        if row is not None:
            selected.append(row)
    return faces.take(np.array(selected, dtype=np.int64))


def _owners(
    time: float, *, utterances: Sequence[Utterance], track_ids: Sequence[int | None], everywhere: bool
) -> list[int | None]:
    """Track ids that may be attended at `time`, by priority."""
    distances = [max(each.start_seconds - time, time - each.end_seconds, 0.0) for each in utterances]
    inside = [index for index, each in enumerate(utterances) if each.start_seconds <= time < each.end_seconds]
    if not inside and everywhere and utterances:
        inside = [int(np.argmin(distances))]
    return [track_ids[index] for index in inside]


def blind_warnings(
    sampled_times: np.ndarray, *, utterances: Sequence[Utterance], settings: ReadingSettings
) -> list[str]:
    """Warns if gaps between sampled frames are longer than `max_blind_seconds`."""
    gap = largest_gap_seconds(sampled_times, utterances=utterances)
    if gap <= settings.max_blind_seconds:
        return []
    spacing = "an utterance contains no frame" if math.isinf(gap) else f"up to {gap:.2f} s lie between two frames"
    return [
        f"{spacing}, more than max_blind_seconds ({settings.max_blind_seconds:g}): "
        "micro-expressions (<= 0.5 s) can be missed"
    ]
