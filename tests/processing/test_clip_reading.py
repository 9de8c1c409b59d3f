import numpy as np
import pytest
from fake_landmarks import FakeLandmarker
from synthetic_faces import RedSquareDetector, background, drifting_portrait, place, portrait
from synthetic_media import cut_file, frame_number, moving_squares, rotate_display, tone, write_video, write_wav

from microemo.processing.clip import Transcription, Utterance
from microemo.processing.clip_reading import ClipReader, ReadingState, is_silent, recognize_in_blocks
from microemo.processing.media_source import VideoArray
from microemo.processing.reading_settings import ReadingSettings

SETTINGS = ReadingSettings(num_frames=6, min_frames_per_utterance=2, frame_size=48, min_face_size=8)


class FakeRecognizer:
    """Recognises one utterance from 0.2 s to 0.2 s before the end."""

    def __init__(self):
        self.heard = []

    def transcribe(self, waveform, *, language=None, progress=None):
        self.heard.append((len(waveform), language))
        return (Utterance(0.2, len(waveform) / 16_000 - 0.2, "hello", speaker="Anna"),)


def read(source, *, settings=SETTINGS, detector=None, recognizer=None, cache_dir=None, **how):
    reader = ClipReader(
        settings,
        detector=detector or RedSquareDetector(),
        landmarker=FakeLandmarker(),
        recognizer=recognizer,
        cache_dir=cache_dir,
    )
    return list(reader.read(source, **how))


def read_one(source, **how):
    (clip,) = read(source, **how)
    return clip


@pytest.fixture
def talk(tmp_path):
    return write_video(tmp_path / "talk.mp4", moving_squares(count=75), waveform=tone(seconds=3.0))


def test_all_streams_share_one_clock(talk):
    clip = read_one(talk, transcript=[Utterance(0.5, 1.5, "one", "Anna"), Utterance(2.0, 2.5, "two")])
    assert clip.source == str(talk) and (clip.start_seconds, clip.end_seconds) == (0, pytest.approx(3.0, abs=0.1))
    assert [utterance.text for utterance in clip.utterances] == ["one", "two"]
    np.testing.assert_allclose([frame_number(frame) for frame in clip.frames], clip.frame_times * 25, atol=0.01)
    assert clip.frames.shape[1:] == (48, 64, 3)
    assert np.all((clip.face_times < 1.5) | (clip.face_times >= 2.0)) and clip.face_times[0] >= 0.5
    assert clip.face_crops.shape == (len(clip.face_times), 112, 112, 3)
    assert len(clip.face_times) == pytest.approx(1.5 * 15, abs=3)
    assert clip.utterance_track_ids == (0, 0)
    assert len(clip.waveform) == round(clip.end_seconds * 16_000)
    assert clip.missing_reasons == {} and clip.warnings == ()


def test_crops_follow_the_face(talk):
    clip = read_one(talk)
    inner = clip.face_crops[2:-2, 40:70, 40:70].reshape(-1, 30 * 30, 3).mean(axis=1)
    np.testing.assert_allclose(inner, np.broadcast_to([220, 40, 40], inner.shape), atol=14)


def test_tracks_are_in_pixels_of_the_video(talk):
    small = read_one(talk, settings=ReadingSettings(max_picture_side=64, min_face_size=4))
    full = read_one(talk)
    np.testing.assert_allclose(small.tracks[0].boxes, full.tracks[0].boxes, atol=3)
    np.testing.assert_allclose(small.tracks[0].landmarks, full.tracks[0].landmarks, atol=3)


def test_faces_everywhere_setting(talk):
    settings = ReadingSettings(faces_everywhere=True, min_face_size=8)
    clip = read_one(talk, settings=settings, transcript=[Utterance(1.0, 1.5)])
    assert clip.face_times[0] < 0.1 and clip.face_times[-1] > 2.8


def test_a_clip_without_speech_is_one_utterance(talk):
    clip = read_one(talk)
    assert clip.utterances == (Utterance(0.0, clip.end_seconds),)


def test_the_recognizer_is_used_without_a_transcript(talk):
    recognizer = FakeRecognizer()
    clip = read_one(talk, recognizer=recognizer, language="de")
    assert [(each.text, each.speaker) for each in clip.utterances] == [("hello", "Anna")]
    assert recognizer.heard[0][1] == "de"
    read_one(talk, recognizer=recognizer, transcript=[Utterance(0, 1, "given")])
    assert len(recognizer.heard) == 1


class HalvesEmbedder:
    """Returns different embeddings for a low and a high voice."""

    def embed(self, waveforms):
        pitches = [np.argmax(np.abs(np.fft.rfft(wave))) * 16_000 / len(wave) for wave in waveforms]
        return np.stack([np.eye(8, dtype=np.float32)[int(pitch > 500)] for pitch in pitches])


def two_voices(tmp_path):
    deep, high = tone(seconds=2.0, frequency=200.0), tone(seconds=2.0, frequency=800.0)
    return write_video(
        tmp_path / "two.mp4", moving_squares(count=200), waveform=np.concatenate([deep, high, deep, high])
    )


SPANS = [Utterance(0.2, 1.8, "a"), Utterance(2.2, 3.8, "b"), Utterance(4.2, 5.8, "c"), Utterance(6.2, 7.8, "d")]


def test_speakers_are_labelled_over_the_whole_recording_and_kept_when_resuming(tmp_path):
    settings = ReadingSettings(max_chunk_seconds=4.0, num_frames=4, min_face_size=8)
    reader = ClipReader(settings, detector=None, voice_embedder=HalvesEmbedder())
    path, state = two_voices(tmp_path), ReadingState()
    clips = list(reader.read(path, transcript=SPANS, state=state))
    assert len(clips) == 2
    labelled = [each.speaker for clip in clips for each in clip.utterances]
    assert labelled == ["Speaker 1", "Speaker 2", "Speaker 1", "Speaker 2"]
    assert all("speakers were identified by voice: 2" in clip.warnings for clip in clips)
    deaf = ClipReader(settings, detector=None)
    resumed = [each.speaker for clip in deaf.read(path, state=state) for each in clip.utterances]
    assert resumed == labelled


def test_given_speakers_are_kept_and_no_embedder_means_no_labels(tmp_path):
    path = two_voices(tmp_path)
    reader = ClipReader(SETTINGS, detector=None, voice_embedder=HalvesEmbedder())
    named = [Utterance(0.2, 1.8, "a", "Anna"), *SPANS[1:]]
    assert [each.speaker for each in next(reader.read(path, transcript=named)).utterances] == [
        "Anna",
        None,
        None,
        None,
    ]
    (clip,) = ClipReader(SETTINGS, detector=None).read(path, transcript=SPANS)
    assert {each.speaker for each in clip.utterances} == {None} and clip.warnings == ()


def test_low_confidence_speech_is_reported(talk):
    class Unsure:
        def transcribe(self, waveform, *, language=None, progress=None):
            return Transcription(low_confidence=[Utterance(0.5, 1.25, "thank you")])

    clip = read_one(talk, recognizer=Unsure())
    assert clip.utterances == (Utterance(0.0, clip.end_seconds),)
    assert clip.warnings[0] == "low-confidence speech left out at 0.5-1.2 s"
    assert "no speech found" in clip.warnings[1]
    assert clip.waveform is None and clip.missing_reasons["audio"] == "no speech"


def test_audio_without_speech_is_dropped(talk):
    class Deaf:
        def transcribe(self, waveform, *, language=None, progress=None):
            return Transcription()

    clip = read_one(talk, recognizer=Deaf())
    assert clip.waveform is None and clip.missing_reasons["audio"] == "no speech"
    assert read_one(talk, recognizer=Deaf(), transcript=[Utterance(0, 1)]).waveform is not None, (
        "the transcript says so"
    )
    assert read_one(talk).waveform is not None, "no recognizer was used"


def test_transcript_corrections_are_reported(talk):
    transcript = [{"start": 500, "end": 1500, "text": "<|SAD|>one"}, {"start": 2000, "end": None, "text": "two"}]
    clip = read_one(talk, transcript=iter(transcript))
    assert clip.utterances[0] == Utterance(0.5, 1.5, "one", foreign_tags=("SAD",))
    assert clip.utterances[1] == Utterance(2.0, clip.end_seconds, "two")
    assert [
        key for key in ("milliseconds", "has no end", "SAD") if any(key in warning for warning in clip.warnings)
    ] == [
        "milliseconds",
        "has no end",
        "SAD",
    ]


def test_transcript_frame_numbers_use_the_videos_frame_rate(talk):
    clip = read_one(talk, transcript="1\n00:00:01:05 --> 00:00:02:00\nhello\n")  # 25 frames a second
    assert clip.utterances[0].start_seconds == pytest.approx(1.2)
    assert "the video's own" in clip.warnings[0]


def test_long_clips_come_in_chunks_of_whole_utterances(tmp_path):
    path = write_video(tmp_path / "long.mp4", moving_squares(count=200), waveform=tone(seconds=8.0))
    transcript = [Utterance(0.5, 2.0, "a"), Utterance(2.5, 3.5, "b"), Utterance(6.0, 7.5, "c")]
    settings = ReadingSettings(max_chunk_seconds=4.0, num_frames=4, min_face_size=8)
    first, second = read(path, settings=settings, transcript=transcript)
    assert [[each.text for each in clip.utterances] for clip in (first, second)] == [["a", "b"], ["c"]]
    for clip in (first, second):
        assert clip.end_seconds - clip.start_seconds <= 4.0
        assert clip.media_end_seconds == pytest.approx(8.0, abs=0.1)
        assert np.all((clip.frame_times >= clip.start_seconds) & (clip.frame_times < clip.end_seconds))
        assert len(clip.waveform) == round((clip.end_seconds - clip.start_seconds) * 16_000)
        assert len(clip.tracks[0].times) and clip.tracks[0].times[-1] < clip.end_seconds


def test_progress_reaches_its_total(talk):
    calls = []
    read_one(talk, recognizer=FakeRecognizer(), progress=lambda *call: calls.append(call))
    assert {stage for stage, _, _ in calls} == {"speech", "frames", "faces"}
    assert all(0 <= done <= total for _, done, total in calls)
    last = {stage: (done, total) for stage, done, total in calls}
    assert all(done == total for done, total in last.values())
    calls.clear()
    list(ClipReader(SETTINGS, detector=None).read(talk, progress=lambda *call: calls.append(call)))
    assert {stage for stage, _, _ in calls} == {"frames"}


def test_a_video_without_audio(tmp_path):
    clip = read_one(write_video(tmp_path / "mute.mp4", moving_squares()), recognizer=FakeRecognizer())
    assert clip.waveform is None and clip.missing_reasons == {"audio": "the file has no audio stream"}
    assert clip.frames is not None and clip.face_crops is not None


def test_silent_audio_is_missing_not_zeros(tmp_path):
    recognizer = FakeRecognizer()
    path = write_video(tmp_path / "silent.mp4", moving_squares(), waveform=np.zeros(16_000, dtype=np.float32))
    clip = read_one(path, recognizer=recognizer)
    assert clip.waveform is None and clip.missing_reasons["audio"] == "the audio is silent"
    assert recognizer.heard == []
    assert any("no speech found" in warning for warning in clip.warnings)


def test_audio_only(tmp_path):
    clip = read_one(write_wav(tmp_path / "voice.wav", tone(seconds=2.0)), recognizer=FakeRecognizer())
    assert clip.frames is None and clip.face_crops is None and clip.utterance_track_ids == (None,)
    assert clip.missing_reasons == {"frames": "the file contains audio only", "faces": "the file contains audio only"}
    assert len(clip.waveform) == 32_000


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (48_000, 6)])
def test_telephone_and_surround_audio(tmp_path, rate, channels):
    sound = np.repeat(tone(seconds=1.0, sampling_rate=rate, amplitude=0.1)[:, None], channels, axis=1)
    path = write_wav(tmp_path / "sound.wav", sound, sampling_rate=rate)
    clip = read_one(path)
    assert clip.sampling_rate == 16_000 and len(clip.waveform) == 16_000


def test_a_video_without_faces(tmp_path):
    frames = np.full((25, 64, 64, 3), 90, dtype=np.uint8)
    clip = read_one(write_video(tmp_path / "empty.mp4", frames))
    assert clip.face_crops is None and clip.missing_reasons["faces"] == "no face found"
    assert clip.utterance_track_ids == (None,) and clip.tracks == ()


def test_a_face_that_leaves_and_returns(tmp_path):
    frames = moving_squares(count=75)
    frames[:] = frames[:1]
    frames[25:50, 24:48, :32] = 96  # one second without the square
    clip = read_one(write_video(tmp_path / "return.mp4", frames))
    assert len(clip.tracks) == 1
    away = (clip.face_times > 1.05) & (clip.face_times < 1.95)
    assert not away.any() and clip.face_times[0] < 0.1 and clip.face_times[-1] > 2.8


def test_a_video_of_one_frame(tmp_path):
    clip = read_one(write_video(tmp_path / "one.mp4", moving_squares(count=1)))
    assert len(clip.frames) == 1 and len(clip.face_crops) == 1


def test_rotated_odd_and_variable_videos(tmp_path):
    turned = rotate_display(write_video(tmp_path / "turned.mp4", moving_squares()), clockwise_degrees=90)
    assert read_one(turned).frames.shape[1:] == (64, 48, 3)
    odd = write_video(tmp_path / "odd.mp4", moving_squares(height=97, width=131))
    assert read_one(odd).frames.shape[1:] == (48, 65, 3)
    times = np.cumsum(np.where(np.arange(40) % 4 == 0, 0.09, 0.02))
    variable = read_one(write_video(tmp_path / "variable.mp4", moving_squares(count=40), times=times))
    assert np.isin(np.round(variable.face_times, 3), np.round(times, 3)).all()


def test_sparse_frames_give_a_warning(tmp_path):
    path = write_video(tmp_path / "slow.mp4", moving_squares(count=10), frame_rate=3.0)
    (warning,) = read_one(path).warnings
    assert "0.33 s lie between two frames" in warning and "micro-expressions" in warning


def test_a_truncated_video(tmp_path):
    path = write_video(tmp_path / "cut.mp4", moving_squares(count=75), moov_first=True)
    clip = read_one(cut_file(path, part=0.6))
    assert len(clip.frames) >= 4 and clip.end_seconds < 2.5
    assert any("damaged or cut" in warning for warning in clip.warnings)


def test_arrays_with_times():
    frames, times = moving_squares(count=50), np.arange(50) / 25
    clip = read_one(VideoArray(frames, times, waveform=tone(seconds=2.0), name="mine"))
    assert clip.source == "mine" and clip.missing_reasons == {}
    np.testing.assert_allclose([frame_number(frame) for frame in clip.frames], clip.frame_times * 25, atol=0.01)
    assert len(clip.waveform) == 32_000
    assert read_one(VideoArray(frames, times)).missing_reasons == {"audio": "the file has no audio stream"}


def test_given_boxes_replace_the_detector(talk):
    detector = RedSquareDetector()
    rows = [[0.0, 10, 10, 50, 50], [1.0, 10, 10, 50, 50]]
    clip = read_one(talk, detector=detector, face_boxes={5: rows})
    assert detector.frames_seen == 0
    assert clip.utterance_track_ids == (5,) and set(clip.face_track_ids) == {5}
    assert clip.face_times[-1] <= 1.0


def test_person_by_track_id(talk):
    clip = read_one(talk, person=0)
    assert clip.utterance_track_ids == (0,) and clip.warnings == ()
    clip = read_one(talk, person=3)
    assert clip.warnings == ("person 3 is not among the tracks 0 of 0.0-3.0 s",)
    assert clip.face_crops is None and clip.missing_reasons["faces"] == "the requested person is not visible"
    with pytest.raises(ValueError, match='person must be "speaker", "largest" or a track id'):
        read_one(talk, person="tallest")


def test_without_a_detector(talk):
    (clip,) = ClipReader(SETTINGS, detector=None).read(talk)
    assert clip.face_crops is None and clip.missing_reasons["faces"] == "face detection is disabled"


def two_talkers(*, speaking):
    """5 s at 15 fps: two copies of the portrait; the speaking one opens its mouth with the audio's syllables."""
    frames = []
    for index in range(75):
        frame = background(height=220, width=460)
        opening = 0.5 - 0.5 * np.cos(2 * np.pi * 3 * index / 15)
        for side, left in (("left", 10), ("right", 245)):
            place(portrait(mouth_open=opening if side == speaking else 0.0), on=frame, left=left, top=10)
        frames.append(frame)
    syllables = 0.5 - 0.5 * np.cos(2 * np.pi * 3 * np.arange(80_000) / 16_000)
    sound = (tone(seconds=5.0) * syllables).astype(np.float32)
    return VideoArray(np.stack(frames), np.arange(75) / 15, waveform=sound)


@pytest.mark.parametrize("speaking", ["left", "right"])
def test_the_speaker_of_two_people_is_attended(speaking):
    clip = read_one(two_talkers(speaking=speaking), detector="centerface")
    assert len(clip.tracks) == 2
    lefts = {track.track_id: track.boxes[0, 0] for track in clip.tracks}
    chosen = lefts[clip.utterance_track_ids[0]]
    assert chosen == (min if speaking == "left" else max)(lefts.values())
    assert set(clip.face_track_ids) == set(clip.utterance_track_ids)


def test_two_people_without_audio_give_a_warning():
    clip = read_one(VideoArray(two_talkers(speaking="left").frames, np.arange(75) / 15), detector="centerface")
    assert any("the largest face is attended" in warning for warning in clip.warnings)


def test_a_moving_face_is_stable_in_its_crops():
    """The head moves one pixel per frame but must not move in the crops."""
    clip = read_one(VideoArray(drifting_portrait(count=50), np.arange(50) / 25), detector="centerface")
    assert len(clip.tracks) == 1 and len(clip.face_crops) >= 28
    eyes_and_mouth = clip.face_crops[:, 30:95, 25:87].astype(int)
    assert np.abs(eyes_and_mouth - eyes_and_mouth.mean(axis=0)).mean() < 6


def test_cached_reading_equals_the_first_reading(talk, tmp_path):
    video = VideoArray(drifting_portrait(count=40), np.arange(40) / 25)
    cache = tmp_path / "cache"
    fresh = read_one(video, detector="centerface")
    first = read_one(video, detector="centerface", cache_dir=cache)
    assert len(list(cache.glob("*.npz"))) == 1
    second = read_one(video, detector="centerface", cache_dir=cache)
    for clip in (first, second):
        for name in ("frames", "frame_times", "face_crops", "face_times", "face_track_ids"):
            np.testing.assert_array_equal(getattr(clip, name), getattr(fresh, name))
        np.testing.assert_array_equal(clip.tracks[0].landmarks, fresh.tracks[0].landmarks)
    read_one(video, detector="centerface", cache_dir=cache, settings=ReadingSettings(face_fps=8))
    assert len(list(cache.glob("*.npz"))) == 2
    read_one(talk, cache_dir=cache)  # custom detectors have no identity, so nothing is cached
    assert len(list(cache.glob("*.npz"))) == 2


class TestRecognitionInBlocks:
    def test_speech_across_a_block_edge_is_recognised_once(self):
        spoken = [(0.5, 2.0), (4.0, 6.0), (7.0, 8.0)]  # the second crosses the edge at 5 s

        class Recognizer:
            def transcribe(self, waveform, *, language=None, progress=None):
                loud = np.flatnonzero(np.diff(np.concatenate([[0], waveform > 0.5, [0]])))
                return tuple(Utterance(start / 100, end / 100) for start, end in loud.reshape(-1, 2))

        sound = np.zeros(1000, dtype=np.float32)  # 10 s at 100 Hz
        for start, end in spoken:
            sound[round(start * 100) : round(end * 100)] = 1
        lengths = []

        def sound_between(start, end):
            lengths.append(end - start)
            return sound[round(start * 100) : round(end * 100)]

        transcription = recognize_in_blocks(
            sound_between, recognizer=Recognizer(), duration_seconds=10.0, block_seconds=5.0
        )
        np.testing.assert_allclose([(each.start_seconds, each.end_seconds) for each in transcription], spoken)
        assert max(lengths) <= 5.0

    def test_low_confidence_speech_is_reported_once_at_its_time(self):
        """The block ends at 5 s within speech from 4 s on, which the next block recognises again."""

        def transcribe(waveform, *, language=None):
            if len(waveform) == 500 and waveform[0] == 0:  # 0-5 s
                return Transcription([Utterance(4.0, 5.0)], low_confidence=[Utterance(1.0, 2.0), Utterance(4.5, 5.0)])
            return Transcription([Utterance(0.0, 0.4)], low_confidence=[Utterance(0.5, 1.0)])

        recognizer = FakeRecognizer()
        recognizer.transcribe = transcribe
        transcription = recognize_in_blocks(
            lambda start, end: np.linspace(start, end, round((end - start) * 100), dtype=np.float32),
            recognizer=recognizer,
            duration_seconds=8.0,
            block_seconds=5.0,
        )
        assert [(each.start_seconds, each.end_seconds) for each in transcription] == [(4.0, 4.4)]
        assert [(each.start_seconds, each.end_seconds) for each in transcription.low_confidence] == [
            (1.0, 2.0),
            (4.5, 5.0),
        ]

    def test_speech_without_pauses_terminates(self):
        recognizer = FakeRecognizer()
        recognizer.transcribe = lambda waveform, language: (Utterance(0.0, len(waveform) / 100),)
        transcription = recognize_in_blocks(
            lambda start, end: np.ones(round((end - start) * 100), dtype=np.float32),
            recognizer=recognizer,
            duration_seconds=12.0,
            block_seconds=5.0,
        )
        assert [(each.start_seconds, each.end_seconds) for each in transcription] == [(0, 5), (5, 10), (10, 12)]


def test_is_silent():
    assert is_silent(np.zeros(10)) and is_silent(np.zeros(0)) and not is_silent(tone(seconds=0.1))
