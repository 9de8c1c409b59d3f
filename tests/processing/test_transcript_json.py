"""The JSON of every usual recogniser, and its Python objects, become the same utterances."""

import json
from collections import namedtuple
from dataclasses import dataclass

import pytest

from microemo.processing.clip import Utterance
from microemo.processing.transcript_formats import parse_transcript, reusable_source

EXPECTED = (Utterance(0.5, 2.0, "Look at that!"), Utterance(3.0, 4.0, "Where is it?"))
WORDS = [
    ("Look", 0.5, 0.9),
    ("at", 0.9, 1.1),
    ("that!", 1.2, 2.0),
    ("Where", 3.0, 3.3),
    ("is", 3.4, 3.6),
    ("it?", 3.6, 4.0),
]


def words(key="word", *, scale=1, strip=""):
    return [{key: word.strip(strip), "start": start * scale, "end": end * scale} for word, start, end in WORDS]


SEGMENTS = [(0.5, 2.0, " Look at that!"), (3.0, 4.0, " Where is it?")]
SOURCES = {
    "whisper.cpp": {
        "systeminfo": "AVX = 1",
        "transcription": [
            {
                "timestamps": {"from": f"00:00:0{int(start)},{start % 1 * 1000:03.0f}", "to": "..."},
                "offsets": {"from": int(start * 1000), "to": int(end * 1000)},
                "text": text,
            }
            for start, end, text in SEGMENTS
        ],
    },
    "transformers": {
        "text": "...",
        "chunks": [{"timestamp": (start, end), "text": text} for start, end, text in SEGMENTS],
    },
    "transformers.js": [{"timestamp": [start, end], "text": text} for start, end, text in SEGMENTS],
    "transformers, words": {
        "text": "...",
        "chunks": [{"timestamp": [s, e], "text": f" {word}"} for word, s, e in WORDS],
    },
    "deepgram": {
        "metadata": {},
        "results": {
            "channels": [{"alternatives": [{"transcript": "...", "words": words()}]}],
            "utterances": [{"start": start, "end": end, "transcript": text} for start, end, text in SEGMENTS],
        },
    },
    "deepgram, no utterances": {
        "results": {
            "channels": [
                {
                    "alternatives": [
                        {"words": [{**word, "punctuated_word": word["word"], "word": "x"} for word in words()]}
                    ]
                }
            ]
        }
    },
    "openai, words alone": {
        "task": "transcribe",
        "text": "Look at that! Where is it?",
        "words": words(strip="!?"),
    },
    "assemblyai": {
        "text": "...",
        "utterances": None,
        "words": [
            {**word, "start": int(word["start"]), "end": int(word["end"])} for word in words("text", scale=1000)
        ],
    },
    "aws": {
        "results": {
            "audio_segments": [
                {"start_time": str(start), "end_time": str(end), "transcript": text} for start, end, text in SEGMENTS
            ]
        }
    },
    "youtube-transcript-api": [
        {"start": start, "duration": end - start, "text": text} for start, end, text in SEGMENTS
    ],
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("as_text", [False, True], ids=["values", "text"])
def test_every_recogniser_gives_the_same_utterances(name, as_text):
    assert parse_transcript(json.dumps(SOURCES[name]) if as_text else SOURCES[name]) == EXPECTED


Segment = namedtuple("Segment", "id seek start end text tokens words")  # of old faster-whisper; also a sequence


@dataclass
class NewSegment:
    start: float
    end: float
    text: str
    words: list | None = None


@pytest.mark.parametrize("segment", [lambda *each: Segment(0, 0, *each, [], None), NewSegment])
def test_segments_of_faster_whisper(segment):
    def generated():
        return (segment(*each) for each in SEGMENTS)

    info = namedtuple("Info", "language language_probability")("en", 0.9)
    assert parse_transcript(generated()) == EXPECTED
    assert parse_transcript(list(generated())) == EXPECTED
    assert parse_transcript((generated(), info)) == EXPECTED
    kept = reusable_source(generated())
    assert parse_transcript(kept) == parse_transcript(kept) == EXPECTED


def test_objects_of_a_client_library():
    class Response:
        def model_dump(self):
            return SOURCES["openai, words alone"]

    assert parse_transcript(Response()) == EXPECTED


def test_a_last_chunk_without_an_end_ends_with_the_video():
    chunks = {"chunks": [{"timestamp": [0.0, 2.0], "text": "one"}, {"timestamp": [2.0, None], "text": "two"}]}
    transcript = parse_transcript(chunks, duration_seconds=4.0)
    assert transcript == (Utterance(0, 2, "one"), Utterance(2, 4, "two"))
    assert "entry 2 'two': it has no end" in transcript.warnings[0]


def test_short_answers_are_not_taken_for_words():
    chunks = {"chunks": [{"timestamp": [0.0, 0.5], "text": "Yes."}, {"timestamp": [0.5, 0.9], "text": "No."}]}
    assert [utterance.text for utterance in parse_transcript(chunks)] == ["Yes.", "No."]


def test_words_are_parted_by_speakers_and_pauses():
    spoken = [("so", 0.0, 0.4, 0), ("it", 0.5, 0.7, 0), ("no", 0.8, 1.0, 1), ("well", 3.0, 3.4, 1)]
    given = {"words": [{"word": word, "start": s, "end": e, "speaker": who} for word, s, e, who in spoken]}
    assert parse_transcript(given) == (
        Utterance(0.0, 0.7, "so it", "0"),
        Utterance(0.8, 1.0, "no", "1"),
        Utterance(3.0, 3.4, "well", "1"),
    )


def test_scripts_without_spaces_get_none():
    given = {
        "words": [{"word": sign, "start": place / 5, "end": place / 5 + 0.2} for place, sign in enumerate("你好吗")]
    }
    assert parse_transcript(given)[0].text == "你好吗"


def test_a_segments_own_list_of_words_is_not_its_text():
    segment = {"words": [{"word": "x"}], "start": 0.0, "end": 1.0, "text": "hello"}
    assert parse_transcript([segment])[0].text == "hello"
