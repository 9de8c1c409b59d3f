"""The evidence prompt as plain text: what perception found of a video, for any language model to reason about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from microemo.inference.chunk_analysis import ChunkPerception
from microemo.inference.report.report import EmotionReport, EvidenceReport, UtteranceReport
from microemo.processing.clip import Clip, Utterance
from microemo.processing.emotion_parsing import LABELS_MARK, REASON_MARK
from microemo.processing.evidence import Evidence
from microemo.processing.prompt_text import clip_conversation, conversation_text, default_questions, sanitize_clip

# Another model knows neither what the lines mean nor how an answer is read back.
INTRODUCTION = (
    "This is a dialogue video as its words and as what separate recognisers found in face, voice and words, with "
    "probabilities and times in seconds. The recognisers may be wrong and may contradict each other."
)
ANSWER_FORM = (
    f"Answer in two lines, '{LABELS_MARK}' with words separated by commas, then '{REASON_MARK}' with evidence."
)


def evidence_prompt(clip: Clip, evidence: Sequence[Sequence[Evidence]], *, question: str | None = None) -> str:
    """The prompt of a clip whose streams have been perceived.

    Args:
        evidence: of each utterance.
        question: in place of the package's own question about the whole clip, which asks for an answer that
            `parse_emotions` reads.
    """
    clip = sanitize_clip(clip)
    asked = f"{default_questions(clip)[0]}\n{ANSWER_FORM}" if question is None else question
    conversation = clip_conversation(clip, evidence=evidence, soft_tokens=False, question=asked)
    return f"{INTRODUCTION}\n\n{conversation_text(conversation)}"


def prompt_of_chunks(chunks: Sequence[ChunkPerception], *, question: str | None = None) -> str:
    """One prompt for a video of one or many chunks, on the video's own clock."""
    last = chunks[-1].clip
    end = last.end_seconds if last.media_end_seconds is None else last.media_end_seconds
    utterances = tuple(utterance for chunk in chunks for utterance in chunk.clip.utterances)
    evidence = [found for chunk in chunks for found in chunk.evidence]
    return evidence_prompt(Clip(chunks[0].clip.source, 0.0, end, utterances), evidence, question=question)


def prompt_of_report(report: EmotionReport, *, question: str | None = None) -> str:
    """The same prompt from a saved report, which holds the evidence; no model is needed."""
    utterances = tuple(_utterance(entry) for entry in report.utterances)
    evidence = [[_evidence(found) for found in entry.evidence] for entry in report.utterances]
    return evidence_prompt(Clip(report.source, 0.0, report.duration_seconds, utterances), evidence, question=question)


def _utterance(entry: UtteranceReport) -> Utterance:
    return Utterance(
        entry.start_seconds,
        entry.end_seconds,
        entry.text,
        entry.speaker,
        language=entry.language,
        english=entry.english,
    )


def _evidence(found: EvidenceReport) -> Evidence:
    return Evidence(**{field.name: getattr(found, field.name) for field in fields(Evidence)})
