"""A module whose import fails, for the tests."""

raise RuntimeError("no licence file")
