import numpy as np
import skimage.data

from microemo.processing.shot_detection import (
    SAME_SHOT_THRESHOLD,
    SHOT_THRESHOLD,
    ShotHistory,
    frame_thumbnail,
    thumbnail_difference,
)

ROOM, OTHER_ROOM = np.full((18, 32), 100, dtype=np.float32), np.full((18, 32), 180, dtype=np.float32)


def test_returning_shots_are_recognised():
    history = ShotHistory()
    cuts = [history.enter(room, seconds=0.1) for room in (ROOM, ROOM + 3, OTHER_ROOM, OTHER_ROOM, ROOM, ROOM)]
    assert cuts == [True, False, True, False, True, False]
    assert history.current == 0 and len(history.shots) == 2
    assert np.isclose(history.seconds, 0.2)  # the duration of the returning frame is unknown


def test_a_repeated_shot_may_start_over():
    history = ShotHistory()
    for brightness in (100, 115, 130, 145):
        history.enter(np.full((18, 32), brightness, dtype=np.float32), seconds=0.1)
    history.enter(np.full((18, 32), 220, dtype=np.float32), seconds=0.1)
    history.enter(np.full((18, 32), 100, dtype=np.float32), seconds=0.1)
    assert history.current == 0


def test_slow_change_is_no_shot_change():
    history = ShotHistory()
    assert [history.enter(ROOM + 4 * step, seconds=0.1) for step in range(20)] == [True] + [False] * 19


def test_thumbnails_distinguish_shots():
    frame = skimage.data.astronaut()
    assert frame_thumbnail(frame).shape == (18, 32)
    assert thumbnail_difference(frame_thumbnail(frame), frame_thumbnail(frame[::-1])) > SHOT_THRESHOLD
    assert (
        thumbnail_difference(frame_thumbnail(frame), frame_thumbnail(np.roll(frame, 10, axis=1))) < SAME_SHOT_THRESHOLD
    )
