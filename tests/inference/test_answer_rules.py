"""Rules together: the first ones win, and something can always be written."""

import torch

from microemo.inference.answer_rules import AnswerRule, NextTokens


class Only(AnswerRule):
    """Allows these tokens alone."""

    def __init__(self, *allowed):
        super().__init__(None)
        self.allowed = allowed

    def next_tokens(self, answer, *, tokens, row):
        return NextTokens(only=self.allowed)


def allowed(*rules):
    ids, scores = torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, 4)
    for rule in rules:
        rule.tokenizer = type("Tokenizer", (), {"decode": lambda self, tokens: ""})()
        scores = rule(ids, scores)
    return torch.isfinite(scores[0]).nonzero().flatten().tolist()


def test_rules_narrow_what_others_leave():
    assert allowed(Only(1, 2), Only(2, 3)) == [2]


def test_a_rule_that_would_leave_nothing_is_not_applied():
    assert allowed(Only(1), Only(2)) == [1]
