"""Prepares the examples of the evidence stage: runs perception on the sources and composes dialogues with answers.

    python -m microemo.training.language.prepare DATA --model runs/words/model --out evidence.pt --cache runs/sources

DATA has stills/, ravdess/, emodb/, faces_in_motion/, goemotions/ and meld/ (for layouts see the readers). Clips
without a declared licence and the validation people are not used.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from microemo import MicroEmoForConditionalGeneration, MicroEmoProcessor
from microemo.conversion.mini.assemble_mini import FACE_LANDMARKS_FOLDER
from microemo.data.labelled_segments import read_segments
from microemo.data.reader_registry import read_examples
from microemo.data.readers.public_corpora import VOICE_CORPORA
from microemo.data.voice_recordings import read_acted
from microemo.inference.array_json import from_plain, to_plain
from microemo.inference.model_loading import load_model
from microemo.inference.report.export import write_atomically
from microemo.processing.clip import Clip, Utterance, prompt_words
from microemo.processing.clip_reading import ClipReader
from microemo.processing.evidence import words_evidence
from microemo.training.language.composition import Composer, WordsSource
from microemo.training.language.examples import (
    LanguageExample,
    evidence_example,
    save_examples,
    words_clip,
    words_example,
)
from microemo.training.language.sources import (
    ClipSource,
    FaceSource,
    VoiceSource,
    clip_source,
    face_sources,
    voice_sources,
    word_probabilities,
)

SEED = 20_261
TEXT_GROUP = 8  # comments in one prompt
WITH_EVIDENCE = 0.25  # share of text-only examples whose prompt has evidence
Source = TypeVar("Source")


@dataclass(frozen=True)
class Amounts:
    """Numbers of sources to perceive, and of examples to make from them."""

    photographs: int = 1000
    recordings: int = 250
    comments: int = 2400
    composed: int = 1200
    clip_questions: int = 4  # per real clip, each with a newly drawn answer
    first_comment: int = 10_400  # index of the first comment; earlier passes use those before it
    rehearsed_comments: int = 500  # text-only examples of eight comments
    rehearsed_dialogues: int = 700


def prepare(
    data: Path,
    *,
    model_folder: Path,
    out: Path,
    cache: Path,
    amounts: Amounts | None = None,
    seed: int = SEED,
) -> int:
    """Writes the examples and returns their number.

    Args:
        model_folder: model of the previous stage, whose language model judges the words.
        cache: folder of the perceived sources.
        seed: of all random choices.
    """
    amounts = amounts or Amounts()
    rng = np.random.default_rng(seed)
    cache.mkdir(parents=True, exist_ok=True)
    loaded = load_model(model_folder)
    model, processor = loaded.model.eval(), loaded.processor
    reader = processor.clip_reader(
        landmarker=loaded.reading.landmarker,
        recognizer=loaded.reading.recognizer,
        voice_embedder=loaded.reading.voice_embedder,
    )
    names = tuple(model.config.emotion_id2label.values())

    def cached(kind: type[Source], name: str, make: Callable[[], Iterable[Source]]) -> list[Source]:
        return cached_sources(cache / f"{name}.json", make, kind=kind)

    faces = cached(
        FaceSource,
        "faces",
        lambda: face_sources(
            data / "stills",
            model=model,
            processor=processor,
            landmarks=model_folder / FACE_LANDMARKS_FOLDER,
            most=amounts.photographs,
        ),
    )
    voices = cached(
        VoiceSource, "voices", lambda: _voices(data, model=model, processor=processor, most=amounts.recordings)
    )
    clips = cached(
        ClipSource,
        "clips",
        lambda: _clips(data / "faces_in_motion", reader=reader, model=model, processor=processor),
    )
    words = cached(WordsSource, "words", lambda: _words(data, model=model, processor=processor, most=amounts.comments))
    composer = Composer(
        faces=faces,
        voices=voices,
        words=words,
        expression_labels=tuple(model.config.expression_id2label.values()),
        voice_labels=tuple(model.config.voice_id2label.values()),
        word_labels=names,
    )
    shared: dict[str, Any] = {"processor": processor, "names": names, "rng": rng}
    examples = [_composed_example(composer, **shared) for _ in tqdm(range(amounts.composed), desc="composing")]
    examples += _clip_examples(clips, model=model, questions=amounts.clip_questions, **shared)
    examples += _text_examples(data, amounts, model=model, **shared)
    save_examples(examples, path=out)
    return len(examples)


def cached_sources(path: Path, make: Callable[[], Iterable[Source]], *, kind: type[Source]) -> list[Source]:
    """Computes sources, dataclasses of one kind, or reads them from the cache: JSON, which runs no code."""
    if not path.is_file():
        entries = [to_plain(vars(source)) for source in tqdm(make(), desc=path.stem)]
        write_atomically(path, json.dumps(entries))
    return [kind(**from_plain(entry)) for entry in json.loads(path.read_text(encoding="utf-8"))]


def _voices(data: Path, *, model: Any, processor: Any, most: int) -> Iterable[VoiceSource]:
    labels = tuple(model.config.voice_id2label.values())
    recordings = []
    for corpus, layout in VOICE_CORPORA.items():
        corpus_recordings = list(read_acted(data, corpus=corpus, labels=labels))
        people = sorted({recording.person for recording in corpus_recordings})[: -layout.validation_people]
        recordings += [recording for recording in corpus_recordings if recording.person in people]
    return voice_sources(recordings[:: max(1, len(recordings) // most)], model=model, processor=processor)


def _clips(folder: Path, *, reader: ClipReader, model: Any, processor: Any) -> Iterable[ClipSource]:
    files = dict.fromkeys(segment.file for segment in read_segments(folder) if segment.is_licensed)
    for file in files:
        clip = next(iter(reader.read(folder / file)))
        yield clip_source(clip, model=model, processor=processor)


def _words(data: Path, *, model: Any, processor: Any, most: int) -> Iterable[WordsSource]:
    """Comments and dialogue lines in equal parts, with their emotion probabilities from the language model."""
    comments = islice(
        read_examples("goemotions", data / "goemotions", split="train", together=TEXT_GROUP),
        Amounts.first_comment // TEXT_GROUP,
        None,
    )
    dialogues = read_examples("meld", data / "meld", split="train", dialogues=True)
    texts: list[str] = []
    for source in (comments, dialogues):
        source_texts = [
            utterance.text
            for example in source
            for utterance in example.utterances
            if 2 <= len(utterance.text.split()) <= 30
        ]
        texts += source_texts[:: max(1, 2 * len(source_texts) // most)]
    for start in range(0, len(texts), TEXT_GROUP):
        group = texts[start : start + TEXT_GROUP]
        utterances = tuple(Utterance(float(index), index + 1.0, text) for index, text in enumerate(group))
        clip = processor.fit_clip(Clip("words", 0.0, float(len(group)), utterances))
        (probabilities,) = word_probabilities([clip], model=model, processor=processor)
        pairs = zip(clip.utterances, probabilities, strict=True)
        yield from (WordsSource(utterance.text, row) for utterance, row in pairs)


def _composed_example(
    composer: Composer, *, processor: Any, names: Sequence[str], rng: np.random.Generator
) -> LanguageExample:
    """One composed dialogue. Half of those with a single utterance and a voice have its soft tokens in the prompt."""
    composed = composer.compose(rng)
    voices = [voice for voice in composed.voices if voice is not None]
    audio = None
    if len(composed.clip.utterances) == 1 and voices and rng.random() < 0.5:
        audio = voices[0].tokens.reshape(-1, voices[0].tokens.shape[-1])
    return evidence_example(composed.clip, composed.evidence, audio=audio, processor=processor, names=names, rng=rng)


def _clip_examples(
    sources: Sequence[ClipSource],
    *,
    model: MicroEmoForConditionalGeneration,
    processor: MicroEmoProcessor,
    names: Sequence[str],
    questions: int,
    rng: np.random.Generator,
) -> list[LanguageExample]:
    """Questions about real clips with their soft tokens; a third of the prompts have no evidence."""
    examples = []
    for source in tqdm(sources, desc="clips"):
        (words,) = word_probabilities([processor.fit_clip(source.clip)], model=model, processor=processor)
        evidence = []
        for utterance, findings, row in zip(source.clip.utterances, source.evidence, words, strict=True):
            span = utterance.start_seconds, utterance.end_seconds
            word_findings = words_evidence(row, span, labels=names) if prompt_words(utterance).strip() else []
            evidence.append((*findings, *word_findings))
        for number in range(questions):
            tokens = {"video": source.video, "audio": source.audio}
            if rng.random() < 0.2:
                tokens = dict.fromkeys(tokens, None)
            examples.append(
                evidence_example(
                    source.clip,
                    evidence,
                    shows_evidence=number % 3 > 0 or all(value is None for value in tokens.values()),
                    processor=processor,
                    names=names,
                    rng=rng,
                    **tokens,
                )
            )
    return examples


def _text_examples(
    data: Path,
    amounts: Amounts,
    *,
    model: MicroEmoForConditionalGeneration,
    processor: MicroEmoProcessor,
    names: Sequence[str],
    rng: np.random.Generator,
) -> list[LanguageExample]:
    """Text-only examples with human labels, against forgetting; some have the evidence of the words in the prompt."""
    comments = read_examples("goemotions", data / "goemotions", split="train", together=TEXT_GROUP)
    dialogues = read_examples("meld", data / "meld", split="train", dialogues=True)
    first = amounts.first_comment // TEXT_GROUP
    sources = [
        *islice(comments, first, first + amounts.rehearsed_comments),
        *islice(dialogues, amounts.rehearsed_dialogues),
    ]
    examples = []
    for source in tqdm(sources, desc="text-only examples"):
        evidence = None
        if rng.random() < WITH_EVIDENCE:
            clip = words_clip(source, processor=processor)
            (probabilities,) = word_probabilities([clip], model=model, processor=processor)
            evidence = [
                tuple(words_evidence(row, (utterance.start_seconds, utterance.end_seconds), labels=names))
                for utterance, row in zip(clip.utterances, probabilities, strict=True)
            ]
        examples.append(words_example(source, processor=processor, names=names, evidence=evidence))
    return examples


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns 2 with a one-line error on bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m microemo.training.language.prepare",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="model of the previous stage")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--cache", type=Path, required=True, metavar="FOLDER", help="cache of the perceived sources")
    options = parser.parse_args(arguments)
    try:
        count = prepare(options.data, model_folder=options.model, out=options.out, cache=options.cache)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{count} examples in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
