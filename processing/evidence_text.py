"""Verbalises evidence in English: as a phrase (report), as lines (prompt) or as sentences (explanations).

phrase     happiness 0.97 from 4.4 s on (lip corners pulled up)
lines      face: happiness 0.97 from 4.4 s on (lip corners pulled up); flash of fear 0.71 at 4.9 s (brows raised)
           voice: joy 0.61; high, loud, +4 semitones
           words: joy 0.81, excitement 0.40
sentence   The face shows happiness from 4.4 s on, with the lip corners pulled up.
"""

from collections.abc import Sequence

from .evidence import NEUTRAL, Evidence

EDGE_SECONDS = 0.25  # an expression that starts or ends this close to the utterance's edge fills it to that edge
# Appearance of action units, after the Facial Action Coding System (Ekman, Friesen & Hager 2002).
UNIT_DESCRIPTIONS = {
    "AU1": "inner brows raised",
    "AU2": "outer brows raised",
    "AU4": "brows lowered",
    "AU5": "upper lids raised",
    "AU6": "cheeks raised",
    "AU7": "lids tightened",
    "AU9": "nose wrinkled",
    "AU10": "upper lip raised",
    "AU12": "lip corners pulled up",
    "AU14": "lip corner tightened",
    "AU15": "lip corners pulled down",
    "AU17": "chin raised",
    "AU20": "lips stretched",
    "AU23": "lips tightened",
    "AU24": "lips pressed together",
    "AU25": "lips parted",
    "AU26": "jaw dropped",
    "AU43": "eyes closed",
}
MICRO_FORMS = (
    "A flash of {noun} crosses the face at {apex} s{looks}.",
    "At {apex} s there is a micro-expression of {noun}{looks}.",
    "For an instant, at {apex} s, the face shows {noun}{looks}.",
)
MACRO_FORMS = (
    "The face shows {noun}{when}{looks}.",
    "There is {noun} on the face{when}{looks}.",
    "{Noun} shows on the face{when}{looks}.",
)
NEUTRAL_FACE_FORMS = (
    "The face stays neutral{when}.",
    "The face is neutral{when}.",
    "The face gives little away{when}.",
)
FAINT_FACE_FORMS = ("The face shows {noun} faintly.", "There is a trace of {noun} on the face.")
VOICE_FORMS = (
    "The voice sounds of {noun}{manner}.",
    "There is {noun} in the voice{manner}.",
    "The voice carries {noun}{manner}.",
)
NEUTRAL_VOICE_FORMS = ("The voice is {noun}{manner}.", "The voice sounds {noun}{manner}.")
MANNER_FORMS = ("The voice is {manner}.",)
WORDS_FORMS = ("The words express {noun}.", "What is said speaks of {noun}.", "By the words it is {noun}.")
PLAIN_WORDS_FORMS = ("The words are neutral.", "What is said is factual.")
NO_FACE_FORMS = ("The speaker's face is not seen{when}.", "No face is seen{when}.")
CONFLICT_FORMS = (
    "The {first} and the {second} disagree.",
    "The {first} contradicts the {second}.",
    "So the {first} does not fit the {second}.",
)
AGREEMENT_FORMS = ("The {first} and the {second} agree.", "The {first} fits the {second}.")
NEUTRAL_LABELS = (NEUTRAL, "calm")
STREAM_NAMES = {"face": "face", "micro_expression": "face", "voice": "voice", "words": "words"}


def evidence_phrase(finding: Evidence, *, offset: float = 0.0, span: tuple[float, float] | None = None) -> str:
    """Describes a finding in a few words, such as "happiness 0.97 from 4.4 s on (lip corners pulled up)".

    Args:
        offset: start of the text's clock, seconds.
        span: of the utterance; a finding that fills it has no times.
    """
    certainty = "" if finding.certainty is None else f" {finding.certainty:.2f}"
    if finding.kind == "scene":
        return f"not seen{_when(finding, offset=offset, span=span)}"
    if finding.kind == "micro_expression":
        apex = 0.0 if finding.apex_seconds is None else finding.apex_seconds - offset
        flash = f"flash of {finding.label}" if finding.label else "flash"
        return f"{flash}{certainty} at {apex:.1f} s{_in_parentheses(_descriptions(finding.signs))}"
    if finding.kind == "face":
        when = _when(finding, offset=offset, span=span)
        return f"{finding.label}{certainty}{when}{_in_parentheses(_descriptions(finding.signs))}"
    if finding.kind == "voice":
        pitch = [] if finding.pitch_semitones is None else [f"{finding.pitch_semitones:+.0f} semitones"]
        manner = ", ".join([*finding.signs, *pitch])
        return "; ".join(filter(None, [f"{finding.label}{certainty}" if finding.label else "", manner]))
    return f"{finding.label}{certainty}"


def evidence_lines(findings: Sequence[Evidence], *, span: tuple[float, float], offset: float = 0.0) -> tuple[str, ...]:
    """The findings of one utterance as lines of a prompt, one line per stream."""
    streams = {
        "face": [finding for finding in findings if finding.kind in ("face", "micro_expression", "scene")],
        "voice": [finding for finding in findings if finding.kind == "voice"],
        "words": [finding for finding in findings if finding.kind == "words"],
    }
    links = {"face": "; ", "voice": "; ", "words": ", "}
    return tuple(
        f"{stream}: {links[stream].join(evidence_phrase(finding, offset=offset, span=span) for finding in group)}"
        for stream, group in streams.items()
        if group
    )


def evidence_sentence(
    finding: Evidence, *, offset: float = 0.0, span: tuple[float, float] | None = None, form: int = 0
) -> str:
    """Describes a finding in a sentence. form: selects one of several wordings, any number."""
    when = _when(finding, offset=offset, span=span)
    looks = _descriptions(finding.signs)
    fields = {
        "noun": finding.label,
        "Noun": finding.label.capitalize(),
        "when": when,
        "looks": f", with {_joined(looks)}" if looks else "",
        "apex": "" if finding.apex_seconds is None else f"{finding.apex_seconds - offset:.1f}",
        "manner": _joined(finding.signs),
    }
    if finding.kind == "scene":
        forms: Sequence[str] = NO_FACE_FORMS
    elif finding.kind == "micro_expression":
        forms, fields["noun"] = MICRO_FORMS, finding.label or "something"
    elif finding.kind == "words":
        forms = PLAIN_WORDS_FORMS if finding.label in NEUTRAL_LABELS else WORDS_FORMS
    elif finding.kind == "voice":
        forms = NEUTRAL_VOICE_FORMS if finding.label in NEUTRAL_LABELS else VOICE_FORMS
        if not finding.label:
            forms = MANNER_FORMS
        elif finding.signs:
            fields["manner"] = _in_parentheses(finding.signs)
    elif finding.label in NEUTRAL_LABELS:
        forms = NEUTRAL_FACE_FORMS
    else:
        forms = MACRO_FORMS if when or looks or (finding.certainty or 0) >= 0.5 else FAINT_FACE_FORMS
    return forms[form % len(forms)].format(**fields)


def relation_sentence(first: Evidence, second: Evidence, *, agree: bool, form: int = 0) -> str:
    """States whether two streams agree."""
    forms = AGREEMENT_FORMS if agree else CONFLICT_FORMS
    return forms[form % len(forms)].format(first=STREAM_NAMES[first.kind], second=STREAM_NAMES[second.kind])


def _when(finding: Evidence, *, offset: float, span: tuple[float, float] | None) -> str:
    """Part of the utterance that a finding fills, such as " from 4.4 s on"; "" for all of it."""
    start, end = finding.start_seconds - offset, finding.end_seconds - offset
    begins = span is not None and finding.start_seconds <= span[0] + EDGE_SECONDS
    ends = span is not None and finding.end_seconds >= span[1] - EDGE_SECONDS
    if begins and ends:
        return ""
    if begins:
        return f" until {end:.1f} s"
    return f" from {start:.1f} s on" if ends else f" from {start:.1f} to {end:.1f} s"


def _descriptions(signs: Sequence[str]) -> tuple[str, ...]:
    return tuple(UNIT_DESCRIPTIONS.get(sign, sign) for sign in signs)


def _in_parentheses(phrases: Sequence[str]) -> str:
    return f" ({', '.join(phrases)})" if phrases else ""


def _joined(phrases: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(phrases[:-1]), *phrases[-1:]]))
