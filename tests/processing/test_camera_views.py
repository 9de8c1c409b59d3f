import numpy as np
import skimage.data

from microemo.processing.camera_views import SAME_VIEW, SHOT_CHANGE, ViewHistory, view_difference, view_thumbnail

ROOM, OTHER_ROOM = np.full((18, 32), 100, dtype=np.float32), np.full((18, 32), 180, dtype=np.float32)


def test_views_come_and_return():
    history = ViewHistory()
    cuts = [history.enter(room, seconds=0.1) for room in (ROOM, ROOM + 3, OTHER_ROOM, OTHER_ROOM, ROOM, ROOM)]
    assert cuts == [True, False, True, False, True, False]
    assert history.current == 0 and len(history.views) == 2
    assert np.isclose(history.seconds, 0.2)  # of the return itself nobody knows how long it was


def test_a_shot_may_begin_again():
    history = ViewHistory()
    for brightness in (100, 115, 130, 145):
        history.enter(np.full((18, 32), brightness, dtype=np.float32), seconds=0.1)
    history.enter(np.full((18, 32), 220, dtype=np.float32), seconds=0.1)
    history.enter(np.full((18, 32), 100, dtype=np.float32), seconds=0.1)
    assert history.current == 0


def test_slow_change_is_no_cut():
    history = ViewHistory()
    assert [history.enter(ROOM + 4 * step, seconds=0.1) for step in range(20)] == [True] + [False] * 19


def test_thumbnails_tell_views_apart():
    frame = skimage.data.astronaut()
    assert view_thumbnail(frame).shape == (18, 32)
    assert view_difference(view_thumbnail(frame), view_thumbnail(frame[::-1])) > SHOT_CHANGE
    assert view_difference(view_thumbnail(frame), view_thumbnail(np.roll(frame, 10, axis=1))) < SAME_VIEW
