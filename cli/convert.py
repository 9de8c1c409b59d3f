"""`microemo convert`: original weights in, a Hugging Face folder out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

DESCRIPTION = """\
Makes a MicroEmo folder of the original files of TimeChat or Video-LLaMA. Nothing is downloaded except BERT's tokenizer
(give --bert a folder to stay offline); checkpoints are read as tensors only, never as code. One shard is in memory at
a time, and an interrupted conversion goes on where it stopped.
"""
EPILOG = """\
examples:
  microemo convert timechat --timechat timechat_7b.pth --vit eva_vit_g.pth \\
      --qformer instruct_blip_vicuna7b_trimmed.pth --llama Llama-2-7b-chat-hf --out timechat-7b-hf
      TimeChat as it is

  microemo convert timechat --preset 7b --whisper whisper-medium ... --out microemo-7b
      the same weights as a beginning of MicroEmo; what MicroEmo adds starts from a seed and wants training

  microemo convert video-llama --vl VL_LLaMA_2_7B_Finetuned.pth --vit eva_vit_g.pth \\
      --qformer blip2_pretrained_flant5xxl.pth --llama Llama-2-7b-chat-hf --out video-llama-7b-hf

  microemo convert presets
      the sizes of all presets as a Markdown table

exit codes:
  0 converted   1 failure   2 wrong usage, or files that do not fit   130 interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    kinds = parser.add_subparsers(dest="kind", metavar="WHAT", required=True)
    timechat = kinds.add_parser("timechat", help="TimeChat, or MicroEmo that begins as TimeChat")
    timechat.add_argument("--timechat", required=True, type=Path, metavar="FILE", help="timechat_7b.pth")
    timechat.add_argument(
        "--preset", choices=("timechat", "7b", "acoustemo"), default="timechat", help="default: timechat"
    )
    timechat.add_argument(
        "--timestamp-tokenizer",
        choices=("bert", "llama"),
        default="bert",
        help="how frames' times are read: bert as in TimeChat's inference (default), llama as in its training",
    )
    timechat.add_argument("--bert", metavar="DIR", help="folder or Hub id of BERT's tokenizer")
    timechat.add_argument("--audio", type=Path, metavar="FILE", help="Video-LLaMA's AL checkpoint, to begin with")
    lora = timechat.add_argument_group("LoRA")
    lora.add_argument("--lora", choices=("merge", "adapter"), default="merge", help="default: merge")
    lora.add_argument(
        "--lora-alpha", type=float, default=32.0, help="32 as trained (default); 20 for plainer language"
    )
    lora.add_argument(
        "--strict", action="store_true", help="fail where the file has lost some of its LoRA, instead of a warning"
    )
    video_llama = kinds.add_parser("video-llama", help="Video-LLaMA's vision and language branch")
    video_llama.add_argument("--vl", required=True, type=Path, metavar="FILE", help="VL_LLaMA_2_7B_Finetuned.pth")
    for kind in (timechat, video_llama):
        _add_shared_arguments(kind)
    kinds.add_parser("presets", help="print the parameter counts of all presets")


def _add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--vit", required=True, type=Path, metavar="FILE", help="eva_vit_g.pth")
    parser.add_argument("--qformer", required=True, type=Path, metavar="FILE", help="InstructBLIP's or BLIP-2's file")
    parser.add_argument("--llama", required=True, type=Path, metavar="DIR", help="folder of the language model")
    parser.add_argument("--whisper", type=Path, metavar="DIR", help="folder of a Whisper, for presets with sound")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where to; must not exist")
    parser.add_argument("--dtype", choices=("bfloat16", "float16", "float32"), default="bfloat16")
    parser.add_argument("--shard-gb", type=float, default=4.0, metavar="GB", help="largest file, default 4")


def run(arguments: argparse.Namespace) -> int:
    """Converts, or prints the table of presets; returns the exit code."""
    # Here, because `add_arguments` shall import nothing heavy.
    from microemo.presets import parameter_table

    if arguments.kind == "presets":
        print(parameter_table())
        return 0
    print(_convert(arguments))
    return 0


def _convert(arguments: argparse.Namespace) -> Path:
    from microemo.conversion.timechat.convert_timechat_to_hf import ConversionOptions, OriginalFiles, convert_timechat
    from microemo.conversion.timechat.paper_config import BERT, paper_parts

    is_timechat = arguments.kind == "timechat"
    given = (arguments.timechat, arguments.audio) if is_timechat else (arguments.vl,)
    files = OriginalFiles(
        vit=arguments.vit,
        qformer=arguments.qformer,
        llama=arguments.llama,
        checkpoints=tuple(path for path in given if path is not None),
        whisper=arguments.whisper,
    )
    named = ("lora", "lora_alpha", "strict") if is_timechat else ()
    lora = {name: getattr(arguments, name) for name in named}
    options = ConversionOptions(dtype=arguments.dtype, max_shard_bytes=int(arguments.shard_gb * 1e9), **lora)
    parts = paper_parts(
        arguments.preset if is_timechat else "video_llama",
        files=files,
        timestamp_tokenizer=arguments.timestamp_tokenizer if is_timechat else "bert",
        bert=(arguments.bert if is_timechat else None) or BERT,
    )
    return convert_timechat(
        files,
        arguments.out,
        config=parts.config,
        processor=parts.processor,
        generation_config=parts.generation_config,
        options=options,
        progress=_show,
    )


def _show(stage: str, done: int, total: int) -> None:
    print(f"{stage} {done}/{total}", end="\n" if done == total else "\r", file=sys.stderr, flush=True)
