"""Where shared data stand, or why a test skips."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    """Give the path of a shared file or folder, or skip with the reason."""

    def find(name: str) -> Path:
        root = os.environ.get("TWLLM_DATA")
        if root is None or not (Path(root) / name).exists():
            pytest.skip(f"shared data not found: {name}")
        return Path(root) / name

    return find
