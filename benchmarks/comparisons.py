"""What this package does beside what people use for the same, on the same clip in the same process."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from facexlib.detection.retinaface import RetinaFace

from benchmarks.clips import ClipSpec, make_clip, spread_utterances
from benchmarks.measuring import Figure, peak_mib, timed
from benchmarks.whole import complete_analyzer
from microemo.inference.chunk_analysis import questions_at_once
from microemo.inference.report.report import EmotionReport, Settings
from microemo.placement import has_fast_bfloat16
from microemo.processing.clip import Clip, FaceTrack
from microemo.processing.clip_reading import ClipReader
from microemo.processing.detected_faces import FaceDetections, box_overlaps
from microemo.processing.face_detection import CenterFaceDetector

SAME_FACE = 0.5  # intersection over union
LOOP_FRAMES = 25  # on which the slow nets are timed; the rest would only repeat them
ANSWER_TOKENS = 32  # written for each question, by both roads
FULL_PREFILLS = 4  # questions that are timed with a prefill of their own
REPEATS = 5


def faces(*, seconds: float, height: int, people: int, folder: str) -> list[Figure]:
    """Crops of all faces by `ClipReader`, beside nets that are run on every frame in a Python loop."""
    spec = ClipSpec(seconds, height, people)
    path = make_clip(spec, folder=Path(folder))
    reader = ClipReader()
    whole = [{"start": 0.0, "end": seconds, "text": "speaks all the time"}]  # so that faces are wanted everywhere

    def read() -> Clip:
        return next(reader.read(path, transcript=whole, person="largest"))

    read()
    clip, wall, processor = timed(read)
    detector = CenterFaceDetector()
    found, loop_wall, loop_processor = timed(
        lambda: _on_every_frame(path, lambda frame: detector.detect(frame[None])[0])
    )
    shown = len(found)
    figures = [
        _faces_figure("ours: decode, detect, track, crop", spec, wall, processor, frames=shown),
        _faces_figure("CenterFace on every frame in a loop", spec, loop_wall, loop_processor, frames=shown, ours=wall),
    ]
    figures[0].facts["faces of the loop that our tracks hold"] = round(
        agreement(found, clip.tracks, seconds=seconds), 4
    )
    for network in ("mobile0.25", "resnet50"):
        net = RetinaFace(network_name=network, device=torch.device("cpu")).eval()
        run = _retinaface_forward(net)
        frames, wall_, processor_ = timed(partial(_on_every_frame, path, run, most=LOOP_FRAMES))
        scale = shown / len(frames)
        figures.append(
            _faces_figure(
                f"facexlib RetinaFace {network} on every frame, forward pass alone, weights at random",
                spec,
                wall_ * scale,
                processor_ * scale,
                frames=shown,
                ours=wall,
            )
        )
    return figures


def _retinaface_forward(net: RetinaFace) -> Callable[[np.ndarray], Any]:
    """The net on one frame. Its weights are a download; the time of a forward pass does not depend on them."""

    @torch.inference_mode()
    def run(frame: np.ndarray) -> Any:
        inputs = torch.from_numpy(np.ascontiguousarray(frame[..., ::-1])).permute(2, 0, 1)[None].float()
        return net(inputs - net.mean_tensor)

    return run


def _on_every_frame(path: Path, run: Callable[[np.ndarray], Any], *, most: int | None = None) -> list[Any]:
    """OpenCV's reader and one call a frame, as most scripts have it."""
    capture = cv2.VideoCapture(str(path))
    results: list[Any] = []
    while most is None or len(results) < most:
        ok, frame = capture.read()
        if not ok:
            break
        results.append(run(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)))
    capture.release()
    return results


def _faces_figure(
    name: str, spec: ClipSpec, wall: float, processor: float, *, frames: int, ours: float | None = None
) -> Figure:
    facts: dict[str, Any] = {"frames a second": round(frames / wall, 1)}
    if ours is not None:
        facts["times ours"] = round(wall / ours, 2)
    return Figure("faces", f"{name}: {spec.name}", wall, processor, facts=facts)


def agreement(found: list[FaceDetections], tracks: tuple[FaceTrack, ...], *, seconds: float) -> float:
    """The part of the loop's faces (N frames over `seconds`) where one of our tracks has a box at that moment."""
    held = total = 0
    for index, detections in enumerate(found):
        ours = boxes_at(index * seconds / len(found), tracks=tracks)
        overlaps = box_overlaps(detections.boxes, ours)
        held += int((overlaps.max(axis=1) >= SAME_FACE).sum()) if len(ours) else 0
        total += len(detections)
    return held / max(total, 1)


def boxes_at(time: float, *, tracks: tuple[FaceTrack, ...]) -> np.ndarray:
    """(M, 4): the tracks' boxes at a moment, straight between their detections."""
    boxes = [
        [np.interp(time, track.times, column) for column in track.boxes.T]
        for track in tracks
        if track.times[0] <= time <= track.times[-1]
    ]
    return np.array(boxes, dtype=np.float32).reshape(-1, 4)


def py_feat(*, seconds: float, height: int, people: int, folder: str) -> list[Figure]:
    """py-feat's pipeline over the whole clip, where it is installed and finds its weights."""
    spec = ClipSpec(seconds, height, people)
    path = make_clip(spec, folder=Path(folder))
    try:
        detector = importlib.import_module("feat").Detector()
    except Exception as error:  # whatever keeps it from running is the answer
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return [Figure("faces", f"py-feat: {spec.name}", facts={"not run": reason})]
    _, wall, processor = timed(lambda: detector.detect(str(path), data_type="video"))
    return [_faces_figure("py-feat's pipeline", spec, wall, processor, frames=round(seconds * 25))]


@torch.inference_mode()
def segment_qformer(*, utterances: int, frames: int = 32) -> list[Figure]:
    """All segments of a clip in one call of the video Q-Former, beside a call for each."""
    analyzer = complete_analyzer()
    qformer = analyzer.model.model.video_qformer
    tokens_a_frame = analyzer.model.config.qformer_config.num_query_tokens
    frames = max(frames, utterances)
    count = frames * tokens_a_frame
    generator = torch.Generator().manual_seed(0)
    device = analyzer.model.device
    states = torch.randn(1, count, qformer.config.encoder_hidden_size, generator=generator).to(device)
    positions = torch.arange(frames, device=device).repeat_interleave(tokens_a_frame)[None]
    owners = positions * utterances // frames
    membership = torch.cat(
        (
            torch.ones(1, 1, count, dtype=torch.bool, device=device),
            owners[:, None] == torch.arange(utterances, device=device)[None, :, None],
        ),
        dim=1,
    )

    def loop() -> torch.Tensor:
        parts = []
        for inside in membership[0]:
            part = states[:, inside]
            everything = torch.ones(1, 1, part.shape[1], dtype=torch.bool, device=device)
            parts.append(qformer(part, positions=positions[:, inside], membership=everything))
        return torch.cat(parts, dim=1)

    together, wall, processor = timed(
        lambda: qformer(states, positions=positions, membership=membership), repeats=REPEATS
    )
    one_by_one, loop_wall, loop_processor = timed(loop, repeats=REPEATS)
    subject = f"{utterances} utterances and the clip, {frames} frames of {tokens_a_frame} tokens"
    return [
        Figure("segment Q-Former", f"ours, one call: {subject}", wall, processor),
        Figure(
            "segment Q-Former",
            f"a call for each utterance: {subject}",
            loop_wall,
            loop_processor,
            facts={
                "times ours": round(loop_wall / wall, 2),
                "largest difference": float((together - one_by_one).abs().max()),
            },
        ),
    ]


@torch.inference_mode()
def shared_prefix(*, utterances: int, seconds: float, folder: str) -> list[Figure]:
    """One prefill for all questions about a clip, beside one for each question."""
    analyzer = complete_analyzer()
    model, processor = analyzer.model, analyzer.processor
    path = make_clip(ClipSpec(seconds), folder=Path(folder))
    transcript = spread_utterances(utterances, seconds=seconds)
    clip = next(analyzer.reader.read(path, transcript=transcript))
    questions = processor.default_questions(clip)
    length = {"min_new_tokens": ANSWER_TOKENS, "max_new_tokens": ANSWER_TOKENS, "do_sample": False}

    def shared() -> None:
        prefix = model.encode_prefix(**processor.from_clip(clip).to(model.device))
        at_once = questions_at_once(len(questions), prefix=prefix)
        for first in range(0, len(questions), at_once):
            batch = processor.question_inputs(questions[first : first + at_once])
            ids = [row[mask.bool()] for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
            model.generate_from_prefix(prefix, ids, **length)

    def prefill_each() -> None:
        for question in questions[:FULL_PREFILLS]:
            model.generate(**processor.from_clip(clip, question=question).to(model.device), **length)

    _, wall, processor_seconds = timed(shared)
    _, each_wall, each_processor = timed(prefill_each)
    scale = len(questions) / FULL_PREFILLS
    subject = f"{len(questions)} questions, {ANSWER_TOKENS} tokens each: {seconds:g} s, {utterances} utterances"
    return [
        Figure("shared prefix", f"ours: {subject}", wall, processor_seconds),
        Figure(
            "shared prefix",
            f"a prefill for each question: {subject}",
            each_wall * scale,
            each_processor * scale,
            facts={"times ours": round(each_wall * scale / wall, 2), "questions timed": FULL_PREFILLS},
        ),
    ]


def reading_memory(*, seconds: float, height: int, naive: bool, folder: str) -> list[Figure]:
    """The memory of reading a clip: by `ClipReader`, or all frames in a list as many scripts have it."""
    spec = ClipSpec(seconds, height)
    path = make_clip(spec, folder=Path(folder))
    before = peak_mib()
    if naive:
        frames, wall, processor = timed(lambda: _on_every_frame(path, lambda frame: frame))
        facts: dict[str, Any] = {"frames": len(frames)}
    else:
        reader = ClipReader()
        transcript = spread_utterances(max(round(seconds / 4), 1), seconds=seconds)
        windows, wall, processor = timed(lambda: sum(1 for _ in reader.read(path, transcript=transcript)))
        facts = {"windows": windows}
    facts["MiB beyond the libraries"] = round(peak_mib() - before)
    name = "every frame decoded into memory" if naive else "ours, with faces"
    return [Figure("memory", f"{name}: {spec.name}", wall, processor, peak_mib=peak_mib(), facts=facts)]


def half_precision(*, seconds: float, utterances: int, folder: str) -> list[Figure]:
    """Scores in float32, the default, and in bfloat16: time, and how far the probabilities move."""
    path = make_clip(ClipSpec(seconds), folder=Path(folder))
    transcript = spread_utterances(utterances, seconds=seconds)
    settings = Settings("scores", "speaker", None, "given")
    figures, reports = [], []
    for dtype in ("float32", "bfloat16"):
        analyzer = complete_analyzer(dtype=dtype)
        clip = next(analyzer.reader.read(path, transcript=transcript))
        analyzer.report_clip(clip, settings=settings)
        report, wall, processor = timed(partial(analyzer.report_clip, clip, settings=settings))
        reports.append(report)
        figures.append(
            Figure("precision", f"{dtype}: {seconds:g} s, {utterances} utterances, model alone", wall, processor)
        )
    expressions, emotions = ([scores(report) for report in reports] for scores in (_expressions, _emotions))
    figures[1].facts.update(
        {
            "times faster": round(figures[0].seconds / figures[1].seconds, 2),  # type: ignore[operator]
            "bfloat16 is fast here": has_fast_bfloat16(),
            "largest change of an expression's probability": _difference(*expressions),
            "largest change of an emotion's probability": _difference(*emotions),
        }
    )
    return figures


def _expressions(report: EmotionReport) -> list[float]:
    return [value for curve in report.face_curves for one in curve.expressions or () for value in one.probabilities]


def _emotions(report: EmotionReport) -> list[float]:
    ordered = [sorted(utterance.emotions or (), key=lambda score: score.label) for utterance in report.utterances]
    return [score.probability for scores in ordered for score in scores]


def _difference(first: list[float], second: list[float]) -> float:
    return round(float(np.abs(np.array(first) - np.array(second)).max(initial=0.0)), 4)
