"""Every transcript format becomes the same utterances; broken ones say what is wrong."""

import json

import pytest

from microemo.processing.clip import Utterance
from microemo.processing.transcript_formats import parse_transcript, split_speaker

EXPECTED = (Utterance(0.5, 2.0, "Look at that!", "Anna"), Utterance(2.5, 4.0, "Where is it?", "Bob"))

SRT = (
    "1\n00:00:00,500 --> 00:00:02,000\nAnna: Look at\nthat!\n\n"
    "2\n00:00:02,500 --> 00:00:04,000\n<i>Bob: </i>Where is it?\n"
)
VTT = (
    "WEBVTT\n\nNOTE nobody reads this\n\n1\n00:00.500 --> 00:02.000 align:start\n<v Anna>Look <i>at</i> that!</v>\n\n"
    "00:02.500 --> 00:04.000\n<v.loud Bob>Where is <00:03.000>it?\n"
)
SEGMENTS = [
    {
        "id": 0,
        "start": 0.5,
        "end": 2.0,
        "text": " Look at that!",
        "speaker": "Anna",
        "tokens": [1],
        "no_speech_prob": 0.1,
    },
    {"id": 1, "start": 2.5, "end": 4.0, "text": " Where is it?", "speaker": "Bob", "words": [{"word": "Where"}]},
]
FUNASR = [
    {
        "key": "clip",
        "text": "Look at that! Where is it?",
        "sentence_info": [
            {"text": "Look at that!", "start": 500, "end": 2000, "spk": "Anna", "timestamp": [[500, 900]]},
            {"sentence": "Where is it?", "start": 2500, "end": 4000, "spk": "Bob"},
        ],
    }
]
SOURCES = {
    "srt": SRT,
    "srt with BOM": "\ufeff" + SRT,
    "whisperX srt": SRT.replace("Anna:", "[Anna]:").replace("Bob:", "[Bob]:"),
    "vtt": VTT,
    "whisper json": json.dumps({"text": "...", "segments": SEGMENTS}),
    "whisperX json": json.dumps({"segments": SEGMENTS, "word_segments": []}),
    "funasr": json.dumps(FUNASR),
    "funasr object": json.dumps(FUNASR[0]),
    "json lines": "\n".join(json.dumps(segment) for segment in SEGMENTS),
    "report json": json.dumps({"utterances": SEGMENTS}),
    "tsv ms": "start\tend\tspeaker\ttext\n500\t2000\tAnna\tLook at that!\n2500\t4000\tBob\tWhere is it?\n",
    "tsv seconds, no header": "0.5\t2.0\tAnna\tLook at that!\n2.5\t4.0\tBob\tWhere is it?\n",
    "csv": 'Text,Speaker,Start,End\n"Look at that!",Anna,0.5,2\nWhere is it?,Bob,2.5,4\n',
    "csv clock": "start;end;speaker;text\n00:00:00,500;00:00:02,000;Anna;Look at that!\n0:02.5;0:04;Bob;Where is it?",
    "start_ms": "start_ms,end_ms,name,sentence\n500,2000,Anna,Look at that!\n2500,4000,Bob,Where is it?",
    "dicts": [{"start": 0.5, "end": 2, "text": "Look at that!", "speaker": "Anna"}, SEGMENTS[1]],
    "utterances": list(EXPECTED),
    "tuple of utterances": EXPECTED,
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_format_gives_the_same_utterances(name):
    assert parse_transcript(SOURCES[name]) == EXPECTED


@pytest.mark.parametrize(
    "source",
    [
        {"segments": [{"start": 0, "end": 1, "text": "Hola"}], "language": "es"},
        {"words": [{"start": 0, "end": 1, "word": "Hola"}], "language_code": "es"},
        [{"start": 0, "end": 1, "text": "Hola", "language": "Spanish"}],
        "start,end,lang,text\n0,1,es,Hola\n",
    ],
)
def test_the_language_of_a_transcript_is_read(source):
    assert parse_transcript(source) == (Utterance(0, 1, "Hola", language="es"),)


def test_english_beside_the_words_is_read():
    (found,) = parse_transcript([{"start": 0, "end": 1, "text": "Hola", "language": "es", "english": "Hello"}])
    assert found.english == "Hello"


def test_an_unknown_language_names_its_entry():
    with pytest.raises(ValueError, match="entry 1: language must be .*got 'klingon'"):
        parse_transcript([{"start": 0, "end": 1, "text": "nuqneH", "language": "klingon"}])


def test_an_unknown_language_of_one_entry_does_not_cost_the_others():
    given = [
        {"start": 0, "end": 1, "text": "Hola", "language": "es"},
        {"start": 1, "end": 2, "text": "nuqneH", "language": "klingon"},
    ]
    found = parse_transcript(given)
    assert found == (Utterance(0, 1, "Hola", language="es"), Utterance(1, 2, "nuqneH"))
    assert len(found.warnings) == 1 and "got 'klingon'; its language was left open" in found.warnings[0]


@pytest.mark.parametrize(
    ("suffix", "name"), [(".srt", "srt"), (".vtt", "vtt"), (".json", "funasr"), (".tsv", "tsv ms")]
)
def test_files_are_read_by_path_and_by_bytes(tmp_path, suffix, name):
    path = tmp_path / f"talk{suffix}"
    path.write_text(SOURCES[name], encoding="utf-8")
    assert parse_transcript(path) == parse_transcript(str(path)) == parse_transcript(path.read_bytes()) == EXPECTED


def test_utf16_file_is_read(tmp_path):
    path = tmp_path / "talk.srt"
    path.write_text(SRT, encoding="utf-16")
    assert parse_transcript(path) == EXPECTED


def test_whisper_tsv_without_speaker_keeps_commas_and_milliseconds():
    text = "start\tend\ttext\n0\t1200\tWell, yes, of course\n1200\t2400\tNo\n"
    assert parse_transcript(text) == (Utterance(0.0, 1.2, "Well, yes, of course"), Utterance(1.2, 2.4, "No"))


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["srt", "vtt", "tsv ms", "json lines"])
def test_text_with_any_line_ends_is_text(name, line_end):
    assert parse_transcript(SOURCES[name].replace("\n", line_end)) == EXPECTED


def test_integer_seconds_are_not_milliseconds():
    assert parse_transcript("start,end,text\n0,2,Hello, you\n3,7,Bye")[0] == Utterance(0.0, 2.0, "Hello, you")


def test_cue_without_length_becomes_a_short_one():
    (utterance,) = parse_transcript([{"start": 1.0, "end": 1.0, "text": "oh"}])
    assert (utterance.start_seconds, utterance.end_seconds) == (1.0, pytest.approx(1.02))


@pytest.mark.parametrize("source", ['{"segments": []}', "WEBVTT\n\n", "start\tend\ttext\n", []])
def test_a_transcript_in_which_nobody_speaks_has_no_utterances(source):
    assert parse_transcript(source) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Anna: Look!", ("Anna", "Look!")),
        ("DR. MILLER: Sit down", ("DR. MILLER", "Sit down")),
        ("[SPEAKER_00]: hi", ("SPEAKER_00", "hi")),
        ("张三: 你好", ("张三", "你好")),
        ("I said: no", (None, "I said: no")),
        ("It is 10:30 now", (None, "It is 10:30 now")),
        ("see: this", (None, "see: this")),
        ("plain words", (None, "plain words")),
    ],
)
def test_speaker_prefix(text, expected):
    assert split_speaker(text) == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "no file"),
        ("missing.srt", "'missing.srt' is no file"),
        (b"", "empty"),
        (b"\xff\xd8\xff\xe0 picture", "not UTF-8"),
        ("just\nsome words", "no transcript of a known format"),
        ('{"text": "words"}', "JSON without utterances"),
        ('{"segments": [', "broken JSON"),
        ("1\n00:00:01,000 --> soon\nwords", "1 cues with -->, of which none has readable times"),
        ([{"text": "words"}], "entry 1: start and end must be times, got None"),
        ([{"start": 2, "end": 1, "text": "x"}], "entry 1: end_seconds"),
        ([{"start": float("nan"), "end": 1, "text": "x"}], "entry 1: .*finite"),
        ([{"start": -1, "end": 1, "text": "x"}], "entry 1: start_seconds"),
        ("start\tend\ttext\nsoon\tlater\tx", "entry 1: start and end must be times, got 'soon'"),
        (["words"], "JSON without utterances"),
        (3.0, "transcript is a float"),
    ],
)
def test_broken_transcripts_say_what_is_wrong(source, message):
    with pytest.raises(ValueError, match=message):
        parse_transcript(source)
