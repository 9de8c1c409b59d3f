"""What a rule of answers lets follow, with a tokenizer that has a token for each byte."""

import torch


def allowed_tokens(rule, tokenizer, answer):
    """The tokens that may follow an answer, by a rule for one row."""
    rule(torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, len(tokenizer)))
    scores = rule(torch.tensor([tokenizer(answer)["input_ids"]]), torch.zeros(1, len(tokenizer)))
    return torch.isfinite(scores[0]).nonzero().flatten().tolist()


def following(rule, tokenizer, answer):
    """What has to follow an answer, as far as it has to; "" where everything may."""
    forced = ""
    while len(allowed := allowed_tokens(rule, tokenizer, answer + forced)) == 1:
        forced += tokenizer.decode(allowed)
    return forced
