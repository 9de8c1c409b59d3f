"""Tells transformers' Auto classes of MicroEmo, as late as they can be asked.

Registering at import would make `import microemo` import transformers, torchvision and everything that the processor
reads videos with: seconds that a script pays which only asks for its help text. So a registration waits until the
module of its Auto class is imported, by whomever. transformers has no hook for that, and a public one is Python's own:
a finder on `sys.meta_path`, which here finds nothing by itself but notes when a module has been executed.

    import microemo                    a finder is installed, nothing else
    from transformers import AutoModel transformers.models.auto.modeling_auto is imported -> AutoModel.register(...)

A registration imports our modules, and these import transformers'. Were it done in the middle of an import, it would
meet modules that are half executed. So it is done when the outermost import of transformers or microemo has finished.
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
    """What to do once the module `trigger` is there."""

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
    ours = import_module("microemo.inference.pipeline")
    if ours.TASK not in pipelines.PIPELINE_REGISTRY.supported_tasks:  # it has no exist_ok
        models = import_module("transformers.models.auto.modeling_auto")
        pipelines.PIPELINE_REGISTRY.register_pipeline(
            ours.TASK,
            pipeline_class=ours.VideoEmotionRecognitionPipeline,
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
    """Watches imports of transformers and of this package, and registers when it is time.

    No lock is held while modules are imported: two threads that import at once may both register, which does no harm,
    while a lock of ours and Python's import locks could wait for each other.
    """

    def __init__(self, registrations: Sequence[Registration] = REGISTRATIONS) -> None:
        self._waiting = list(registrations)
        self._thread = threading.local()

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec that the other finders give, with a loader that tells when the module has been executed."""
        if not self._waiting or fullname.partition(".")[0] not in WATCHED_PACKAGES:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _WatchedLoader(spec.loader, registration=self)
                return spec
        return None

    def importing(self, execute: Callable[[], None]) -> None:
        """Executes a module; after the outermost one, registers with what has been imported."""
        self._thread.depth = getattr(self._thread, "depth", 0) + 1
        try:
            execute()
            if self._thread.depth == 1:
                self._register_ready()
        finally:
            self._thread.depth -= 1

    def _register_ready(self) -> None:
        while ready := [each for each in self._waiting if each.trigger in sys.modules]:
            for registration in ready:
                registration.register(import_module(registration.trigger))
                if registration in self._waiting:  # another thread may have been as fast
                    self._waiting.remove(registration)


class _WatchedLoader(Loader):
    """A module's loader, until the module is executed; then the module has its own one back."""

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
    """Registers with what is imported already, and from now on with what will be."""
    if not any(isinstance(finder, AutoRegistration) for finder in sys.meta_path):
        registration = AutoRegistration()
        sys.meta_path.insert(0, registration)
        registration.importing(lambda: None)
