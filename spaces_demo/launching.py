"""Starting the demo: the same page on a Space and by `microemo demo`."""

from __future__ import annotations

from functools import partial

import gradio as gr
from starlette.middleware import Middleware

from microemo.inference.analyzer import EmotionAnalyzer
from microemo.spaces_demo import appearance, interface
from microemo.spaces_demo.examples import EXAMPLES
from microemo.spaces_demo.server_files import ServerFiles
from microemo.spaces_demo.session import Runner, Session
from microemo.spaces_demo.settings import DemoSettings
from microemo.spaces_demo.uploads_only import NoFetching
from microemo.spaces_demo.worker import WorkerPool
from microemo.spaces_demo.zero_gpu import gpu_runner, is_zero_gpu


def make_runner(settings: DemoSettings) -> Runner:
    """What analyses: the GPU that a ZeroGPU Space lends, elsewhere processes that hold the model."""
    load = partial(EmotionAnalyzer.from_pretrained, settings.model, device=settings.device)
    if is_zero_gpu():
        return gpu_runner(load())
    pool = WorkerPool(load, count=settings.concurrency, max_seconds=settings.max_job_seconds)
    pool.wait_until_loaded()
    return pool.run


def launch(
    run: Runner,
    *,
    settings: DemoSettings,
    files: ServerFiles,
    host: str | None = None,
    port: int | None = None,
    open_browser: bool = False,
    wait: bool = True,
) -> tuple[gr.Blocks, str]:
    """Serves the page; returns it and its address, after the end where `wait`.

    Args:
        files: of `server_files`, which outlive the page.
    """
    session = Session(run, limits=settings.limits, files=files)
    page = interface.build(session, settings=settings)
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        inbrowser=open_browser,
        prevent_thread_lock=not wait,
        allowed_paths=[str(example.video) for example in EXAMPLES],
        app_kwargs={"middleware": [Middleware(NoFetching)]},
        max_file_size=f"{settings.limits.max_megabytes}mb",
        theme=appearance.theme(),
        css=appearance.style(),
        head=appearance.head(),
        footer_links=["api", "settings"],
        show_error=True,
        ssr_mode=False,
        run_history=False,
    )
    return page, address
