"""Answers say nothing of a voice or of words that are not there, and of those that are once."""

import pytest
import torch

from microemo.inference.answer_streams import StreamsTold
from microemo.synthesis.explanation import (
    AGREES,
    EVEN_VOICE_FORMS,
    MACRO_FORMS,
    MICRO_FORMS,
    PLAIN_WORDS_FORMS,
    STILL_FACE_FORMS,
    VOICE_FORMS,
    WORDS_FORMS,
)

END = "<end>"
BEGUN = "Emotions: calm.\nReason:"
FACE = [*MACRO_FORMS, *MICRO_FORMS, *STILL_FACE_FORMS, "No face is seen.", AGREES[0]]
VOICE = [*VOICE_FORMS, *EVEN_VOICE_FORMS, "The voice sounds of {noun}."]
WORDS = [*WORDS_FORMS, *PLAIN_WORDS_FORMS]
FILLED = {
    "movements": "the brows lift", "Movements": "The brows lift", "noun": "joy", "sound": "loud and fast",
    "onset": "0.5", "apex": "0.7", "offset": "0.9", "quote": "I am here",
}  # fmt: skip


class PieceTokenizer:
    """A tokenizer of words with the space before them, and of marks."""

    def __init__(self, pieces):
        self.pieces = sorted({*pieces, END})
        self.eos_token_id = self.pieces.index(END)

    def __len__(self):
        return len(self.pieces)

    def __hash__(self):
        return id(self)

    def decode(self, tokens):
        return "".join(self.pieces[token] for token in tokens)


def pieces_of(text):
    words = [f" {word}" for word in text.split(" ")]
    return [piece for word in words for piece in ([word[:-1], word[-1]] if word[-1] in '.,"' else [word])]


def refused(sentence, *, missing, before=BEGUN):
    """The pieces of a sentence that could not be written behind the answer so far."""
    pieces = pieces_of(sentence.format(**FILLED))
    tokenizer = PieceTokenizer([before, *pieces])
    rule = StreamsTold(tokenizer, missing=[missing], of_clip=[False])
    number = {piece: index for index, piece in enumerate(tokenizer.pieces)}
    rule(torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, len(tokenizer)))
    found, tokens = [], [number[before]]
    for piece in pieces:
        scores = rule(torch.tensor([tokens]), torch.zeros(1, len(tokenizer)))
        if not torch.isfinite(scores[0, number[piece]]):
            found.append(piece.strip())
        tokens.append(number[piece])
    return found


@pytest.mark.parametrize("missing", [{"voice"}, {"words"}, {"voice", "words"}])
@pytest.mark.parametrize("sentence", FACE)
def test_what_is_seen_can_be_told(sentence, missing):
    assert refused(sentence, missing=missing) == []


@pytest.mark.parametrize("sentence", VOICE)
def test_without_sound_no_voice_is_told(sentence):
    assert refused(sentence, missing={"voice"})
    assert refused(sentence, missing={"words"}) == []


@pytest.mark.parametrize("sentence", WORDS)
def test_without_words_none_are_told(sentence):
    assert refused(sentence, missing={"words"})
    assert refused(sentence, missing={"voice"}) == []


@pytest.mark.parametrize("sentence", [*VOICE, *WORDS])
def test_a_sentence_that_could_not_be_ended_is_not_begun(sentence):
    """Between its beginning and the refused word stands at most the article."""
    missing = {"voice"} if sentence in VOICE else {"words"}
    first = refused(sentence, missing=missing)[0]
    before = sentence.format(**FILLED).split(first)[0].split()
    assert before in ([], ["The"])


def test_words_in_single_marks_are_refused():
    assert refused("The look of 'hello there' shows joy.", missing={"words"}) == ["'hello", "there'"]


def test_agreement_with_what_is_missing_is_refused_at_its_beginning():
    for missing in ({"voice"}, {"words"}):
        assert refused(AGREES[1].strip(), missing=missing)[0] == "fits"


def test_what_was_said_may_speak_of_voices():
    assert refused('the voice said" is', missing={"voice", "words"}, before=f'{BEGUN} The words "') == []


def test_labels_are_left_alone():
    assert refused("the voice said", missing={"voice", "words"}, before="Emotions:") == []


def test_rows_are_judged_one_by_one():
    tokenizer = PieceTokenizer([BEGUN, " voice", " words"])
    rule = StreamsTold(tokenizer, missing=[{"voice"}, {"words"}, ()], of_clip=[False] * 3)
    rule(torch.zeros(3, 0, dtype=torch.long), torch.zeros(3, 3))
    begun = torch.full((3, 1), tokenizer.pieces.index(BEGUN))
    scores = rule(begun, torch.zeros(3, 3))
    banned = [tokenizer.decode(row.isinf().nonzero().flatten().tolist()) for row in scores]
    assert banned == [" voice", " words", ""]


def allowed_after(*answer, missing=(), of_clip=False):
    """What may follow an answer, of a few pieces."""
    tokenizer = PieceTokenizer([*answer, " From", " The", " voice", " words", ' "'])
    rule = StreamsTold(tokenizer, missing=[missing], of_clip=[of_clip])
    rule(torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, len(tokenizer)))
    tokens = torch.tensor([[tokenizer.pieces.index(piece) for piece in answer]])
    scores = rule(tokens, torch.zeros(1, len(tokenizer)))
    return {tokenizer.pieces[index] for index in torch.isfinite(scores[0]).nonzero().flatten().tolist()} - {*answer}


FREE = {" From", " The", " voice", " words", ' "', END}
VOICE_TOLD, WORDS_TOLD = " The voice is even.", ' The words "I see. So" are factual.'


def test_each_stream_is_told_once():
    assert allowed_after(BEGUN, VOICE_TOLD) == FREE - {" voice"}
    assert allowed_after(BEGUN, WORDS_TOLD) == FREE - {" words"}
    assert allowed_after(BEGUN, " The voice is even and") == FREE  # the sentence goes on
    assert allowed_after(BEGUN, ' The words "I see. The voice. So" are') == FREE


def test_when_all_is_told_the_answer_ends():
    assert allowed_after(BEGUN, VOICE_TOLD, WORDS_TOLD) == {END}
    assert allowed_after(BEGUN, VOICE_TOLD, missing={"words"}) == {END}
    assert allowed_after(BEGUN, " The face stays at rest.", missing={"voice", "words"}) == {END}
    assert allowed_after(BEGUN, missing={"voice", "words"}) == FREE - {" voice", " words"}  # nothing is told yet
    assert allowed_after(BEGUN, " The face until 2.", missing={"voice", "words"}) == FREE - {" voice", " words"}


def test_of_a_clip_the_next_utterance_may_follow():
    assert allowed_after(BEGUN, VOICE_TOLD, WORDS_TOLD, of_clip=True) == {END, " From"}
    span = " From 4.0 to 5.0 s:"
    assert allowed_after(BEGUN, VOICE_TOLD, WORDS_TOLD, span, of_clip=True) == FREE
    assert allowed_after(BEGUN, VOICE_TOLD, WORDS_TOLD, span, VOICE_TOLD, of_clip=True) == FREE - {" voice"}
