"""Makes the examples of the evidence stage: perceives the sources, composes dialogues, writes the answers.

    python -m microemo.training.language.prepare DATA --model runs/words/model --out evidence.pt --cache runs/sources

DATA holds stills/, ravdess/, emodb/, faces_in_motion/, goemotions/ and meld/ (readers say how). Clips whose source
declares no licence, and the people left for validation, are not used.
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
TEXT_GROUP = 8  # comments that are read in one prompt
WITH_EVIDENCE = 0.25  # share of the words alone
Source = TypeVar("Source")


@dataclass(frozen=True)
class Amounts:
    """How much of everything: sources that are perceived, then examples that are made of them."""

    photographs: int = 1000
    recordings: int = 250
    comments: int = 2400
    composed: int = 1200
    clip_questions: int = 4  # about each real clip, each time with another answer in other words
    first_comment: int = 10_400  # from here on: the passes before have not learned them
    rehearsed_comments: int = 500  # groups of eight, words alone
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
    """Writes the examples and returns how many there are.

    Args:
        model_folder: of the stage before, whose language model knows words.
        cache: keeps what was perceived, so that a second call composes at once.
        seed: of what is drawn.
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

    def kept(kind: type[Source], name: str, make: Callable[[], Iterable[Source]]) -> list[Source]:
        return kept_sources(cache / f"{name}.json", make, kind=kind)

    faces = kept(
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
    voices = kept(
        VoiceSource, "voices", lambda: _voices(data, model=model, processor=processor, most=amounts.recordings)
    )
    filmed = kept(
        ClipSource,
        "clips",
        lambda: _filmed(data / "faces_in_motion", reader=reader, model=model, processor=processor),
    )
    words = kept(WordsSource, "words", lambda: _words(data, model=model, processor=processor, most=amounts.comments))
    composer = Composer(
        faces=faces,
        voices=voices,
        words=words,
        expression_labels=tuple(model.config.expression_id2label.values()),
        voice_labels=tuple(model.config.voice_id2label.values()),
        word_labels=names,
    )
    made: dict[str, Any] = {"processor": processor, "names": names, "rng": rng}
    examples = [_composed(composer, **made) for _ in tqdm(range(amounts.composed), desc="composing")]
    examples += _of_clips(filmed, model=model, questions=amounts.clip_questions, **made)
    examples += _rehearsed(data, amounts, model=model, **made)
    save_examples(examples, path=out)
    return len(examples)


def kept_sources(path: Path, make: Callable[[], Iterable[Source]], *, kind: type[Source]) -> list[Source]:
    """The sources, dataclasses of one kind, made once and kept as JSON, which reading runs no code of."""
    if not path.is_file():
        entries = [to_plain(vars(source)) for source in tqdm(make(), desc=path.stem)]
        write_atomically(path, json.dumps(entries))
    return [kind(**from_plain(entry)) for entry in json.loads(path.read_text(encoding="utf-8"))]


def _voices(data: Path, *, model: Any, processor: Any, most: int) -> Iterable[VoiceSource]:
    labels = tuple(model.config.voice_id2label.values())
    recordings = []
    for corpus, layout in VOICE_CORPORA.items():
        acted = list(read_acted(data, corpus=corpus, labels=labels))
        people = sorted({each.person for each in acted})[: -layout.validation_people]
        recordings += [each for each in acted if each.person in people]
    return voice_sources(recordings[:: max(1, len(recordings) // most)], model=model, processor=processor)


def _filmed(folder: Path, *, reader: ClipReader, model: Any, processor: Any) -> Iterable[ClipSource]:
    files = dict.fromkeys(segment.file for segment in read_segments(folder) if segment.is_licensed)
    for file in files:
        clip = next(iter(reader.read(folder / file)))
        yield clip_source(clip, model=model, processor=processor)


def _words(data: Path, *, model: Any, processor: Any, most: int) -> Iterable[WordsSource]:
    """Comments and spoken lines in equal parts, with what the language model makes of each alone."""
    comments = islice(
        read_examples("goemotions", data / "goemotions", split="train", together=TEXT_GROUP),
        Amounts.first_comment // TEXT_GROUP,
        None,
    )
    dialogues = read_examples("meld", data / "meld", split="train", dialogues=True)
    texts: list[str] = []
    for source in (comments, dialogues):
        found = [
            spoken.text for example in source for spoken in example.utterances if 2 <= len(spoken.text.split()) <= 30
        ]
        texts += found[:: max(1, 2 * len(found) // most)]
    for start in range(0, len(texts), TEXT_GROUP):
        group = texts[start : start + TEXT_GROUP]
        spoken = tuple(Utterance(float(place), place + 1.0, text) for place, text in enumerate(group))
        clip = processor.fit_clip(Clip("words", 0.0, float(len(group)), spoken))
        (probabilities,) = word_probabilities([clip], model=model, processor=processor)
        yield from (WordsSource(each.text, row) for each, row in zip(clip.utterances, probabilities, strict=True))


def _composed(
    composer: Composer, *, processor: Any, names: Sequence[str], rng: np.random.Generator
) -> LanguageExample:
    """One composed dialogue; of a single voice that is heard the prompt holds its tokens, half the time."""
    composed = composer.compose(rng)
    voices = [voice for voice in composed.voices if voice is not None]
    audio = None
    if len(composed.clip.utterances) == 1 and voices and rng.random() < 0.5:
        audio = voices[0].tokens.reshape(-1, voices[0].tokens.shape[-1])
    return evidence_example(composed.clip, composed.evidence, audio=audio, processor=processor, names=names, rng=rng)


def _of_clips(
    sources: Sequence[ClipSource],
    *,
    model: MicroEmoForConditionalGeneration,
    processor: MicroEmoProcessor,
    names: Sequence[str],
    questions: int,
    rng: np.random.Generator,
) -> list[LanguageExample]:
    """Questions about real clips with their own soft tokens, a third of them with nothing else in the prompt."""
    examples = []
    for source in tqdm(sources, desc="clips"):
        (words,) = word_probabilities([processor.fit_clip(source.clip)], model=model, processor=processor)
        evidence = []
        for utterance, own, row in zip(source.clip.utterances, source.evidence, words, strict=True):
            span = utterance.start_seconds, utterance.end_seconds
            said = words_evidence(row, span, labels=names) if prompt_words(utterance).strip() else []
            evidence.append((*own, *said))
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


def _rehearsed(
    data: Path,
    amounts: Amounts,
    *,
    model: MicroEmoForConditionalGeneration,
    processor: MicroEmoProcessor,
    names: Sequence[str],
    rng: np.random.Generator,
) -> list[LanguageExample]:
    """Words alone with people's labels, so that they stay; to some the evidence of the words is given, as to clips."""
    comments = read_examples("goemotions", data / "goemotions", split="train", together=TEXT_GROUP)
    dialogues = read_examples("meld", data / "meld", split="train", dialogues=True)
    first = amounts.first_comment // TEXT_GROUP
    chosen = [
        *islice(comments, first, first + amounts.rehearsed_comments),
        *islice(dialogues, amounts.rehearsed_dialogues),
    ]
    examples = []
    for each in tqdm(chosen, desc="words alone"):
        evidence = None
        if rng.random() < WITH_EVIDENCE:
            clip = words_clip(each, processor=processor)
            (found,) = word_probabilities([clip], model=model, processor=processor)
            evidence = [
                tuple(words_evidence(row, (said.start_seconds, said.end_seconds), labels=names))
                for said, row in zip(clip.utterances, found, strict=True)
            ]
        examples.append(words_example(each, processor=processor, names=names, evidence=evidence))
    return examples


def main(arguments: list[str] | None = None) -> int:
    """The command line; exits with 2 and one line on bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m microemo.training.language.prepare",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="of the stage before")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--cache", type=Path, required=True, metavar="FOLDER", help="keeps what was perceived")
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
