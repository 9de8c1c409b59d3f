"""No emotion is written twice in a generated answer, and nothing else is kept from being written."""

import torch

from microemo.inference.answer_labels import LabelsOnce
from tests.tiny_processor import tiny_tokenizer

PIECES = ["<question>", "Emotions", ":", ",", ".", "\n", "Reason", " happy", " sad", " dis", "gusted"]


class PieceTokenizer:
    """A tokenizer whose tokens are `PIECES`."""

    def decode(self, tokens):
        return "".join(PIECES[token] for token in tokens)


def ids(*pieces):
    return [PIECES.index(piece) for piece in pieces]


def banned_after(*answer, question=("<question>", " happy", ",")):
    """The pieces that may not follow an answer to a question that names a label itself."""
    rule = LabelsOnce(PieceTokenizer())
    rule(torch.tensor([ids(*question)]), torch.zeros(1, len(PIECES)))  # the first step tells where the answer begins
    scores = rule(torch.tensor([ids(*question, *answer)]), torch.zeros(1, len(PIECES)))
    return {PIECES[token] for token in torch.isinf(scores[0]).nonzero().flatten().tolist()}


def test_a_label_is_named_once():
    assert banned_after("Emotions", ":") == set()
    assert banned_after("Emotions", ":", " happy", ",") == {" happy"}
    assert banned_after("Emotions", ":", " happy", ",", " dis", "gusted", ",") == {" happy", " dis"}


def test_labels_go_on_and_end_as_they_like():
    assert banned_after("Emotions", ":", " happy") == set()
    assert banned_after("Emotions", ":", " happy", ",", " dis") == set()


def test_reasons_are_left_alone():
    assert banned_after("Emotions", ":", " happy", ".", "\n", "Reason", ":", " happy", ",") == set()
    assert banned_after(" happy", ",") == set()


def test_rows_are_judged_one_by_one():
    rule = LabelsOnce(PieceTokenizer())
    rule(torch.tensor([ids("<question>")] * 2), torch.zeros(2, len(PIECES)))
    answers = [
        ids("<question>", "Emotions", ":", " happy", ","),
        ids("<question>", "Emotions", ":", " sad", ","),
    ]
    scores = torch.zeros(2, len(PIECES))
    assert torch.isinf(rule(torch.tensor(answers), scores)).nonzero().tolist() == [
        [0, PIECES.index(" happy")],
        [1, PIECES.index(" sad")],
    ]
    assert not torch.isinf(scores).any()  # what was given stays as it was


def test_a_space_that_is_a_token_is_no_beginning():
    tokenizer = tiny_tokenizer()
    rule = LabelsOnce(tokenizer)
    question, answer = (tokenizer(text)["input_ids"] for text in ("Which?", "Emotions: calm,"))
    rule(torch.tensor([question]), torch.zeros(1, len(tokenizer)))
    assert not torch.isinf(rule(torch.tensor([question + answer]), torch.zeros(1, len(tokenizer)))).any()
