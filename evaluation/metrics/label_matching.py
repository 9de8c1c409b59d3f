"""Groupings of synonymous labels for `open_vocabulary.set_scores`: from a file, word vectors or a language model.

`exact_grouping` (open_vocabulary) and `wheel_grouping` (wheel_metrics) need no resources.
"""

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from microemo.evaluation.metrics.label_parsing import group_mapping, parse_label_groups
from microemo.evaluation.metrics.open_vocabulary import Grouping

MODEL_ATTEMPTS = 5


def file_grouping(path: str | Path) -> Grouping:
    """Returns the grouping of a JSON file: a list of lists of words."""
    groups = json.loads(Path(path).read_text(encoding="utf-8"))
    if not (isinstance(groups, list) and all(isinstance(group, list) for group in groups)):
        raise ValueError(f"path ({path}) must hold a list of lists of words, got {type(groups).__name__}")
    mapping = group_mapping([[str(word).lower() for word in group] for group in groups])
    return lambda words: {word: mapping[word] for word in words if word in mapping}


def read_stored_groups(path: str | Path) -> dict[str, str]:
    """Returns clip name -> text of its groups from MER2024's `openset-synonym`, a folder or zip of `{name}.npy`.

    The text can be passed to `open_vocabulary.set_scores_of_groups`.
    """
    path = Path(path)
    if path.is_dir():
        return {file.stem: _read_text(file.read_bytes()) for file in sorted(path.rglob("*.npy"))}
    if not zipfile.is_zipfile(path):
        raise ValueError(f"path ({path}) must be a folder or a zip file of .npy files")
    with zipfile.ZipFile(path) as archive:
        members = sorted(name for name in archive.namelist() if name.endswith(".npy"))
        return {Path(name).stem: _read_text(archive.read(name)) for name in members}


def embedding_grouping(embed: Callable[[Sequence[str]], np.ndarray], *, threshold: float = 0.6) -> Grouping:
    """Returns a grouping of words with similar vectors.

    Args:
        embed: words -> (words, width) vectors; a row of zeros or NaN for an unknown word, which is not grouped.
        threshold: minimum cosine similarity of any two words of a group (complete linkage), from -1 to 1.
    """
    if not -1 <= threshold <= 1:
        raise ValueError(f"threshold ({threshold}) must be from -1 to 1")

    def group(words: Sequence[str]) -> dict[str, str]:
        vectors = np.nan_to_num(np.asarray(embed(words), dtype=np.float64)) if words else np.zeros((0, 1))
        if vectors.ndim != 2 or len(vectors) != len(words):
            raise ValueError(f"embed must give one vector per word: {len(words)} words, got shape {vectors.shape}")
        lengths = np.linalg.norm(vectors, axis=1)
        known = np.flatnonzero(lengths > 0)
        if len(known) < 2:
            return {}
        # Distance 1 - cosine; the tolerance keeps equal vectors together despite rounding.
        numbers = fcluster(
            linkage(vectors[known], method="complete", metric="cosine"), t=1 - threshold + 1e-9, criterion="distance"
        )
        clusters: dict[int, list[str]] = {}
        for position, number in zip(known.tolist(), numbers.tolist(), strict=True):
            clusters.setdefault(number, []).append(words[position])
        return group_mapping(clusters.values())

    return group


def word_vector_embedder(path: str | Path) -> Callable[[Sequence[str]], np.ndarray]:
    """Returns an embedder over a text file of word vectors (GloVe, or word2vec and fastText with their header line).

    A label of several words gets the mean vector of its known words.
    """
    vectors: dict[str, np.ndarray] = {}
    with Path(path).open(encoding="utf-8") as file:
        for line in file:
            word, *numbers = line.rstrip().split(" ")
            if len(numbers) > 1:  # the header of word2vec's format is two numbers
                vectors[word] = np.array(numbers, dtype=np.float32)
    if not vectors:
        raise ValueError(f"path ({path}) must hold lines of a word and its vector, got none")
    width = len(next(iter(vectors.values())))

    def embed(words: Sequence[str]) -> np.ndarray:
        rows = np.zeros((len(words), width))
        for row, label in zip(rows, words, strict=True):
            known = [vectors[part] for part in label.split() if part in vectors]
            if known:
                row[:] = np.mean(known, axis=0)
        return rows

    return embed


def model_grouping(complete: Callable[[str], str]) -> Grouping:
    """Returns a grouping by a language model, as in EMER and MER2024.

    Args:
        complete: returns the model's answer to a prompt; called up to five times while the answer is empty.
    """

    def group(words: Sequence[str]) -> dict[str, str]:
        if not words:
            return {}
        prompt = (
            "You are an expert on emotions. Put those of the following emotion words that mean the same into one "
            "group. Answer with a list of lists and nothing else.\n"
            "Words: ['Glad', 'happy', 'content', 'mad', 'Angry']\nGroups: [['Glad', 'happy', 'content'], ['mad', "
            f"'Angry']]\nWords: {list(words)}\nGroups:"
        )
        answers = (complete(prompt) for _ in range(MODEL_ATTEMPTS))
        answer = next((answer for answer in answers if answer.strip()), "")
        return group_mapping(parse_label_groups(answer))

    return group


def _read_text(content: bytes) -> str:
    """Returns the text stored in a .npy file. Pickled objects are rejected, as they could run code."""
    return str(np.load(io.BytesIO(content), allow_pickle=False))
