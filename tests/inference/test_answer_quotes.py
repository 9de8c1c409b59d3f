"""What stands between quotation marks of a generated answer was said."""

import pytest
import torch

from microemo.inference.answer_quotes import QuotesSaid, Said
from tests.tiny_processor import tiny_tokenizer

SAID = ("I am not nervous. We have trained for this.", "Sit down!")


def spoken(*texts):
    """Utterances of two seconds, one after the other."""
    return [Said(text, 2.0 * place, 2.0 * place + 2.0) for place, text in enumerate(texts)]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()  # a token for each byte


def allowed_after(tokenizer, answer, *, said=SAID, prompt='Why "now"?'):
    """The characters that may follow an answer; None for all but the quotation mark."""
    rule = QuotesSaid(tokenizer, said=[spoken(*said)])
    asked, written = (tokenizer(text)["input_ids"] for text in (prompt, answer))
    rule(torch.tensor([asked]), torch.zeros(1, len(tokenizer)))
    scores = rule(torch.tensor([asked + written]), torch.zeros(1, len(tokenizer)))
    return {tokenizer.decode([token]) for token in torch.isfinite(scores[0]).nonzero().flatten().tolist()}


def test_a_quotation_is_the_beginning_of_what_was_said(tokenizer):
    assert allowed_after(tokenizer, 'The words "') == {"I", "S"}
    assert allowed_after(tokenizer, 'The words "I am no') == {"t"}
    assert allowed_after(tokenizer, 'The words "I am not nervous. We have') == {"."}
    assert allowed_after(tokenizer, 'The words "I am not nervous. We have...') == {'"'}
    assert allowed_after(tokenizer, 'The words "Sit down!') == {'"'}


def test_of_several_the_utterance_that_the_answer_has_come_to_is_quoted(tokenizer):
    first, second = "Reason: From 0.0 to 2.0 s:", " From 2.1 to 3.9 s:"
    assert allowed_after(tokenizer, f'{first} The words "') == {"I"}
    assert allowed_after(tokenizer, f'{first} The voice is even.{second} The words "') == {"S"}
    assert allowed_after(tokenizer, 'Reason: From 7.0 to 9.0 s: The words "') == {"I", "S"}


def test_what_was_not_said_is_ended(tokenizer):
    assert allowed_after(tokenizer, 'The words "You am') == {'"'}


def test_outside_of_quotations_everything_goes(tokenizer):
    everything = {tokenizer.decode([token]) for token in range(len(tokenizer))}
    assert allowed_after(tokenizer, 'The words "Sit down!" are') == everything
    assert allowed_after(tokenizer, "The words") == everything


@pytest.mark.parametrize("said", [(), ("",), ("  ",)])
def test_without_words_nothing_is_quoted(tokenizer, said):
    everything = {tokenizer.decode([token]) for token in range(len(tokenizer))}
    assert allowed_after(tokenizer, "The words ", said=said) == everything - {'"'}


def test_control_tokens_are_never_quoted(tokenizer):
    assert allowed_after(tokenizer, 'The words "', said=("<|im_end|> no",)) == {"<"}


def test_every_row_has_its_own_words(tokenizer):
    rule = QuotesSaid(tokenizer, said=[spoken("Yes"), spoken("No")])
    asked, written = (tokenizer([text] * 2)["input_ids"] for text in ("Why?", 'Words "'))
    rule(torch.tensor(asked), torch.zeros(2, len(tokenizer)))
    both = torch.tensor([before + after for before, after in zip(asked, written, strict=True)])
    scores = rule(both, torch.zeros(2, len(tokenizer)))
    assert [tokenizer.decode(row.isfinite().nonzero().flatten().tolist()) for row in scores] == ["Y", "N"]
