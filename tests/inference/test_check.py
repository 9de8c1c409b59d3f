"""Supported sentences are kept; sentences with wrong labels, times, streams or signs are removed."""

from dataclasses import replace
from itertools import pairwise

import pytest

from microemo.inference.explanation.check import check_explanation
from microemo.inference.explanation.claims import read_claims, split_sentences
from microemo.processing.evidence import SIGNS_OF_EXPRESSION, Evidence
from microemo.processing.evidence_text import UNIT_DESCRIPTIONS, evidence_sentence, relation_sentence

SPAN = (2.0, 8.0)
EXPRESSIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
VOICES = ("neutral", "calm", "happiness", "joy", "sadness", "anger", "fear", "disgust", "surprise")
WORDS = str.split(
    "admiration amusement anger annoyance approval caring confusion curiosity desire disappointment disapproval "
    "disgust embarrassment excitement fear gratitude grief joy love nervousness optimism pride realization relief "
    "remorse sadness surprise neutral"
)
MANNERS = ((), ("low",), ("high", "lively", "loud"), ("monotonous", "soft"), ("fast",), ("slow", "halting"))

JOY = Evidence("face", "happiness", 4.4, 8.0, certainty=0.97, signs=("AU12", "AU6"))
FLASH = Evidence("micro_expression", "fear", 4.8, 5.1, certainty=0.71, apex_seconds=4.9, signs=("AU1", "AU5"))
VOICE = Evidence("voice", "sadness", *SPAN, certainty=0.61, signs=("low", "slow"), pitch_semitones=-3.0)
SAID = Evidence("words", "joy", *SPAN, certainty=0.81)
UNSEEN = Evidence("scene", "no face", 5.5, 6.5)
ALL = (JOY, FLASH, VOICE, SAID)


def findings():
    """One finding of each kind, label, set of signs and position in the utterance."""
    for label in EXPRESSIONS:
        signs = tuple(f"AU{number}" for number in SIGNS_OF_EXPRESSION.get(label, ()))
        for times in (SPAN, (2.0, 4.1), (3.4, 8.0), (3.4, 5.6)):
            for chosen in ((), signs[:1], signs[:3], signs[3:6]):
                yield Evidence("face", label, *times, certainty=0.4, signs=chosen)
        yield Evidence("micro_expression", label, 3.4, 3.7, certainty=0.6, apex_seconds=3.55, signs=signs[:3])
    yield Evidence("micro_expression", "", 3.4, 3.7, certainty=0.6, apex_seconds=3.55, signs=("AU4",))
    for signs in pairwise((*UNIT_DESCRIPTIONS, "AU1")):
        yield Evidence("face", "anger", 3.4, 5.6, certainty=0.6, signs=signs)
        yield Evidence("micro_expression", "anger", 3.4, 3.7, certainty=0.6, apex_seconds=3.55, signs=signs)
    for label in (*VOICES, ""):
        for manner in MANNERS if label else MANNERS[1:]:
            yield Evidence("voice", label, *SPAN, certainty=0.5 if label else None, signs=manner)
    for label in WORDS:
        yield Evidence("words", label, *SPAN, certainty=0.3)
    yield UNSEEN
    yield Evidence("scene", "no face", *SPAN)


def is_kept(sentence, evidence=ALL, spans=(SPAN,)):
    checked = check_explanation(sentence, evidence=evidence, spans=spans)
    assert (checked.text, checked.unsupported) in ((sentence, ()), ("", (sentence,))), "more than one sentence"
    return bool(checked.text)


@pytest.mark.parametrize("offset", [0.0, 1.5])
def test_every_generated_sentence_is_supported_by_its_finding(offset):
    for finding in findings():
        for form in range(3):
            sentence = evidence_sentence(finding, offset=offset, span=SPAN, form=form)
            assert is_kept(sentence, [finding.shifted(-offset)], ()), sentence


def test_every_generated_relation_is_supported_by_its_findings():
    firsts = [JOY, FLASH, VOICE, SAID, Evidence("voice", "neutral", *SPAN, certainty=0.9)]
    for first in firsts:
        for second in firsts:
            streams = {finding.kind.replace("micro_expression", "face") for finding in (first, second)}
            agree = {first.label, second.label} <= {"happiness", "joy"}
            if len(streams) == 2:
                for form in range(3):
                    assert is_kept(relation_sentence(first, second, agree=agree, form=form), [first, second])
                    assert not is_kept(relation_sentence(first, second, agree=not agree, form=form), [first, second])


def changed(finding):
    """Findings that do not support the sentence of `finding`, each different in one stated property."""
    if finding.kind == "scene":
        return
    label = "sadness" if finding.label not in ("sadness", "grief", "disappointment") else "surprise"
    if finding.label:
        yield replace(finding, label=label)
    kind = "words" if finding.kind == "voice" else "voice"
    yield replace(finding, kind=kind, apex_seconds=None)
    if finding.signs and finding.label not in ("neutral", "calm"):
        yield replace(finding, signs=(), pitch_semitones=None)


def test_changed_findings_support_nothing():
    for finding in findings():
        for form in range(3):
            sentence = evidence_sentence(finding, span=SPAN, form=form)
            for other in changed(finding):
                assert not is_kept(sentence, [other]), (sentence, other)


def test_times_that_are_off_by_a_second_are_unsupported():
    for finding in findings():
        if finding.kind in ("face", "micro_expression") and finding.start_seconds > SPAN[0]:
            for form in range(3):
                sentence = evidence_sentence(finding, span=SPAN, form=form)
                if any(claim.kind == "time" for claim in read_claims(sentence)):
                    moved = finding.shifted(1.0)
                    assert not is_kept(sentence, [moved], ()), sentence


TRUE = """
She smiles warmly from 4.4 s on.
There is fear in her eyes.
For a moment, at 4.9 s, she looks frightened.
A fleeting micro-expression of fear, brows raised, appears at 4.9 seconds.
Her expression is joyful, with a broad smile and raised cheeks.
His tone is low.
He speaks slowly and in a low voice.
The deep voice sounds unhappy.
The voice is lower than usual.
The words are cheerful.
What she says is happy, but her voice is sad.
Although she smiles, the voice carries sorrow.
The voice conflicts with the words.
The face matches the words.
The words do not fit the voice.
There is no anger in the voice.
The voice is not loud.
Her face shows neither anger nor disgust.
No fear, anger or grief is in the words.
The words "I am so angry and afraid" express joy.
She says "What a day. I hate it." with joy in the face.
From 2.0 to 8.0 s: the voice sounds of sadness.
Between 2 and 8 s the words express joy.
At 4.9 s the eyes widen for only 0.3 s.
A flash of fear crosses the face at 4.9 s: the inner brows rise.
A flash of fear at 4.9 s contradicts the words.
The face is happy until 8.0 s.
The corners of the mouth go up at 4.4 s.
She grins.
Fear shows briefly in the face.
The speaker turns to the door.
The scene is set in a kitchen, where people are still at the table.
The face is not contemptuous.
Anger is not seen in the face.
It may be that more is going on here.
The face lights up with delight while the voice stays mournful and slow.
The words express joy, and so does the smile.
The face contradicts neither the words nor the text.
The face shows nothing of anger.
The face shows happiness (4.4-8.0 s).
The face doesn't look angry.
Overall, joy prevails, as face and words agree.
It shows in the voice that she is sad: it is low and slow.
The woman's broad smile, which appears around 4.4 s, signals genuine happiness.
Her voice is low and slow, suggesting sorrow.
The speaker sounds sad despite the cheerful words.
While her face shows delight, her tone conveys grief.
Her eyebrows shoot up briefly at 4.9 s.
The slow, low-pitched delivery of the voice makes her sound dejected.
The text itself is upbeat: "I love it", she says.
She speaks with a deep, slow voice that carries sadness, while she says something joyful.
There's no sign of anger or disgust in her face.
Neither the voice nor the face shows anger.
Happiness can be read from the face from about 4.4 s until 8.0 s.
The smile lasts until the end.
Her happy expression is at odds with her sad voice.
The voice is sad, not angry.
She isn't angry, her face is happy.
The voice does not sound happy.
The joy in the face matches the joy of the words.
Her face is not neutral.
The face looks happy but for a flash of fear at 4.9 s.
The smile starts at 4.4 s and a micro-expression of fear interrupts it at 4.9 s.
She laughs.
The lip corners are pulled up and the cheeks are raised from 4.4 s on.
The fear seen at 4.9 s contradicts the smile.
The words express joy, and the face agrees with the words.
The voice contradicts the face and the words.
The expression changes to happiness at 4.4 s.
Although the words are positive, the speaker's voice reveals sorrow.
Her sad voice tells a different story from the words.
The pitch is three semitones lower than usual.
"""
FALSE = """
The face shows happiness from 8.0 s on.
The face shows happiness until 4.4 s.
At 4.9 s there is a micro-expression of fear, with corners pulled up.
At 4.9 s there is a micro-expression of fear, with lip corners pulled up.
The face shows fear, with lip corners pulled up.
She smiles warmly from 3.2 s on.
There is anger in her eyes.
There is fear in her voice.
The voice is cheerful.
The voice is joyful and the face is sad.
His tone is flat.
He raises his voice.
The voice is high.
He speaks quickly.
The words are bitter.
The face stays neutral.
The face gives little away.
The voice is even.
No expression shows on the face.
A flash of anger crosses the face at 4.9 s.
A flash of fear crosses the face at 6.0 s.
A brief look of joy crosses the face.
For an instant she frowns.
The brows are lowered.
Her nose wrinkles.
Her lips are pressed together.
The jaw drops at 4.9 s.
The corners of the mouth turned down.
At 4.4 s a look of fear shows on the face.
The face shows happiness from 5.6 s on.
There is no joy in the face.
The voice is not sad.
The voice is not low.
She does not smile.
The face contradicts the words.
The voice agrees with the words.
The face and the voice fit.
No face is seen.
The speaker is not in the picture.
The face shows happiness from 4.4 s on, and the voice sounds of anger.
The face shows happiness, fear and anger.
The words are factual.
At 11.3 s the voice breaks.
There is a trace of disgust.
She is angry.
A tear runs down her cheek.
He clenches his jaw.
The face is turned down, she nods.
The voice cracks.
The face shows nothing.
Without a smile, the voice is sad.
No micro-expression is seen.
Her furrowed brow and tight lips show anger.
The voice trembles with fear.
The speaker is furious, her voice loud and fast.
She smiles sadly.
Her face shows surprise when she says "what?" at 3.0 s.
Her gaze drops, her lip corners turn down, and she looks sad.
The voice is bright and cheerful.
Her face is expressionless.
She appears calm.
Her voice is calm and steady.
The words sound angry.
The face and voice agree.
There is no fear in the face, which shows happiness from 4.4 s on.
From 6.5 s on the face shows happiness.
At 4.4 s the voice gets angry.
A flash of disgust at 4.9 s.
A brief smile at 7.0 s.
The speaker is not seen.
The upper lip curls in contempt.
Her voice rises with excitement.
The words are sad and fit the voice.
She seems surprised.
The joy in the voice is obvious.
The words show no joy.
The lips part.
The face shows joy and contempt.
The eyes are closed at 4.9 s.
A hint of embarrassment crosses the face.
Her mouth is open and her eyes are wide at 4.9 s, a momentary look of fear.
"""


def lines(block):
    return block.strip().splitlines()


@pytest.mark.parametrize("sentence", lines(TRUE))
def test_paraphrased_true_sentences_are_kept(sentence):
    assert is_kept(sentence)


@pytest.mark.parametrize("sentence", lines(FALSE))
def test_paraphrased_false_sentences_are_removed(sentence):
    assert not is_kept(sentence)


ABSENT = ("No face is seen.", "The speaker is not in the picture.", "The speaker is heard, not seen.")


@pytest.mark.parametrize("sentence", ABSENT)
def test_no_face_is_supported_by_the_scene_or_by_missing_face_findings(sentence):
    assert is_kept(sentence, [VOICE]) and is_kept(sentence, [VOICE, JOY, UNSEEN])
    assert not is_kept(sentence, [VOICE, JOY])


def test_no_micro_expression_is_supported_if_none_was_detected():
    assert is_kept("No micro-expression is seen.", [JOY])
    assert is_kept("There is no flash of anger in the face.", [JOY, FLASH])


def test_times_of_an_absence_match_the_scene():
    assert is_kept("The face is not seen from 5.5 to 6.5 s.", [JOY, UNSEEN], ())
    assert is_kept("No face is seen, from 5.5 to 6.5 s, and there is sorrow.", [UNSEEN, VOICE], ())
    assert not is_kept("The face is not seen from 4.4 to 6.5 s.", [JOY, UNSEEN], ())


def test_claims_about_a_stream_without_findings_are_unsupported():
    assert not is_kept("The face is turned to the window.", [VOICE])
    assert not is_kept("The voice is heard.", [JOY]) and not is_kept("The words are long.", [JOY])


@pytest.mark.parametrize(
    ("label", "sentence", "supported"),
    [
        ("calm", "The voice is neutral.", True),
        ("neutral", "The voice stays even and gives little away.", True),
        ("neutral", "The tone is composed.", True),
        ("neutral", "The voice is even sad.", False),
        ("neutral", "She speaks in a matter-of-fact tone.", True),
    ],
)
def test_neutral_and_calm_are_equivalent(label, sentence, supported):
    assert is_kept(sentence, [Evidence("voice", label, *SPAN, certainty=0.8)]) is supported


@pytest.mark.parametrize(("sign", "sentence"), [
    ("monotonous", "His tone is flat."), ("loud", "He raises his voice."), ("halting", "Her speech has pauses."),
    ("lively", "She speaks in an animated voice."), ("soft", "She whispers."), ("fast", "The voice is rapid."),
])  # fmt: skip
def test_prosody_claims_are_supported_by_signs(sign, sentence):
    assert is_kept(sentence, [Evidence("voice", "", *SPAN, signs=(sign,))])
    assert not is_kept(sentence, [Evidence("voice", "", *SPAN, signs=("high",))])


def test_pitch_in_semitones_supports_high_and_low():
    assert is_kept("The voice is higher than usual.", [replace(VOICE, signs=(), pitch_semitones=1.2)])
    assert not is_kept("The voice is higher than usual.", [replace(VOICE, signs=(), pitch_semitones=0.8)])


def test_uncertain_findings_support_no_emotion():
    assert is_kept("The face is afraid.", [replace(FLASH, certainty=0.15)])
    assert not is_kept("The face is afraid.", [replace(FLASH, certainty=0.14)])
    assert not is_kept("The face and the words agree.", [replace(JOY, certainty=0.2), SAID])
    assert is_kept("No fear is on the face.", [replace(FLASH, certainty=0.4)])


def test_everyday_words_are_not_emotions():
    sentence = "It looks like the speaker is still sure, open and fine, thinks a lot and wants to be close."
    assert not [claim for claim in read_claims(sentence) if claim.kind == "emotion"]


def test_supported_and_unsupported_sentences_keep_their_order():
    text = "At 4.4 s she smiles. The voice is angry. So it may be a good day."
    checked = check_explanation(text, evidence=ALL)
    assert checked.text == "At 4.4 s she smiles. So it may be a good day."
    assert checked.unsupported == ("The voice is angry.",)
    assert check_explanation("", evidence=()).text == ""


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("The face is calm until 4.4 s. It is over.", 2),
        ('He says "I go. You stay. Done." and smiles.', 1),
        ('He says "I go." The face is calm.', 2),
        ("It isn't hers. She says ‘No. Yes.’ at 2 s!  Why? ", 3),
        ("One line\nAnother line", 2),
        ("Dr. Smith smiles approx. 4 times.", 1),
    ],
)
def test_sentences_are_split_only_at_their_ends(text, count):
    assert len(split_sentences(text)) == count


def test_signs_in_brackets_belong_to_the_preceding_stream():
    findings = (JOY, replace(VOICE, label="neutral"))
    text = (
        "The voice is neutral (lips pulled up). The voice is neutral (low, slow). There is joy on the face (loud). "
        "The voice sounds neutral (lips apart). The voice is neutral (of the ear). "
        "The voice is neutral (sounding of the ear)."
    )
    checked = check_explanation(text, evidence=findings, spans=[SPAN])
    assert checked.text == "The voice is neutral (low, slow)."


def test_a_stream_does_not_agree_with_itself():
    assert check_explanation("The face fits the face.", evidence=(JOY,)).unsupported == ("The face fits the face.",)
