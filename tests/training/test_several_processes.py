"""Two CPU processes give the losses and weights of one process; sharded layers give the same gradients."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from microemo.training.recipe import load_recipe
from microemo.training.train import train

yaml = pytest.importorskip("yaml")

LAUNCH_SECONDS = 180
COMMAND = """
import argparse
from microemo.cli.train import add_arguments, run
parser = argparse.ArgumentParser()
add_arguments(parser)
run(parser.parse_args())
"""

SHARDED = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
import torch.distributed as distributed
from torch.distributed.fsdp import fully_shard
from tiny_model import collate, tiny_clip, tiny_model
from microemo import MicroEmoForConditionalGeneration
from microemo.training.parameter_groups import train_only
from microemo.training.recipe import load_recipe

distributed.init_process_group("gloo")
mesh = distributed.init_device_mesh("cpu", (2,))
classes = load_recipe("paper_7b_fsdp").training["fsdp_config"]["transformer_layer_cls_to_wrap"]

def loss_and_gradient(*, sharded):
    model = tiny_model(MicroEmoForConditionalGeneration)
    train_only(model, parts=["video_qformer", "micro_dynamics", "emotion_head"])
    found = [layer for layer in model.modules() if type(layer).__name__ in classes]
    assert {type(layer).__name__ for layer in found} == set(classes)
    if sharded:
        for layer in found:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
    seeds = [distributed.get_rank()] if sharded else [0, 1]
    batch = collate([tiny_clip(2, seed=seed) for seed in seeds])
    labels = batch["input_ids"].clone()
    output = model(**batch, labels=labels, micro_labels=torch.ones(batch["face_times"].shape))
    output.loss.backward()
    gradient = dict(model.named_parameters())["model.video_qformer.queries"].grad
    gradient = gradient.full_tensor() if sharded else gradient
    loss = output.loss.detach().clone()
    if sharded:
        distributed.all_reduce(loss, op=distributed.ReduceOp.SUM)
        loss = loss / 2
    return loss, gradient

whole, sharded = loss_and_gradient(sharded=False), loss_and_gradient(sharded=True)
torch.testing.assert_close(sharded[0], whole[0], rtol=1e-4, atol=1e-4)
torch.testing.assert_close(sharded[1], whole[1], rtol=1e-3, atol=1e-5)
distributed.barrier()
distributed.destroy_process_group()
"""


def launch(launcher, arguments, *, folder):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *launcher, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=LAUNCH_SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_processes_equal_one(workshop, tmp_path):
    recipe = asdict(workshop.recipe(tmp_path / "two", per_device_train_batch_size=1))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(recipe))))
    # Without a GPU, "--multi_gpu" is accelerate's way to ask for processes; the recipe says use_cpu.
    accelerate = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
    settings = ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    script = tmp_path / "train.py"
    script.write_text(COMMAND)
    arguments = [*settings, str(script), str(tmp_path / "recipe.yaml"), "--data", str(workshop.root)]
    launch(accelerate, arguments, folder=tmp_path)
    changes = ["training.gradient_accumulation_steps=2", f"training.output_dir={tmp_path / 'one'}"]
    train(load_recipe(tmp_path / "recipe.yaml", changes=changes), data_root=workshop.root)

    curves = [
        json.loads((tmp_path / run / "weights" / "training_record.json").read_text())["curves"]
        for run in ("two", "one")
    ]
    assert len(curves[0]) == 3
    for two, one in zip(*[curve[:2] for curve in curves], strict=True):
        for name in ("loss", "language_loss", "emotion_loss", "face_loss", "grad_norm"):
            assert two[name] == pytest.approx(one[name], rel=1e-5), name
    weights = [load_file(tmp_path / run / "model" / "model.safetensors") for run in ("two", "one")]
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.slow
def test_sharded_layers_give_the_same_gradients(tmp_path):
    script = tmp_path / "sharded.py"
    script.write_text(SHARDED)
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    launch(launcher, [str(script), str(Path(__file__).resolve().parents[1])], folder=tmp_path)
