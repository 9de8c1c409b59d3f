"""Registers MicroEmo lazily with the Auto classes of transformers.

Registering at import time would make `import microemo` import transformers, torchvision and the video readers, which
takes seconds even for a script that only prints its help text. Each registration is therefore deferred until the
module of its Auto class is imported. transformers has no hook for this, so an import hook is used: a finder on
`sys.meta_path` that delegates to the other finders and is notified when a module has been executed.

    import microemo                    installs the finder, nothing else
    from transformers import AutoModel transformers.models.auto.modeling_auto is imported -> AutoModel.register(...)

A registration imports modules of microemo, which import modules of transformers. In the middle of an import these
could be partially initialised, so registrations run when the outermost import of transformers or microemo has
finished.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

WATCHED_PACKAGES = ("transformers", "microemo")


@dataclass(frozen=True)
class Registration:
    """A function to call with the module `trigger` once that module has been imported."""

    trigger: str
    register: Callable[[ModuleType], None]


def _register_config(auto: ModuleType) -> None:
    config_class = import_module("microemo.configuration_microemo").MicroEmoConfig
    auto.AutoConfig.register("microemo", config_class, exist_ok=True)


def _register_models(auto: ModuleType) -> None:
    config_class = import_module("microemo.configuration_microemo").MicroEmoConfig
    models = import_module("microemo.modeling_microemo")
    auto.AutoModel.register(config_class, models.MicroEmoModel, exist_ok=True)
    for auto_class in (auto.AutoModelForImageTextToText, auto.AutoModelForMultimodalLM):
        auto_class.register(config_class, models.MicroEmoForConditionalGeneration, exist_ok=True)


def _register_video_processor(auto: ModuleType) -> None:
    config_class = import_module("microemo.configuration_microemo").MicroEmoConfig
    video_processor = import_module("microemo.processing.video_processing_microemo").MicroEmoVideoProcessor
    auto.AutoVideoProcessor.register(config_class, video_processor, exist_ok=True)


def _register_processor(auto: ModuleType) -> None:
    config_class = import_module("microemo.configuration_microemo").MicroEmoConfig
    processor = import_module("microemo.processing.processing_microemo").MicroEmoProcessor
    auto.AutoProcessor.register(config_class, processor, exist_ok=True)


def _register_pipeline(pipelines: ModuleType) -> None:
    pipeline = import_module("microemo.inference.pipeline")
    if pipeline.TASK not in pipelines.PIPELINE_REGISTRY.supported_tasks:  # register_pipeline has no exist_ok
        models = import_module("transformers.models.auto.modeling_auto")
        pipelines.PIPELINE_REGISTRY.register_pipeline(
            pipeline.TASK,
            pipeline_class=pipeline.VideoEmotionRecognitionPipeline,
            pt_model=models.AutoModelForMultimodalLM,
            type="multimodal",
        )


REGISTRATIONS = (
    Registration("transformers.models.auto.configuration_auto", _register_config),
    Registration("transformers.models.auto.modeling_auto", _register_models),
    Registration("transformers.models.auto.video_processing_auto", _register_video_processor),
    Registration("transformers.models.auto.processing_auto", _register_processor),
    Registration("transformers.pipelines", _register_pipeline),
)


class AutoRegistration(MetaPathFinder):
    """Import hook that watches transformers and microemo and runs the pending registrations.

    No lock is held while modules are imported, because it could deadlock with Python's import locks. Two threads that
    import at the same time may both register, which is harmless.
    """

    def __init__(self, registrations: Sequence[Registration] = REGISTRATIONS) -> None:
        self._pending = list(registrations)
        self._thread = threading.local()

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Returns the spec of the other finders, with a loader that reports when the module has been executed."""
        if not self._pending or fullname.partition(".")[0] not in WATCHED_PACKAGES:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _WatchedLoader(spec.loader, registration=self)
                return spec
        return None

    def importing(self, execute: Callable[[], None]) -> None:
        """Executes a module; after the outermost import, runs the registrations whose trigger has been imported."""
        self._thread.depth = getattr(self._thread, "depth", 0) + 1
        try:
            execute()
            if self._thread.depth == 1:
                self._register_ready()
        finally:
            self._thread.depth -= 1

    def _register_ready(self) -> None:
        while ready := [registration for registration in self._pending if registration.trigger in sys.modules]:
            for registration in ready:
                registration.register(import_module(registration.trigger))
                if registration in self._pending:  # another thread may have removed it
                    self._pending.remove(registration)


class _WatchedLoader(Loader):
    """Wraps a module's loader until the module is executed, then restores the original loader."""

    def __init__(self, loader: Any, *, registration: AutoRegistration) -> None:
        self._loader, self._registration = loader, registration

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._registration.importing(lambda: self._loader.exec_module(module))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def install() -> None:
    """Installs the import hook and registers with the modules that are already imported."""
    if not any(isinstance(finder, AutoRegistration) for finder in sys.meta_path):
        registration = AutoRegistration()
        sys.meta_path.insert(0, registration)
        registration.importing(lambda: None)
