"""The rule "shorten_words": how a clip whose prompt outgrows the model's context is made to fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .clip import Clip
from .prompt_text import shorten_words


def fit_words(clip: Clip, *, prompt_length: Callable[[Clip], int], limit: int) -> Clip:
    """Returns the clip with the words of each utterance cut to its first N, N the largest whose prompt fits.

    Every utterance keeps its place, its times, its speaker and its tokens; what was done stands in `warnings`.

    Args:
        clip: Its words are as they go into the prompt.
        prompt_length: Gives the tokens of a clip's prompt.
        limit: Tokens that the prompt may have.

    Raises:
        ValueError: The prompt is too long even without words.
    """
    length = prompt_length(clip)
    if length <= limit:
        return clip
    fitting, too_many = -1, max(len(utterance.text.split()) for utterance in clip.utterances)
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        if prompt_length(_shortened(clip, max_words=middle)) <= limit:
            fitting = middle
        else:
            too_many = middle
    if fitting < 0:
        raise ValueError(
            f"{len(clip.utterances)} utterances make a prompt of more than {limit} tokens even without their words; "
            "read the video in shorter chunks"
        )
    warning = (
        f"the prompt has {length} tokens and {limit} fit the model's context, so every utterance keeps "
        f"its first {fitting} words"
    )
    return replace(_shortened(clip, max_words=fitting), warnings=(*clip.warnings, warning))


def _shortened(clip: Clip, *, max_words: int) -> Clip:
    return replace(clip, utterances=tuple(shorten_words(u, max_words=max_words) for u in clip.utterances))
