"""The readouts' parts as words of the language model, where training begins."""

from __future__ import annotations

from typing import cast

import torch
from transformers import PreTrainedTokenizerBase

from microemo import MicroEmoForConditionalGeneration

# With the space that stands before a word within a sentence, each of them one token of SmolLM2.
EXPRESSION_WORDS = {
    "neutral": " calm",
    "happiness": " joy",
    "surprise": " surprise",
    "sadness": " sadness",
    "anger": " anger",
    "disgust": " disgust",
    "fear": " fear",
    "contempt": " contempt",
}
BORED = {"boredom": " bored"}  # of voices, which are otherwise said as their emotions are called
STATE_WORDS = (" none", " nobody")
DIGITS = tuple("0123456789")


@torch.no_grad()
def begin_with_words(model: MicroEmoForConditionalGeneration, *, tokenizer: PreTrainedTokenizerBase) -> None:
    """Gives each part of the readouts the embedding of its word; a word of several tokens gets their mean."""
    readout, voice = model.model.face_readout, model.model.voice_readout
    embedding = cast(torch.Tensor, model.get_input_embeddings().weight)

    def rows(words: tuple[str, ...]) -> torch.Tensor:
        ids = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
        return torch.stack([embedding[each].mean(0) for each in ids])

    names = model.config.expression_id2label
    readout.expressions.weight.copy_(rows(tuple(EXPRESSION_WORDS[names[index]] for index in range(len(names)))))
    names = model.config.voice_id2label
    voice.words.weight.copy_(rows(tuple(BORED.get(names[index], f" {names[index]}") for index in range(len(names)))))
    readout.states.weight.copy_(rows(STATE_WORDS))
    readout.seconds.weight.copy_(rows(DIGITS))
    readout.tenths.weight.copy_(rows(DIGITS))
    readout.tens.weight.zero_()  # most clips are shorter; a second in ten changes the digit that it stands beside
