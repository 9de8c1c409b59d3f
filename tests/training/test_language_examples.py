"""Tokenized examples: prompt, labels, batches and files."""

import numpy as np
import pytest
import torch
from tiny_folder import tiny_parts
from tiny_language import EMOTIONS, WIDTH
from tiny_model import AUDIO_TOKENS, VIDEO_TOKENS

from microemo.data.example import EmotionTargets, Example, LabelledUtterance
from microemo.processing.clip import Clip, Utterance
from microemo.processing.clip_tensors import IGNORE_INDEX
from microemo.processing.emotion_parsing import parse_emotions
from microemo.processing.evidence import Evidence
from microemo.processing.evidence_text import evidence_lines
from microemo.training.language.examples import (
    LanguageCollator,
    evidence_example,
    load_examples,
    save_examples,
    words_example,
)

CLIP = Clip("a", 0.0, 5.0, (Utterance(0.5, 2.0, "I am fine.", "Anna"), Utterance(2.5, 4.0, "Are you?", "Ben")))
EVIDENCE = (
    (Evidence("face", "sadness", 0.5, 2.0, certainty=0.8, signs=("AU15",)), Evidence("words", "joy", 0.5, 2.0, 0.6)),
    (Evidence("voice", "fear", 2.5, 4.0, certainty=0.7, signs=("high",), pitch_semitones=3.0),),
)
SEGMENTS = 3


@pytest.fixture(scope="module")
def parts():
    return tiny_parts()


def example(processor, *, seed=0, **streams):
    rng = np.random.default_rng(seed)
    return evidence_example(CLIP, EVIDENCE, processor=processor, names=EMOTIONS, rng=rng, **streams)


def soft_tokens():
    rng = np.random.default_rng(0)
    counts = {"video": VIDEO_TOKENS, "audio": AUDIO_TOKENS}
    return {name: rng.normal(size=(SEGMENTS * count, WIDTH)).astype(np.float32) for name, count in counts.items()}


def words(processor):
    targets = EmotionTargets(emotions=("gratitude",))
    spoken = (LabelledUtterance("thanks", 0.0, 1.0, targets=targets),)
    return words_example(Example("w", utterances=spoken), processor=processor, names=EMOTIONS)


def test_prompt_contains_the_evidence(parts):
    processor = parts[1]
    shown, hidden = example(processor), example(processor, shows_evidence=False)
    for utterance, own in zip(CLIP.utterances, EVIDENCE, strict=True):
        for line in evidence_lines(own, span=(utterance.start_seconds, utterance.end_seconds)):
            asked = [
                processor.tokenizer.decode(each.input_ids[each.labels == IGNORE_INDEX]) for each in (shown, hidden)
            ]
            assert line in asked[0] and line not in asked[1]
    torch.testing.assert_close(shown.emotions, hidden.emotions)


def test_labels_cover_the_answer_only(parts):
    processor = parts[1]
    for seed in range(6):
        made = example(processor, seed=seed)
        learnt = made.labels != IGNORE_INDEX
        first = int(learnt.nonzero()[0])
        assert learnt[first:].all() and torch.equal(made.labels[first:], made.input_ids[first:])
        end = processor.tokenizer.eos_token
        answer = processor.tokenizer.decode(made.input_ids[first:])
        assert answer.endswith(end) and parse_emotions(answer.removesuffix(end)).is_parsed
        assert made.emotions.shape == (2, len(EMOTIONS)) and made.affect.shape == (2, 2)


def test_model_accepts_a_padded_batch(parts):
    model, processor = parts
    collator = LanguageCollator(pad_token_id=processor.tokenizer.pad_token_id)
    batch = collator([example(processor, **soft_tokens()), words(processor), example(processor, seed=1)])
    padding = batch["attention_mask"] == 0
    assert padding[1, -1] and not padding[:, 0].any() and not padding.all(0).any(), "padded on the right"
    assert batch["utterance_mask"].tolist() == [[True, True], [True, False], [True, True]]
    assert (batch["labels"][padding] == IGNORE_INDEX).all()
    assert (batch["labels"][1] == IGNORE_INDEX).all(), "words alone have no answer"
    assert (batch["emotion_labels"][1, 1] == IGNORE_INDEX).all()
    output = model(**batch)
    assert output.loss.isfinite() and output.language_loss > 0 and output.emotion_loss > 0
    assert "mm_encoder_outputs" not in collator([words(processor)])


def test_soft_tokens_change_the_outputs(parts):
    model, processor = parts
    collator = LanguageCollator(pad_token_id=processor.tokenizer.pad_token_id)
    streams = soft_tokens()
    changed = {**streams, "video": streams["video"] + 1}
    with torch.no_grad():
        losses = [model(**collator([example(processor, **each)])).language_loss for each in (streams, changed)]
    assert not torch.isclose(*losses)


def test_save_and_load_examples(parts, tmp_path):
    processor = parts[1]
    examples = [example(processor, **soft_tokens()), words(processor)]
    save_examples(examples, path=tmp_path / "new" / "evidence.pt")
    read = load_examples(tmp_path / "new" / "evidence.pt")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["evidence.pt"]
    for before, after in zip(examples, read, strict=True):
        for name, value in vars(before).items():
            assert value is getattr(after, name) is None or torch.equal(value, getattr(after, name))
