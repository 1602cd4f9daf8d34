"""Fixtures for the whole workspace."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# a deadline per example would be a timed assertion; CI tries the same examples each time, people try new ones
settings.register_profile("taiwan-llm", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("taiwan-llm")

DATA_VARIABLE = "TWLLM_DATA"


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Return a function that finds a file or folder of the shared data, or skips the test with the reason."""

    def find(name: str) -> Path:
        root = os.environ.get(DATA_VARIABLE)
        if not root:
            pytest.skip(f"shared data not found: {DATA_VARIABLE} is not set")
        path = Path(root) / name
        if not path.exists():
            pytest.skip(f"shared data not found: {name}")
        return path

    return find
