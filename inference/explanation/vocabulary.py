"""Vocabulary of explanations: patterns for streams, emotions, signs, times and relations.

It covers any model's English, not only the sentences of `microemo.processing.evidence_text`.
"""

import re
from collections.abc import Mapping
from functools import cache

from microemo.data.default_wheel import default_wheels, emotion_family

NEUTRAL = "neutral"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{text})", re.IGNORECASE)


STREAM_WORDS: Mapping[str, re.Pattern[str]] = {
    "face": _pattern(
        r"(?:face|faces|facial|facially|(?<!vocal )expressions?|microexpressions?|(?:eye)?brows?|eyes?|(?:eye)?lids?|"
        r"lips?|mouth|jaw|cheeks?|nose|chin|forehead|smil(?:es?|ed|ing)|grin(?:s|ning)?|frown(?:s|ed|ing)?|gaze|"
        r"squints?|looks?|flash(?:es)?|head|nod(?:s|ded|ding)?|tears?|teary|blush\w*|blink\w*)\b"
    ),
    "voice": _pattern(
        r"(?:voices?|vocal(?:ly)?|tone|pitch|intonation|prosody|sounds?|sounding|heard|speaks?(?! of\b)|speaking|"
        r"spoken|speech|talks?|volume|loud(?:er|ly)?|quiet(?:er|ly)?|shout\w*|yell\w*|whisper\w*|monoton\w*|halting(?:ly)?)\b"
    ),
    "words": _pattern(
        r"(?:(?<!in other )words?|wording|say|says|saying|said|text|statement|verbal(?:ly)?|speaks? of)\b"
    ),
}
UNSEEN = _pattern(
    r"no face\b|without a face\b|(?:face )?(?:is |are |was )?(?:not|never|cannot be) (?:\w+ )?(?:seen|visible|shown|"
    r"in (?:the )?(?:picture|frame|view|shot))\b|(?:face )?(?:is |are )?(?:unseen|off[- ]?(?:screen|camera)|"
    r"out of (?:the )?(?:picture|frame|view|sight))\b"
)
MICRO_EXPRESSION = _pattern(
    r"(?:flash(?:es)?|micro-?expressions?|for an instant|for a moment|fleeting(?:ly)?|brief(?:ly)?|"
    r"momentar(?:y|ily))\b"
)
_NOT_RELATION = r"(?! (?:\w+ )?(?:fit|match|agree|support|correspond|disagree|contradict|conflict))"
NEGATION = _pattern(
    rf"(?:no(?! doubt)|not(?! only| just| merely| without){_NOT_RELATION}|never|without|nothing|hardly|barely|neither|"
    rf"nor|lacks?|instead of|rather than|free of|absence of|cannot(?! hide)|\w+n['’]t{_NOT_RELATION})\b"
)
DENIED_AFTER = re.compile(r" (?:is|are|was|were|seems)(?:n['’]t| not| absent| missing| lacking)\b", re.IGNORECASE)

_DENIAL = r"(?:not|never|hardly|barely|\w+n['’]t|without)(?: \w+)? "
_AGREE = r"(?:agree|fit|match|support|correspond|confirm)(?:s|es|ed|ing)?\b|(?:in line|consistent) with\b"
_DISAGREE = r"disagree|contradict|conflict|mismatch|contrast|belie[sd]?\b|at odds\b"
AGREEMENT = _pattern(rf"{_DENIAL}(?:{_DISAGREE})|(?:{_DISAGREE})\w* neither\b|(?:{_AGREE})")
DISAGREEMENT = _pattern(rf"{_DENIAL}(?:{_AGREE})|(?:{_DISAGREE}|despite\b|in spite of\b|although\b|though\b)")

_NUMBER = r"(\d+(?:\.\d+)?)"
_UNIT = r"\s?(?:s|secs?|seconds?)\b"
TIMES = re.compile(rf"(?<![\w.]){_NUMBER}(?:{_UNIT})?(?:\s?(?:[-–]|to|and|until)\s?{_NUMBER})?{_UNIT}", re.IGNORECASE)
# What stands before a time that is an onset, or an offset.
ONSET = re.compile(r"\b(?:from|since|begin\w*|start\w*)(?: \w+)? $", re.IGNORECASE)
OFFSET = re.compile(r"\b(?:until|till|up to|end\w*(?: at)?)(?: \w+)? $", re.IGNORECASE)
DURATIONS = re.compile(
    rf"(?:\b(?:for|within|lasts?|lasting|over)(?: (?:only|just|about|some|around|nearly|roughly))?\s|\()"
    rf"{_NUMBER}{_UNIT}|\b{_NUMBER}{_UNIT}[ -](?:long|later|earlier)\b",
    re.IGNORECASE,
)

_GAP = r"(?: (?!and\b|or\b|with\b|as\b|then\b)[\w'-]+)"
_UP = r"(?:raise[sd]?|raising|lift\w*|rises?|risen|rising|up|arch\w*)"
_DOWN = r"(?:lower(?:s|ed|ing)?|drop(?:s|ped)?|fall(?:s|ing)?|droop\w*|down|downward|downturned)"
_BROWS, _LIPS = r"(?:eye)?brows?", r"(?<!upper )lips?(?! corner)"
_CORNERS = r"(?:(?:lip |mouth )?corners?(?: of (?:\w+ )?(?:mouth|lips))?)"


def _moved(part: str, change: str) -> re.Pattern[str]:
    """Matches a part of the face and its change, in either order: "the brows are raised", "raised brows"."""
    return _pattern(rf"(?:{part}){_GAP}{{0,3}} {change}\b|{change}{_GAP}{{0,2}} (?:{part})\b")


UNMEASURED = "unmeasured"  # a sign that no finding has, so a claim of it is never supported
# Descriptions of the face, and the action units of which any one supports them.
FACE_SIGNS: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = tuple(
    (pattern, frozenset(units.split()))
    for pattern, units in (
        (_moved(rf"inner {_BROWS}", _UP), "AU1"),
        (_moved(rf"outer {_BROWS}", _UP), "AU2"),
        (_moved(rf"(?<!inner )(?<!outer ){_BROWS}", _UP), "AU1 AU2"),
        (_moved(_BROWS, rf"(?:{_DOWN}|furrow\w*|knit\w*|contract\w*|drawn|together)"), "AU4"),
        (_pattern(r"frown(?:s|ed|ing)?\b"), "AU4 AU15"),
        (_moved(r"(?:eye)?lids?", _UP), "AU5"),
        (_moved(r"eyes?", r"(?:wide|widen(?:s|ed|ing)?)"), "AU5"),
        (_pattern(r"wide-eyed\b"), "AU5"),
        (_moved(r"cheeks?", _UP), "AU6"),
        (_moved(r"(?:eye)?lids?", r"(?:tight\w*|tens\w+)"), "AU7"),
        (_moved(r"eyes?", r"narrow\w*"), "AU7 AU6"),
        (_pattern(r"squint\w*"), "AU7 AU6"),
        (_moved("nose", r"(?:wrinkl\w+|crinkl\w+|scrunch\w*)"), "AU9"),
        (_moved("upper lip", rf"(?:{_UP}|curl\w*)"), "AU10"),
        (_pattern(r"(?:smil(?:es?|ed|ing)|grin(?:s|ned|ning)?)\b"), "AU12 joy"),
        (_moved(_CORNERS, _UP), "AU12"),
        (_moved(_CORNERS, r"(?:tight\w*|dimpl\w*)"), "AU14"),
        (_moved(_CORNERS, _DOWN), "AU15"),
        (_moved("chin", _UP), "AU17"),
        (_moved(_LIPS, r"stretch\w*"), "AU20"),
        (_moved(_LIPS, r"(?:tight\w*|press\w*|thin\w*)"), "AU23 AU24"),
        (_moved(_LIPS, r"(?:part(?:s|ed|ing)?|open\w*)"), "AU25 AU26"),
        (_moved(r"(?:jaw|mouth)", r"(?:drops?|dropped|dropping|falls? open|opens?|opened|open)"), "AU26 AU25"),
        (_moved(r"eyes?", r"(?:close[sd]?|closing|shut)"), "AU43"),
        (_pattern(r"(?:nod(?:s|ded|ding)?|tears?|teary|blush\w*|blink\w*|clench\w*|head|gaze)\b"), UNMEASURED),
        (_pattern(r"looks? (?:away|down|up|aside|at)\b"), UNMEASURED),
    )
)
# Descriptions of speech, and the prosodic signs of which any one supports them.
VOICE_SIGNS: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = tuple(
    (_pattern(rf"(?:{words})\b"), frozenset(signs.split()))
    for words, signs in (
        (
            r"loud(?:er|ly)?|rais(?:es|ed|ing)(?: \w+)? voice|voice (?:\w+ )?(?:is |are )?raised|shout\w*|yell\w*",
            "loud",
        ),
        (r"quiet(?:er|ly)?|soft(?:er|ly)?|whisper\w*|hushed|lower(?:s|ed|ing) (?:\w+ )?voice", "soft"),
        (r"(?:high|higher)(?:-pitched)?|(?:pitch|voice) (?:rises|goes up)", "high"),
        (r"(?:low|lower|deep|deeper)(?:-pitched)?|(?:pitch|voice) (?:drops|falls)", "low"),
        (r"fast(?:er)?|quick(?:er|ly)?|rapid(?:ly)?|hurried(?:ly)?", "fast"),
        (r"slow(?:er|ly)?", "slow"),
        (r"monoton\w*|flat(?:ly)?", "monotonous"),
        (r"lively|animated(?:ly)?|melodic|varied", "lively"),
        (r"halting(?:ly)?|pauses?|pausing|hesita\w+|falter\w*|stammer\w*", "halting"),
        (r"trembl\w*|shak(?:es|ing|y)|cracks?|cracking|hoarse(?:ly)?|breathy|nasal|trails off", UNMEASURED),
    )
)

# Phrases stating that a stream is neutral.
NEUTRAL_PHRASES = _pattern(
    r"(?:at rest|gives? (?:little|nothing) away|shows? nothing(?! but| of| else)|factual|matter[- ]of[- ]fact|"
    r"plain information|even (?:voice|tone)|(?:no|without)(?: (?:any|lasting|clear|strong|marked))? "
    r"(?:expression|emotion)|"
    r"(?<=is )even(?! more| less)|(?<=are )even(?! more| less)|(?<=stays )even|(?<=remains )even|(?<=sounds )even)\b"
)
# Words of the wheel with another meaning in texts about faces and voices: signs, relations, actions. Forms or bases.
_NOT_EMOTIONS = frozenset(
    str.split(
        "smiling positive pleasant lively animated energetic vibrant spirited powerful bold strong capable "
        "successful fortunate lucky promising accomplished worthy content freed hopefully liking close attached "
        "intimate sweet gentle warm tender kind touched moved obliged thanks accepting agreement agreeable "
        "acknowledging recognized included understood understanding valued polite frank sincere earnest honest "
        "certain convinced secure safe assured reliant supportive care cares cared concern concerned helpful "
        "generous thoughtful considerate protective wonder welcoming affirmative cooperative honored quiet steady "
        "stable patient balanced collected thinking serious sober poised centered reflection mindful attention alert "
        "focused ready willing wanting wish expecting engaged absorbed questioning exploring firm persistent "
        "resolved committed driven insistent emphatic urging persuasive keen attentive concentrated begging pleading "
        "awaiting challenging probing unexpected wide-eyed realizing awareness discovery insightful lost unclear "
        "torn conflicted contradictory doubt uncertain unsure staggered jolted pressured hurried cautious hesitant "
        "hesitation weak exposed fragile guarded suspect trouble down low blue negative heavy-hearted empty broken "
        "missing alone crushed hollow collapse passive stuck struggling burdened withdrawn ignored failure failing "
        "sighing unfairness modest humble inhibited mean cross explosive arguing critical warning opposed objecting "
        "refusing disagreeing strict severe resistant reluctant unwilling provocative competitive ironic yelling "
        "shouting gross awful terrible superior offensive unpleasant objective blank breakdown faith tempted "
        "recognized expectant"
    )
) | {"let down", "put out", "left out", "break down", "breaking down", "mixed up", "worn out", "look forward"}


@cache
def emotion_words() -> Mapping[str, str]:
    """Returns the words and phrases of the wheel that name an emotion, lower case -> family."""
    wheels = default_wheels()
    named = set(wheels.wheels[0].nodes(level=2)) - {"reflection"}  # GoEmotions' labels are always included
    return {
        form: family_of(form)
        for form, bases in wheels.bases.items()
        if form in named or (form not in _NOT_EMOTIONS and not _NOT_EMOTIONS.issuperset(bases))
    }


@cache
def family_of(label: str) -> str:
    """Returns the wheel family of a label; "calm" counts as "neutral", unknown words are their own family."""
    family = emotion_family(label) or label.lower()
    return NEUTRAL if family == "calm" else family
