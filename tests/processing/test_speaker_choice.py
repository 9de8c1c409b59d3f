import numpy as np
import pytest
from synthetic_faces import portrait

from microemo.processing.clip import FaceTrack, Utterance
from microemo.processing.face_cropping import alignment_matrix, crop_face
from microemo.processing.speaker_choice import (
    Curve,
    choose_tracks,
    mouth_motion_curve,
    speaking_score,
    visible_size,
    voice_energy_curve,
)

PORTRAIT_LANDMARKS = np.array([[78, 81], [122, 82], [97, 104], [79, 123], [117, 124]])
MATRIX = alignment_matrix(PORTRAIT_LANDMARKS)
TIMES = np.arange(60) / 15  # 4 s
UTTERANCES = (Utterance(0, 2), Utterance(2, 4))


def face_track(track_id, *, side, start=0.0, end=4.0):
    times = TIMES[(start <= TIMES) & (end > TIMES)]
    boxes = np.tile(np.array([0, 0, side, side], dtype=np.float32), (len(times), 1))
    landmarks = np.zeros((len(times), 5, 2), dtype=np.float32)
    return FaceTrack(track_id, times, boxes, landmarks, np.ones(len(times), dtype=np.float32))


def choose(tracks, *, person="speaker", motion=None, energy=None, utterances=UTTERANCES):
    return choose_tracks(tracks, utterances=utterances, person=person, mouth_motion=motion or {}, voice_energy=energy)


SYLLABLES = (np.sin(2 * np.pi * 2.0 * TIMES) > 0).astype(float)
ENERGY = Curve(TIMES, -60 + 40 * SYLLABLES)


def test_the_mouth_that_moves_speaks():
    still, moving = Curve(TIMES, np.full(60, 0.01)), Curve(TIMES, 0.2 * SYLLABLES + 0.01)
    tracks = (face_track(0, side=90), face_track(1, side=40))
    assert choose(tracks, motion={0: still, 1: moving}, energy=ENERGY) == (1, 1)


def test_of_two_moving_mouths_the_one_with_the_voice_speaks():
    with_voice = Curve(TIMES, 0.2 * SYLLABLES)
    against_it = Curve(TIMES, 0.2 * np.random.default_rng(0).permutation(SYLLABLES))
    tracks = (face_track(0, side=60), face_track(1, side=60))
    assert choose(tracks, motion={0: against_it, 1: with_voice}, energy=ENERGY) == (1, 1)
    assert choose(tracks, motion={0: with_voice, 1: against_it}, energy=ENERGY) == (0, 0)


def test_each_utterance_has_its_own_speaker():
    first_half = TIMES < 2
    motion = {0: Curve(TIMES, 0.2 * SYLLABLES * first_half), 1: Curve(TIMES, 0.2 * SYLLABLES * ~first_half)}
    assert choose((face_track(0, side=60), face_track(1, side=60)), motion=motion, energy=ENERGY) == (0, 1)


def test_one_face_needs_no_proof():
    assert choose((face_track(4, side=30),), energy=ENERGY) == (4, 4)


def test_largest_and_by_number():
    tracks = (face_track(0, side=30), face_track(1, side=60, end=2.0))
    assert choose(tracks, person="largest") == (1, 0)
    assert choose(tracks, person=0) == (0, 0)
    assert choose(tracks, person=1) == (1, None)
    assert choose(tracks, person=9) == (None, None)


def test_without_sound_or_enough_movement_the_largest():
    tracks = (face_track(0, side=30), face_track(1, side=60))
    assert choose(tracks) == (1, 1)
    short = {0: Curve(TIMES[:2], np.ones(2)), 1: Curve(TIMES[:2], np.zeros(2))}
    assert choose(tracks, motion=short, energy=ENERGY) == (1, 1)


def test_no_face():
    assert choose(()) == (None, None)
    assert choose((face_track(0, side=30, end=2.0),)) == (0, None)
    assert choose((), utterances=()) == ()


def test_wrong_person():
    with pytest.raises(ValueError, match='person must be "speaker", "largest" or a track id, got \'loudest\''):
        choose((), person="loudest")


def test_visible_size_counts_area_and_time():
    utterance = Utterance(0, 1)
    assert visible_size(face_track(0, side=10), utterance=utterance) == 15 * 100
    assert visible_size(face_track(0, side=10, start=2.0), utterance=utterance) == 0


def test_a_real_mouth_moves_and_a_shaking_camera_does_not_count():
    openings = 0.5 + 0.5 * np.sin(np.arange(30))
    talking = np.stack([crop_face(portrait(mouth_open=opening), MATRIX, 112) for opening in openings])
    still = np.repeat(crop_face(portrait(), MATRIX, 112)[None], 30, axis=0)
    shifts = np.random.default_rng(0).normal(scale=0.4, size=(30, 2))
    shaken = np.stack([crop_face(portrait(), alignment_matrix(PORTRAIT_LANDMARKS + shift), 112) for shift in shifts])
    times = np.arange(30) / 15
    talk, rest, shake = (np.mean(mouth_motion_curve(crops, times).values) for crops in (talking, still, shaken))
    assert rest == 0
    assert talk > 4 * shake


def test_motion_over_a_gap_is_left_out():
    crops = np.random.default_rng(0).integers(0, 255, (4, 112, 112, 3), dtype=np.uint8)
    curve = mouth_motion_curve(crops, np.array([0.0, 0.1, 2.0, 2.1]))
    assert curve.times.tolist() == [0.1, 2.1]
    assert len(mouth_motion_curve(crops[:1], np.zeros(1)).times) == 0


def test_voice_energy_is_in_decibel_on_the_clock():
    waveform = np.concatenate([np.zeros(16_000), 0.5 * np.sign(np.sin(np.arange(16_000)))]).astype(np.float32)
    curve = voice_energy_curve(waveform, sampling_rate=16_000, start_seconds=10.0)
    assert curve.values[curve.times < 10.9].max() == pytest.approx(-80)
    assert curve.values[curve.times > 11.1].min() == pytest.approx(-6.02, abs=0.1)


def test_lips_may_lead_the_voice():
    lead = Curve(TIMES, np.roll(SYLLABLES, -2))
    assert speaking_score(lead, voice_energy=ENERGY) == pytest.approx(np.mean(lead.values) * 2, rel=0.05)


def test_curves_check_themselves():
    with pytest.raises(ValueError, match="must be one row each"):
        Curve(np.zeros(3), np.zeros(2))
