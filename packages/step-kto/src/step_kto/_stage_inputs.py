"""What a stage says of the models and files that decide its result, without a machine's paths."""

from pathlib import Path

from twllm_types import InputFile

DECISIVE_PACKAGES = ("step-kto", "twllm-engines")
PACKAGES = ("torch", "transformers", "tokenizers", "vllm", "h11")


def stage_input(folder: Path, name: str, sha256: str) -> InputFile:
    """Describe a file that an earlier stage wrote."""
    return InputFile(name=name, num_bytes=(folder / name).stat().st_size, sha256=sha256)
