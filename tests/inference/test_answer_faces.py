"""Answers about clips without a face say so and describe none; those about a face do not deny it."""

import pytest
import torch

from microemo.evaluation.explanation_checks import describes_face
from microemo.inference.answer_faces import _FACE_WORD, FacesSeen

WORDS = ["Why", " the", " face", "?", "Emotions", ":", " calm", ".", "\n", "Reason", " No", " is", " seen", " The"]
WORDS += [" voice", ' "', '"', " brows", " lips", " expression", " express", " joy", " facet"]


class WordTokenizer:
    """A tokenizer whose tokens are `WORDS`."""

    def __len__(self):
        return len(WORDS)

    def __hash__(self):
        return id(self)

    def decode(self, tokens):
        return "".join(WORDS[token] for token in tokens)

    def encode(self, text, add_special_tokens):
        """A text of whole words, each with the space before it."""
        return [WORDS.index(f" {word}") for word in text.split()]


def allowed_after(*answer, seen=False):
    rule = FacesSeen(WordTokenizer(), seen=[seen])
    asked = [WORDS.index(word) for word in ("Why", " the", " face", "?")]
    rule(torch.tensor([asked]), torch.zeros(1, len(WORDS)))
    scores = rule(torch.tensor([asked + [WORDS.index(word) for word in answer]]), torch.zeros(1, len(WORDS)))
    return {WORDS[token] for token in torch.isfinite(scores[0]).nonzero().flatten().tolist()}


FACE_WORDS = {" face", " brows", " lips", " expression", " facet"}
BEGUN = ("Emotions", ":", " calm", ".", "\n", "Reason", ":")


def test_the_reason_begins_with_no_face():
    assert allowed_after(*BEGUN) == {" No"}
    assert allowed_after(*BEGUN, " No") == {" face"}


def test_no_part_of_a_face_is_named_afterwards():
    for answer in (("Emotions",), (*BEGUN, " No", " face"), (*BEGUN, " No", " face", " is", " seen", ".", " The")):
        assert allowed_after(*answer) == set(WORDS) - FACE_WORDS


def test_what_was_said_may_speak_of_faces():
    assert allowed_after(*BEGUN, " No", " face", " is", " seen", ".", ' "') == set(WORDS)


def test_a_face_that_is_seen_is_not_denied():
    assert allowed_after(*BEGUN, seen=True) == set(WORDS)
    assert allowed_after(*BEGUN, " No", seen=True) == set(WORDS) - {" face", " facet"}
    assert allowed_after(*BEGUN, " No", " expression", " is", seen=True) == set(WORDS)
    assert allowed_after("Emotions", ":", " No", seen=True) == set(WORDS)


SPOKEN_OF = (
    "face facial expression expressions micro-expression brow eyebrows eyes eyelid lids cheeks nose mouth lips chin "
    "jaw smile smiling frowns grinning"
)


@pytest.mark.parametrize("word", SPOKEN_OF.split())
def test_every_word_that_the_check_looks_for_is_left_unsaid(word):
    assert describes_face(f"The {word} moves.")
    assert _FACE_WORD.match(f" {word}")
