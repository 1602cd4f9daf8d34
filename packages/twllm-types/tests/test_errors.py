import inspect

import pytest

import twllm_types
from twllm_types import (
    ArtifactError,
    ConfigError,
    DataError,
    EngineError,
    LockedError,
    MissingDependencyError,
    RunError,
    ShapeError,
    TwllmError,
)


@pytest.mark.parametrize(
    ("error", "standard"),
    [
        (DataError, ValueError),
        (ConfigError, ValueError),
        (ShapeError, ValueError),
        (ArtifactError, ValueError),
        (EngineError, RuntimeError),
        (RunError, RuntimeError),
        (LockedError, RunError),
        (MissingDependencyError, ImportError),
    ],
)
def test_boundary_error_is_caught_as_the_standard_type_and_as_the_base(
    error: type[Exception], standard: type[Exception]
) -> None:
    for caught in (standard, TwllmError):
        with pytest.raises(caught, match="what is wrong"):
            raise error("what is wrong")


def test_every_error_class_stands_in_the_tree_of_the_docstring() -> None:
    tree = inspect.getdoc(inspect.getmodule(TwllmError)) or ""
    classes = [
        name
        for name in twllm_types.__all__
        if inspect.isclass(getattr(twllm_types, name)) and issubclass(getattr(twllm_types, name), Exception)
    ]
    assert len(classes) == 9
    assert [name for name in classes if name not in tree] == []
