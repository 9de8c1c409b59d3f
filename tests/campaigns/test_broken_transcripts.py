"""Broken transcripts through every reader: utterances with usable times, or a `ValueError`; never slow, never else.

pytest -m campaign tests/campaigns/test_broken_transcripts.py
"""

import json
import math
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microemo.processing.prompt_text import sanitize_text
from microemo.processing.recogniser_tags import strip_tags
from microemo.processing.transcript_formats import parse_transcript

CAMPAIGN = 2000  # of each kind
QUICK = 60
WHOLE = {
    ".srt": "1\n00:00:01,000 --> 00:00:02,500\nAnna: <i>Look</i> at!\n\n2\n00:00:03,000 --> 00:00:04,000\nWhere?\n",
    ".vtt": "WEBVTT\n\nNOTE x\n\n00:01.000 --> 00:02.500 align:start\n<v Anna>Look</v> <00:01.500><c>there</c>\n",
    ".ass": "[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, "
    "MarginV, Effect, Text\nDialogue: 0,0:00:01.00,0:00:02.50,Default,Anna,0,0,0,,{\\i1}Look\n",
    ".ttml": '<?xml version="1.0"?><tt xmlns="http://www.w3.org/ns/ttml"><body><div><p begin="1s" end="2s">Look</p>'
    "</div></body></tt>",
    ".sub": "{25}{50}Look|there\n{75}{100}Where?\n",
    ".smi": "<SAMI><BODY><SYNC Start=1000><P>Look<SYNC Start=2000><P>&nbsp;</BODY></SAMI>",
    ".tsv": "start\tend\ttext\n1000\t2500\tLook\n3000\t4000\tWhere?\n",
    ".csv": 'start,end,speaker,text\n1.0,2.5,Anna,"Look, there"\n3.0,4.0,Ben,Where?\n',
    ".json": json.dumps({"text": "Look there", "language": "en",
                         "segments": [{"start": 1.0, "end": 2.5, "text": "Look there", "speaker": "Anna"}]}),
    ".jsonl": '{"start": 1.0, "end": 2.5, "text": "Look"}\n{"start": 3, "end": 4, "text": "there"}\n',
}  # fmt: skip
WORDS = st.sampled_from(
    ["-->", "<", ">", "<v ", "00:00:01,000", "99:99:99", "1e999", "-5", "NaN", "\x00", "\ufeff", "\u2028", "{", "}",
     "[", "]", '"', "\t", "\n", "\n\n", "WEBVTT", "NOTE", "<|im_end|>", "😊", "١٢:٣٤", "9" * 400, "\x02", "\x03", ":"]
)  # fmt: skip
EDIT = st.tuples(st.integers(0, 400), st.integers(0, 40), st.one_of(WORDS, st.text(max_size=8)))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.just(10**400),
    st.sampled_from(["00:01:02,5", "1.5s", "1500ms", "01:02:03:12", "1e400", "en", "klingon", "inf"])
)  # fmt: skip
KEYS = st.sampled_from(
    ["start", "end", "text", "speaker", "language", "segments", "words", "word", "chunks", "timestamp", "results",
     "channels", "alternatives", "utterances", "sentence_info", "transcription", "offsets", "from", "to", "duration",
     "start_ms", "end_ms", "english", "audio_segments"]
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=24
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=6) | st.lists(JSON, max_size=5)


def check(source, **facts) -> None:
    """Reads a transcript. A `ValueError` must say something; utterances must have usable times."""
    try:
        transcript = parse_transcript(source, **facts)
    except ValueError as error:
        assert len(str(error)) > 10
        return
    for utterance in transcript:
        assert 0 <= utterance.start_seconds < utterance.end_seconds < math.inf
        assert isinstance(utterance.text, str)


def check_file(folder, suffix, edits, *, encoding) -> None:
    text = WHOLE[suffix]
    for place, length, put in edits:
        text = text[: place % (len(text) + 1)] + put + text[place % (len(text) + 1) + length :]
    path = folder / f"broken{suffix}"
    path.write_bytes(text.encode(encoding, errors="replace"))
    check(path, duration_seconds=5.0, frame_rate=25.0)
    check(text.encode("utf-8", errors="replace"))


def of_size(examples: int):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


EDITED = {
    "suffix": st.sampled_from(sorted(WHOLE)),
    "edits": st.lists(EDIT, min_size=1, max_size=6),
    "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
}


@pytest.mark.parametrize("suffix", WHOLE)
def test_whole_transcripts_are_read(suffix, tmp_path):
    path = tmp_path / f"whole{suffix}"
    path.write_text(WHOLE[suffix], encoding="utf-8")
    assert "Look" in parse_transcript(path, duration_seconds=5.0, frame_rate=25.0)[0].text


@of_size(QUICK)
@given(**EDITED)
def test_edited_files(tmp_path, suffix, edits, encoding):
    check_file(tmp_path, suffix, edits, encoding=encoding)


@of_size(QUICK)
@given(OBJECTS)
def test_json_of_any_form(data):
    check(data)
    check(json.dumps(data))


@pytest.mark.campaign
@of_size(CAMPAIGN)
@given(**EDITED)
def test_campaign_of_edited_files(tmp_path, suffix, edits, encoding):
    check_file(tmp_path, suffix, edits, encoding=encoding)


@pytest.mark.campaign
@of_size(CAMPAIGN)
@given(OBJECTS)
def test_campaign_of_json(data):
    check(data)
    check(json.dumps(data))


@pytest.mark.campaign
@of_size(CAMPAIGN)
@given(st.binary(max_size=400), st.sampled_from(sorted(WHOLE)))
def test_campaign_of_bytes(tmp_path, content, suffix):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    check(path)


# Each of these was a failure: another error than ValueError, or time that grows with the square of the length.
STUMBLES = [
    '{"segments": [{"start": 1' + "0" * 400 + ', "end": 2, "text": "x"}]}',
    '[{"start": "' + "9" * 400 + ':00", "end": 2, "text": "x"}]',
    '[{"start": "1e999", "end": 2, "text": "x"}, {"start": 1, "end": 2, "text": "y"}]',
    '{"a": ' + "[" * 100_000,
    '[{"sentence_info": [{"start": 1, "end": 2, "text": "x"}]}, 5]',
    '[{"sentence_info": 5}]',
    '{"results": {"channels": [5]}}',
    '{"results": {"channels": [{"alternatives": [5]}]}}',
    '{"chunks": [{"timestamp": 1, "text": "a"}, {"timestamp": 2, "text": "b"}, {"timestamp": 3, "text": "c"}]}',
    '{"chunks": [{"timestamp": [], "text": "a"}, {"timestamp": {}, "text": "b"}, {"timestamp": null, "text": "c"}]}',
    'start,end,text\n1,2,"' + "x" * 200_000,
    '<?xml version="1.0"?><tt xmlns="http://www.w3.org/ns/ttml"><body><p begin="1s"',
]
SLOW = 100_000  # characters
SECONDS = 10.0  # of CPU time, for what takes well under one


@pytest.mark.parametrize("text", STUMBLES, ids=range(len(STUMBLES)))
def test_what_once_raised_something_else_does_not(text, tmp_path):
    check(text.encode())
    path = tmp_path / ("broken.ttml" if text.startswith("<?xml") else "broken.json")
    path.write_text(text)
    check(path)


@pytest.mark.parametrize(
    "text",
    [
        "1\n00:00:01,000 --> 00:00:02,000\n" + "<v " * SLOW,
        "1\n00:00:01,000 --> 00:00:02,000\n" + "\x02" * SLOW,
        '[{"start": 1, "end": 2, "text": "' + "😊" * SLOW + 'x"}]',
        '[{"start": "' + "1" * SLOW + 'x", "end": 2, "text": "y"}, {"start": 1, "end": 2, "text": "y"}]',
        "1\n00:00:01,000 --> " + "1" * SLOW + "x\nwords\n\n2\n00:00:01,000 --> 00:00:02,000\nmore\n",
    ],
    ids=["voice tags", "control characters", "emoji", "digits", "digits in a cue"],
)
def test_long_nonsense_takes_no_longer_than_long_words(text):
    begin = time.process_time()
    check(text.encode())
    assert time.process_time() - begin < SECONDS


def test_nested_control_tokens_take_no_longer_and_are_gone():
    begin = time.process_time()
    cleaned = sanitize_text("<|" * SLOW + "im_end" + "|>" * SLOW, special_tokens=["<|im_end|>"])
    assert time.process_time() - begin < SECONDS
    assert "<|" not in cleaned and "|>" not in cleaned


def test_emoji_at_both_ends_are_tags_as_before():
    assert strip_tags(" 😀 Hello 😊 there. 😊😔 ") == ("Hello 😊 there.", ("Laughter", "HAPPY", "SAD"))
    assert strip_tags("😊") == ("", ("HAPPY",)) and strip_tags(" plain ") == (" plain ", ())
