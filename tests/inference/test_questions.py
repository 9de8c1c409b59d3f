"""Questions that code answers from a report, those it must leave to the model, and those nobody can answer."""

from dataclasses import replace

import pytest
from fake_landmarks import FakeLandmarker

from microemo.inference.explanation.time_shift import named_times
from microemo.inference.questions.question import LAST, Condition, Question, Target, UnparsedQuestion, parse_question
from microemo.inference.report.report import ActionUnitCurve, FaceCurve, MacroExpression
from microemo.inference.request import AnalysisRequest

SMILE = Target(("action_unit",), ("AU12",))
SPEAK = Target(("words",))
MICRO = Target(("micro_expression",))


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("How often does she smile while he speaks?", Question("count", SMILE, "she", None, Condition(SPEAK, "he"))),
        ("How many micro-expressions are there in the video?", Question("count", MICRO)),
        ("What type is the third micro-expression?", Question("type", MICRO, ordinal=3)),
        ("What is the expression of the 2nd microexpression?", Question("type", MICRO, ordinal=2)),
        ("Which action units are involved in the last micro expression?", Question("units", MICRO, ordinal=LAST)),
        ("For how long does Anna Lee smile?", Question("duration", SMILE, "Anna Lee")),
        ("When does face 2 blink?", Question("when", Target(("action_unit",), ("AU45",)), "face 2")),
        ("Is AU04 shown?", Question("whether", Target(("action_unit",), ("AU4",)))),
        ("Is the lip corner depressor shown?", Question("whether", Target(("action_unit",), ("AU15",)))),
        ("How many micro-expressions of fear occur?", Question("count", Target(("micro_expression",), ("fear",)))),
        (
            "How often does she smile between 1.5 and 3 s?",
            Question("count", SMILE, "she", None, Condition(between=(1.5, 3.0))),
        ),
        (
            "Does she raise her eyebrows during the second utterance?",
            Question("whether", Target(("action_unit",), ("AU1", "AU2")), "she", None, Condition(SPEAK, None, 2)),
        ),
    ],
)
def test_questions_are_understood(text, question):
    assert parse_question(text, speakers=("Anna", "Anna Lee")) == question


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Why is she happy?", "must begin with how often"),
        ("How often does she smile sarcastically?", r"does not understand \(sarcastically\)"),
        ("How often does she smile and blink?", r"does not understand \(smile, and\)"),
        ("How often does she not smile?", r"\(not\)"),
        ("How often does Carla smile?", r"\(carla\)"),
        ("How often does she?", "names nothing that a report holds"),
        ("How often does she smile while he waits?", r"\(waits\)"),
        ("How often does she smile while he?", "condition that names nothing"),
        ("How often does she smile while he speaks between 1 and 2 s?", "may have one condition"),
    ],
)
def test_what_is_not_understood_is_named(report, text, words):
    with pytest.raises(UnparsedQuestion, match=words):
        report.ask(text)


def with_smile_heard(report):
    """Anna's face is seen until 4 s, and she smiles from 3.5 s on while Ben speaks."""
    curve = report.face_curves[0]
    later = [round(2.9 + place * 0.1, 1) for place in range(12)]
    smiles, nothing = tuple(0.8 * (time >= 3.5) for time in later), (0.0,) * len(later)
    units = tuple(
        replace(unit, intensities=unit.intensities + (smiles if unit.label == "AU12" else nothing))
        for unit in curve.action_units
    )
    return replace(report, face_curves=(FaceCurve(1, (*curve.times, *later), None, None, action_units=units),))


def test_counts_and_durations_have_times(report):
    answer = report.ask("How often does she smile?")
    assert (answer.value, len(answer.spans), answer.answered_by) == (2, 2, "report")
    assert answer.spans[0] == pytest.approx((0.524, 1.276), abs=0.01)
    assert answer.text.startswith("2 times: 0.52-1.28 s")
    assert report.ask("How long does Anna smile?").value == pytest.approx(2 * 0.752, abs=0.01)
    assert report.ask("How long does Anna smile between 1 and 2 s?").value == pytest.approx(0.276 + 0.076, abs=0.01)


def test_another_pronoun_is_somebody_else(report):
    heard = with_smile_heard(report)
    while_ben = heard.ask("How often does she smile while he speaks?")
    assert while_ben.value == 1 and while_ben.spans[0][0] == pytest.approx(3.415, abs=0.01)
    assert while_ben == replace(heard.ask("How often does Anna smile while Ben speaks?"), question=while_ben.question)
    assert heard.ask("How often does she smile while she speaks?").value == 2
    assert heard.ask("How often does she smile?").value == 3
    assert while_ben.notes == ("faces were looked at in 1.0 of these 1.4 s",)


def test_a_face_that_was_not_looked_at_is_no_zero(report):
    answer = report.ask("How often does she smile while he speaks?")
    assert answer.value is None and answer.text == "The report cannot tell: no such face was looked at in these 1.4 s"
    assert answer.spans == ((3.1, 4.5),)


def test_long_video_questions_of_micro_expressions(report):
    first = report.summary.micro_expressions[0]
    later = replace(first, onset_seconds=2.0, apex_seconds=2.1, offset_seconds=2.2, expression="fear", action_units=())
    two = replace(report, summary=replace(report.summary, micro_expressions=(first, later)))
    assert two.ask("How many micro-expressions are there?").value == 2
    assert two.ask("What type is the second micro-expression?").value == "fear"
    assert two.ask("What types of micro-expressions occur?").value == "happiness, fear"
    assert (
        two.ask("Which action units are active in the first micro-expression?").value == "AU12 lip corner puller, AU6"
    )
    measured = two.ask("Which action units are active in the second micro-expression?")
    assert measured.value == "AU12 lip corner puller", "those measured stand in where the face head names none"
    assert "apex 2.10 s" in two.ask("When is the last micro-expression?").text
    assert two.ask("How many micro-expressions of fear are there?").spans == ((2.0, 2.2),)
    assert two.ask("How many micro-expressions are there while she blinks?").value == 0
    with pytest.raises(ValueError, match="number 3 is asked for .* the report has 2"):
        two.ask("What type is the third micro-expression?")


def test_an_overlap_of_two_expressions(report):
    assert report.ask("Is she happy while she smiles?").value is True
    assert report.ask("How long is she happy while she smiles?").value == pytest.approx(0.176 + 0.752, abs=0.01)


def test_both_brows_at_once_are_one_movement(report):
    curve = report.face_curves[0]
    brows = [0.0] * 25
    brows[5:9] = [0.5] * 4
    units = tuple(ActionUnitCurve(label, label, tuple(brows)) for label in ("AU1", "AU2"))
    raised = replace(report, face_curves=(replace(curve, action_units=units),))
    assert raised.ask("How often does she raise her eyebrows?").value == 1
    assert raised.ask("Which action units are active?").value == "AU1 inner brow raiser, AU2 outer brow raiser"


def test_a_condition_that_is_never_met_is_said(report):
    answer = report.ask("How often does she smile while she frowns?")
    assert answer.value == 0 and "never happens" in answer.notes[0]


def with_two_faces(report):
    other = replace(report.face_curves[0], track_id=2)
    return replace(report, face_curves=(report.face_curves[0], other))


@pytest.mark.parametrize(
    ("change", "question", "words"),
    [
        (with_two_faces, "How often does she smile?", "must say who 'she' is, there are Anna, face 2"),
        (lambda report: report, "How often does Ben smile?", "asks about Ben, of whom the report has nothing"),
        (lambda report: report, "How often does face 7 smile?", "asks about face 7"),
        (lambda report: report, "How often does she smile between 3 and 2 s?", "the first must be less"),
        (
            lambda report: replace(report, summary=replace(report.summary, macro_expressions=None)),
            "How often is she happy?",
            "holds no macro-expressions: .*schema 3.0",
        ),
        (
            lambda report: replace(report, face_curves=(replace(report.face_curves[0], action_units=None),)),
            "How often does she smile?",
            "holds no action units",
        ),
        (
            lambda report: replace(report, settings=replace(report.settings, person="largest")),
            "How often does she smile while he speaks?",
            "must name who 'he' is .* whose face is whose",
        ),
    ],
)
def test_what_cannot_be_answered_is_an_error(report, change, question, words):
    with pytest.raises(ValueError, match=words) as caught:
        change(report).ask(question)
    assert not isinstance(caught.value, UnparsedQuestion)


def test_two_faces_are_told_apart_by_name_and_number(report):
    both = with_two_faces(report)
    assert both.ask("How often does Anna smile?").value == both.ask("How often does face 2 smile?").value == 2
    assert both.ask("How many smiles are there?").value == 4


def test_expressions_of_both_kinds(report):
    lasting = (*report.summary.macro_expressions, MacroExpression(1, 2.0, 2.2, 2.6, 0.6, "fear"))
    more = replace(report, summary=replace(report.summary, macro_expressions=lasting))
    assert more.ask("How many expressions are there?").value == 3
    assert more.ask("How many macro-expressions are there?").value == 2


def test_times_that_a_text_names():
    text = 'From 1.5 to 2.0 s she smiles, at 3 s too; it lasts for 0.2 s. He says "4 s".'
    assert named_times(text) == ((1.5, 2.0), (3.0, 3.0))


def test_an_analyzer_counts_without_writing(make_analyzer, video, spoken, monkeypatch):
    analyzer = make_analyzer()
    analyzer.reader.landmarker = FakeLandmarker()
    monkeypatch.setattr(analyzer.model, "generate_from_prefix", None)  # called, it would raise
    answer = analyzer.ask(video, "How many utterances are there?", AnalysisRequest(spoken))
    assert answer.value == 2 and answer.spans == ((0.2, 1.2), (1.5, 2.8))


def test_the_model_answers_what_code_cannot(make_analyzer, video, spoken, monkeypatch):
    analyzer = make_analyzer(max_chunk_seconds=1.5)
    asked = []

    def question_inputs(questions):
        asked.append(list(questions))
        return type(analyzer.processor).question_inputs(analyzer.processor, questions)

    monkeypatch.setattr(analyzer.processor, "question_inputs", question_inputs)
    answer = analyzer.ask(video, "Why does she look up at 2.0 s?", AnalysisRequest(spoken))
    assert asked == [["Why does she look up at 1.9 s?"], ["Why does she look up at 0.6 s?"]], "on each chunk's clock"
    assert answer.answered_by == "model" and answer.text and answer.spans


def test_a_model_that_does_not_write_says_what_was_not_understood(make_analyzer, video, spoken):
    silent = make_analyzer(trained_parts=("face_tower",))
    with pytest.raises(UnparsedQuestion, match="must begin with"):
        silent.ask(video, "Why does she look up?", AnalysisRequest(spoken))
