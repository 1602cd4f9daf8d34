"""Fixtures of the engines' tests; modules in `importable` can be imported by name."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "importable"))

# The folder stands on the path only from here on.
from fault_server import FaultServer


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """A server on loopback."""
    with FaultServer() as running:
        yield running
