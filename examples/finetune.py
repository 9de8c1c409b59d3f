"""Fine-tunes MicroEmo on your own clips with transformers' own Trainer.

    python examples/finetune.py clips.jsonl finetuned [model]

Each line of clips.jsonl is a clip: {"video": "a.mp4", "labels": ["relieved"], "explanation": "Emotions: relieved.\\n
Reason: ...", "utterances": [{"start_seconds": 0.4, "end_seconds": 2.9, "text": "At last!", "labels": ["relieved"]}]}
"""

import sys

from transformers import Trainer, TrainingArguments

from microemo import MicroEmoForConditionalGeneration, MicroEmoProcessor
from microemo.conversion.mini.assemble_mini import assemble_mini
from microemo.data.reader_registry import load_examples
from microemo.training.collator import MicroEmoDataCollator
from microemo.training.parameter_groups import train_only

if len(sys.argv) not in (3, 4):
    sys.exit("usage: python examples/finetune.py CLIPS.jsonl OUTPUT [MODEL]")
clips, output, *base = sys.argv[1:]
base = base[0] if base else assemble_mini()
model = MicroEmoForConditionalGeneration.from_pretrained(base)
processor = MicroEmoProcessor.from_pretrained(base)
train_only(model, parts=["video_qformer", "audio_qformer", "video_projector", "audio_projector", "emotion_head"])

arguments = TrainingArguments(
    output, num_train_epochs=1, per_device_train_batch_size=2, learning_rate=1e-4, remove_unused_columns=False
)
trainer = Trainer(
    model,
    arguments,
    data_collator=MicroEmoDataCollator(processor, config=model.config, perceiver=model),
    train_dataset=load_examples("jsonl", clips, questions="one"),
    processing_class=processor,
)
trainer.train()
trainer.save_model(output)
