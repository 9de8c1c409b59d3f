"""An answer about a clip names utterances that there are."""

import pytest
import torch

from microemo.inference.answer_utterances import UtterancesNamed
from tests.answer_following import allowed_tokens
from tests.tiny_processor import tiny_tokenizer

REASON = "Emotions: calm.\nReason:"
SPANS = ((0.41, 3.2), (4.0, 5.96), (12.0, 13.0))
FIRST = f"{REASON} From 0.4 to 3.2 s: The voice is even."
TWO = f"{FIRST} From 4.0 to 6.0 s: The voice is even."
LAST = f"{REASON} From 12.0 to 13.0 s: The voice is even."


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()  # a token for each byte


def allowed_after(tokenizer, answer, *, spans=SPANS):
    """The characters that may follow; all of them: None."""
    allowed = allowed_tokens(UtterancesNamed(tokenizer, spans=[spans]), tokenizer, answer)
    return None if len(allowed) == len(tokenizer) else set(tokenizer.decode(allowed))


def test_a_reason_begins_with_a_span(tokenizer):
    assert allowed_after(tokenizer, REASON) == {" "}
    assert allowed_after(tokenizer, f"{REASON} From ") == {"0", "4", "1"}
    assert allowed_after(tokenizer, f"{REASON} From 4.0 to 6.0") == {" "}
    assert allowed_after(tokenizer, f"{REASON} From 4.0 to 6.0 s") == {":"}
    assert allowed_after(tokenizer, f"{REASON} From 4.0 to 6.0 s:") is None


def test_another_is_that_of_a_later_utterance(tokenizer):
    assert allowed_after(tokenizer, FIRST) is None
    assert allowed_after(tokenizer, f"{FIRST} From ") == {"4", "1"}
    assert allowed_after(tokenizer, f"{FIRST} From 1") == {"2"}


def test_words_within_sentences_and_quotations_are_free(tokenizer):
    assert allowed_after(tokenizer, f"{REASON} From 0.4 to 3.2 s: The voice From ") is None
    assert allowed_after(tokenizer, f'{FIRST} The words "I see. From ') is None


def test_answers_about_one_utterance_are_left_alone(tokenizer):
    assert allowed_after(tokenizer, REASON, spans=()) is None
    assert allowed_after(tokenizer, f"{REASON} From ", spans=()) is None


def test_when_none_is_left_no_other_is_begun():
    class WordTokenizer:
        words = (LAST, " From", " The", TWO)

        def __len__(self):
            return len(self.words)

        def decode(self, tokens):
            return "".join(self.words[token] for token in tokens)

    for told in (0, 3):
        rule = UtterancesNamed(WordTokenizer(), spans=[SPANS])
        rule(torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, 4))
        assert torch.isfinite(rule(torch.tensor([[told]]), torch.zeros(1, 4))[0]).tolist() == [True, False, True, True]
