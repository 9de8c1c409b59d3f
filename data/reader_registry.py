"""Registry of all readers, and tables of the `datasets` library, in memory or streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microemo.data.answers import spread_questions
from microemo.data.example import Example
from microemo.data.readers import (
    conversations,
    emer,
    emobench,
    emotion_llama,
    jsonl,
    labelled_faces,
    meld,
    mer,
    public_corpora,
)
from microemo.data.readers.mer import MerOptions

try:
    import datasets
except ImportError:
    datasets = None

if TYPE_CHECKING:
    from datasets import Dataset, Features, IterableDataset

MER_FIELDS = ("language", "allow_pickle", "missing")


@dataclass(frozen=True)
class Reader:
    """A reader. read: yields the examples at a path. takes: names of further arguments. fixed: preset arguments."""

    read: Callable[..., Iterator[Example]]
    takes: tuple[str, ...] = ()
    fixed: dict[str, Any] = field(default_factory=dict)


_MER = ("split", *MER_FIELDS)
READERS = {
    "jsonl": Reader(jsonl.read_jsonl, ("media_root",)),
    "conversations": Reader(conversations.read_conversations, ("media_root",)),
    "mer2023": Reader(mer.read_mer2023, _MER),
    "mer2024": Reader(mer.read_mer2024, _MER),
    "mer2025": Reader(mer.read_mer_tables, _MER),
    "mer2026": Reader(mer.read_mer_tables, _MER),
    "mer_ov": Reader(mer.read_mer_tables, _MER),
    "ovmerd_plus": Reader(mer.read_mer_tables, MER_FIELDS, {"split": "ovlabel"}),
    "emer_v1": Reader(emer.read_emer_v1, MER_FIELDS),
    "emer_v2": Reader(emer.read_emer_v2, MER_FIELDS),
    "merr": Reader(emotion_llama.read_merr, (*_MER, "tasks")),
    "emobench": Reader(emobench.read_emobench, ("task", "media_root")),
    "meld": Reader(meld.read_meld, (*_MER, "dialogues")),
    **{f"{corpus}_prepared": Reader(meld.read_prepared, _MER, {"corpus": corpus}) for corpus in meld.PREPARED},
    "goemotions": Reader(public_corpora.read_goemotions, ("split", "together")),
    **{
        corpus: Reader(public_corpora.read_voices, ("split",), {"corpus": corpus})
        for corpus in public_corpora.VOICE_CORPORA
    },
    "stills": Reader(labelled_faces.read_stills, ("split",)),
    "segments": Reader(labelled_faces.read_labelled_segments),
}


def read_examples(name: str, path: str | Path, **arguments: Any) -> Iterator[Example]:
    """Reads the examples of a data set.

    Args:
        name: a key of `READERS`.
        path: folder of the data set, or its file ("jsonl", "conversations").
        **arguments: arguments of the reader, such as split, language, allow_pickle, missing or media_root.
    """
    if name not in READERS:
        raise ValueError(f"reader ({name!r}) must be one of {', '.join(READERS)}")
    reader = READERS[name]
    unknown = sorted(set(arguments) - set(reader.takes))
    if unknown:
        raise ValueError(f"reader {name!r} does not take {unknown}; it takes {list(reader.takes)}")
    arguments = {**reader.fixed, **arguments}
    options = {key: arguments.pop(key) for key in MER_FIELDS if key in arguments}
    if options:
        arguments["options"] = MerOptions(**options)
    return reader.read(Path(path).expanduser(), **arguments)


def load_examples(
    name: str,
    path: str | Path,
    *,
    streaming: bool = False,
    questions: str | None = None,
    take: int | None = None,
    **arguments: Any,
) -> Dataset | IterableDataset:
    """Loads a data set as a table, one row per example (see `Example.from_row`).

    Args:
        streaming: return an `IterableDataset` that reads lazily instead of a `Dataset` in memory.
        questions: one row for each question, see `spread_questions`; None: one row per example.
        take: number of examples to use, from the first; None: all.
        **arguments: see `read_examples`.
    """
    _require_datasets()
    selection: dict[str, Any] = {
        "name": name,
        "path": str(path),
        "questions": questions,
        "take": take,
        "arguments": arguments,
    }
    if streaming:
        return datasets.IterableDataset.from_generator(_rows, features=example_features(), gen_kwargs=selection)
    return datasets.Dataset.from_list(list(_rows(**selection)), features=example_features())


def table_of(examples: Iterable[Example]) -> Dataset:
    """Converts examples to a `Dataset` in memory."""
    _require_datasets()
    return datasets.Dataset.from_list([example.to_row() for example in examples], features=example_features())


def _rows(
    name: str, path: str, questions: str | None, take: int | None, arguments: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    examples = islice(read_examples(name, path, **arguments), take)
    for example in examples if questions is None else spread_questions(examples, choice=questions):
        yield example.to_row()


def example_features() -> Features:
    """Returns the types of the columns, which cannot be inferred for columns that are empty in the first rows."""
    _require_datasets()
    text, number = datasets.Value("string"), datasets.Value("float64")
    numbers = datasets.List(datasets.Value("float32"))
    targets = {
        "open_labels": datasets.List(text),
        "description": text,
        "closed_label": text,
        "emotions": datasets.List(text),
        "valence": number,
        "arousal": number,
    }
    utterance = {
        "text": text, "start_seconds": number, "end_seconds": number, "speaker": text, "targets": targets,
    }  # fmt: skip
    event = {
        "kind": text,
        "emotion": text,
        **dict.fromkeys(("onset_seconds", "apex_seconds", "offset_seconds", "intensity"), number),
    }
    timeline = {
        "events": datasets.List(event),
        "unit_names": datasets.List(text),
        "unit_times": numbers,
        "unit_values": numbers,
    }
    return datasets.Features(
        {
            **dict.fromkeys(("example_id", "video", "audio", "faces", "transcript"), text),
            "utterances": datasets.List(utterance),
            "targets": targets,
            "timeline": timeline,
            "turn": {"question": text, "answer": text, "options": datasets.List(text), "task": text},
            "question_index": datasets.Value("int64"),
        }
    )


def _require_datasets() -> None:
    if datasets is None:
        raise ImportError("tables of examples need the datasets library: pip install microemo[train]")
