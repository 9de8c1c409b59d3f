"""Who is meant in a question: names, numbers of faces, and pronouns, which a report cannot tell by themselves.

one face in the report                    "she" is that person
the same pronoun again in the condition   is the same person
another pronoun there                     is somebody else
"""

from __future__ import annotations

from microemo.inference.questions.question import PRONOUNS, Question, Target
from microemo.inference.report.report import EmotionReport
from microemo.inference.report.report_events import face_name

UNNAMED = "speaker"  # who says an utterance without a name, see `report_events`


class Cast:
    """The people of a report. faces: who each track is; speakers: who says something; names: those of speakers."""

    def __init__(self, report: EmotionReport) -> None:
        self.faces = {face.track_id: face_name(report, face.track_id) for face in report.face_curves}
        self.speakers = frozenset(utterance.speaker or UNNAMED for utterance in report.utterances)
        named = {utterance.speaker for utterance in report.utterances if utterance.speaker}
        self.names = tuple(sorted(named))

    def resolve(self, who: str | None, *, target: Target) -> frozenset[str] | None:
        """Those who are meant by `who`; None is anybody. Raises `ValueError` for several people or an unknown face."""
        if who is None:
            return None
        people = self._people(target)
        if who not in PRONOUNS.values():
            if who not in people:
                raise ValueError(
                    f"question asks about {who}, of whom the report has nothing: it has {_listed(people)}"
                )
            return frozenset({who})
        if len(people) > 1:
            raise ValueError(f"question must say who {who!r} is, there are {_listed(people)}")
        return people

    def resolve_beside(self, who: str | None, *, target: Target, asked: Question) -> frozenset[str] | None:
        """Those who are meant in the condition of a question. Raises as `resolve`, and where faces have no names."""
        if who is None or who not in PRONOUNS.values() or asked.who is None or asked.who not in PRONOUNS.values():
            return self.resolve(who, target=target)
        people = self._people(target)
        subject = self.resolve(asked.who, target=asked.target) or frozenset()
        if subject <= people:
            return subject if who == asked.who else people - subject
        if who == asked.who and len(people) == 1:
            return people
        raise ValueError(
            f"question must name who {who!r} is ({_listed(people)}), since the report does not say whose face is whose"
        )

    def _people(self, target: Target) -> frozenset[str]:
        return self.speakers if target.kinds == ("words",) else frozenset(self.faces.values())


def _listed(people: frozenset[str]) -> str:
    return ", ".join(sorted(people)) or "nobody"
