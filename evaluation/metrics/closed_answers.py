"""Reads which of a question's options a free answer chooses; an answer that does not choose one chooses none.

"Sad."                                               -> sad
"The brows are low ... So the emotional state is: angry."  -> angry
"She is not happy, she is worried."                  -> worried
"Either sad or angry."                               -> None
"""

import re
from collections.abc import Sequence

from microemo.data.default_wheel import emotion_family
from microemo.evaluation.metrics.label_extraction import extract_labels

STEM = 3  # letters that the forms of one name share: happy, happiness; sad, sadness; angry, anger
DENIAL = re.compile(r"(?:\b(?:not|no|never|neither|nor|without)|n't)(?: (?:a|an|any|really|very))? $")
CONCLUSION = re.compile(r"(?:[:=]|\b(?:is|are|be|as|answer))\W*$")


def chosen_option(text: str, *, options: Sequence[str]) -> str | None:
    """Returns the option that an answer chooses, as it stands in `options`; None where it is none or not one.

    An answer that begins with an option, or concludes with one, chooses it; so does one that affirms a single option.
    Where no option is named, other forms of an emotion's name count ("happiness" for "happy"): words of the same
    family that begin alike.
    """
    if not options:
        raise ValueError("options must name at least one answer, got none")
    plain = " ".join(text.lower().replace("\u2019", "'").split())
    known = {option.lower(): option for option in options}
    names = sorted(known, key=len, reverse=True)  # "not sarcastic" before "sarcastic"
    mention = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b")
    mentions = list(mention.finditer(plain))
    if mentions:
        first, last = mentions[0], mentions[-1]
        if not plain[: first.start()].strip(" \"'([*") and not plain[first.end() :].strip(" \"')]*")[:1].isalnum():
            return known[first.group()]
        if not plain[last.end() :].strip(" .!\"')]*") and CONCLUSION.search(plain[: last.start()]):
            return known[last.group()]
        affirmed = {found.group() for found in mentions if not DENIAL.search(plain[: found.start()])}
        return known[affirmed.pop()] if len(affirmed) == 1 else None
    forms = [(label[:STEM], emotion_family(label)) for label in extract_labels(plain)]
    found = [name for name in names if (name[:STEM], emotion_family(name)) in forms]
    return known[found[0]] if len(found) == 1 else None
