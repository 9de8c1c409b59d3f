import numpy as np
import pytest
from synthetic_faces import portrait

from microemo.processing.clip import FaceTrack, Utterance
from microemo.processing.face_cropping import alignment_matrix, crop_face
from microemo.processing.speaker_choice import (
    Curve,
    choose_tracks,
    match_voice,
    mouth_opening_curve,
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
    return choose_tracks(tracks, utterances=utterances, person=person, mouth_opening=motion or {}, voice_energy=energy)


SYLLABLES = (np.sin(2 * np.pi * 2.0 * TIMES) > 0).astype(float)
ENERGY = Curve(TIMES, -60 + 40 * SYLLABLES)


def test_the_moving_mouth_is_the_speaker():
    still, moving = Curve(TIMES, np.full(60, 0.01)), Curve(TIMES, 0.2 * SYLLABLES + 0.01)
    tracks = (face_track(0, side=90), face_track(1, side=40))
    assert choose(tracks, motion={0: still, 1: moving}, energy=ENERGY) == (1, 1)


def test_of_two_moving_mouths_the_one_that_matches_the_voice_is_the_speaker():
    with_voice = Curve(TIMES, 0.2 * SYLLABLES)
    against_it = Curve(TIMES, 0.2 * np.random.default_rng(0).permutation(SYLLABLES))
    tracks = (face_track(0, side=60), face_track(1, side=60))
    assert choose(tracks, motion={0: against_it, 1: with_voice}, energy=ENERGY) == (1, 1)
    assert choose(tracks, motion={0: with_voice, 1: against_it}, energy=ENERGY) == (0, 0)


def test_each_utterance_has_its_own_speaker():
    first_half = TIMES < 2
    motion = {0: Curve(TIMES, 0.2 * SYLLABLES * first_half), 1: Curve(TIMES, 0.2 * SYLLABLES * ~first_half)}
    assert choose((face_track(0, side=60), face_track(1, side=60)), motion=motion, energy=ENERGY) == (0, 1)


def test_a_single_face_needs_no_match():
    assert choose((face_track(4, side=30),), energy=ENERGY) == (4, 4)


def test_largest_and_track_id():
    tracks = (face_track(0, side=30), face_track(1, side=60, end=2.0))
    assert choose(tracks, person="largest") == (1, 0)
    assert choose(tracks, person=0) == (0, 0)
    assert choose(tracks, person=1) == (1, None)
    assert choose(tracks, person=9) == (None, None)


def test_no_audio_selects_the_largest_and_no_match_selects_nobody():
    tracks = (face_track(0, side=30), face_track(1, side=60))
    assert choose(tracks) == (1, 1)
    short = {0: Curve(TIMES[:2], np.ones(2)), 1: Curve(TIMES[:2], np.zeros(2))}
    assert choose(tracks, motion=short, energy=ENERGY) == (None, None)
    same = Curve(TIMES, SYLLABLES)
    assert choose(tracks, motion={0: same, 1: same}, energy=ENERGY) == (None, None)


def test_a_speakers_utterances_are_matched_together():
    """In the second half a hand covers the mouth while the voice continues."""
    hidden = Curve(TIMES, SYLLABLES * (TIMES < 2))
    noise = Curve(TIMES, np.random.default_rng(1).random(60))
    tracks = (face_track(0, side=60), face_track(1, side=60))
    one_voice = tuple(Utterance(each.start_seconds, each.end_seconds, "a", "Speaker 1") for each in UTTERANCES)
    assert choose(tracks, motion={0: hidden, 1: noise}, energy=ENERGY)[1] != 0
    assert choose(tracks, motion={0: hidden, 1: noise}, energy=ENERGY, utterances=one_voice) == (0, 0)


def test_a_single_face_of_another_speaker_is_not_attended():
    utterances = (Utterance(0, 2, "a", "Anna"), Utterance(2, 4, "b", "Ben"))
    tracks = (face_track(0, side=60), face_track(1, side=60, end=2.0))  # Ben answers off-screen
    motion = {0: Curve(TIMES, SYLLABLES * (TIMES < 2)), 1: Curve(TIMES, np.zeros(60))}
    assert choose(tracks, motion=motion, energy=ENERGY, utterances=utterances) == (0, None)
    assert choose(tracks, motion=motion, energy=ENERGY) == (0, 0)  # without speaker labels the face is attended


def test_no_face():
    assert choose(()) == (None, None)
    assert choose((face_track(0, side=30, end=2.0),)) == (0, None)
    assert choose((), utterances=()) == ()


def test_invalid_person_is_refused():
    with pytest.raises(ValueError, match='person must be "speaker", "largest" or a track id, got \'loudest\''):
        choose((), person="loudest")


def test_visible_size_counts_area_and_time():
    utterance = Utterance(0, 1)
    assert visible_size(face_track(0, side=10), utterance=utterance) == 15 * 100
    assert visible_size(face_track(0, side=10, start=2.0), utterance=utterance) == 0


def test_a_real_mouth_opening_is_measured():
    openings = 0.5 + 0.5 * np.sin(np.arange(30))
    talking = np.stack([crop_face(portrait(mouth_open=opening), MATRIX, 112) for opening in openings])
    times = np.arange(30) / 15
    curve = mouth_opening_curve(talking, times)
    assert np.corrcoef(curve.values, openings)[0, 1] > 0.8
    darker = mouth_opening_curve((talking * 0.6).astype(np.uint8), times)
    assert np.abs(darker.values - curve.values).max() < 0.1
    assert len(mouth_opening_curve(talking[:0], times[:0]).times) == 0


def test_voice_energy_is_in_decibels_with_times():
    waveform = np.concatenate([np.zeros(16_000), 0.5 * np.sign(np.sin(np.arange(16_000)))]).astype(np.float32)
    curve = voice_energy_curve(waveform, sampling_rate=16_000, start_seconds=10.0)
    assert curve.values[curve.times < 10.9].max() == pytest.approx(-80)
    assert curve.values[curve.times > 11.1].min() == pytest.approx(-6.02, abs=0.1)


@pytest.mark.parametrize("shift", [-2, 0, 2])
def test_lips_may_lead_the_voice(shift):
    rhythm = np.sin(2 * np.pi * 1.5 * TIMES) * np.sin(2 * np.pi * 0.4 * TIMES + 1)
    energy = Curve(TIMES, -50 + 10 * rhythm)
    matched = match_voice(Curve(TIMES, np.roll(rhythm, shift)), voice_energy=energy, utterances=UTTERANCES)
    assert matched.samples == 60 and matched.correlation > 0.9
    opposed = match_voice(Curve(TIMES, -rhythm), voice_energy=energy, utterances=UTTERANCES[:1])
    assert opposed.samples == 30 and opposed.correlation < 0.5


def test_curves_check_their_shapes():
    with pytest.raises(ValueError, match="must be one row each"):
        Curve(np.zeros(3), np.zeros(2))
