"""Whether an explanation's text describes a face."""

import re

# What people say is no statement about the picture.
_QUOTED = re.compile(r'"[^"]*"')
_NOT_IN_PICTURE = re.compile(r"\b(?:no|without a|not see(?:n|ing)? (?:the|a)) face\b", re.IGNORECASE)
_FACE_WORDS = re.compile(
    r"\b(?:face|facial|expressions?|micro-expressions?|brows?|eyebrows?|eyes?|eyelids?|lids?|cheeks?|nose|mouth|lips?|"
    r"chin|jaw|smil(?:e|es|ing)|frown(?:s|ing)?|grin(?:s|ning)?)\b",
    re.IGNORECASE,
)


def describes_face(text: str) -> bool:
    """Whether a text says how a face looks or moves; that there is none to see is no description, quotes are none.

    >>> describes_face('The words "keep a straight face" are factual.'), describes_face("The brows go up.")
    (False, True)
    """
    return _FACE_WORDS.search(_NOT_IN_PICTURE.sub(" ", _QUOTED.sub(" ", text))) is not None
