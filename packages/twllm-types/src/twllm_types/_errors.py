"""Errors, one class per boundary; each is also the standard exception that it stands for.

::

    TwllmError
    ├── DataError (ValueError)                    a record or file does not hold what it must
    ├── ConfigError (ValueError)                  a recipe, an option or an argument cannot be used
    ├── ShapeError (ValueError)                   tensors or arrays do not fit together
    ├── EngineError (RuntimeError)                a model or server cannot serve at all
    ├── RunError (RuntimeError)                   a run stopped; the same command continues it
    │   └── LockedError                           another process works on the same run folder
    ├── ArtifactError (ValueError)                an artifact is of another schema, other parameters, or was changed
    └── MissingDependencyError (ImportError)      an extra is not installed

A message is one line that names what is wrong, where, and what to do about it.
"""


class TwllmError(Exception):
    """Base of every error that taiwan-llm raises on purpose."""


class DataError(TwllmError, ValueError):
    """A record or file does not hold what it must; the message names file, line and fix."""


class ConfigError(TwllmError, ValueError):
    """A recipe, option or argument cannot be used; the message names the key and the fix."""


class ShapeError(TwllmError, ValueError):
    """Tensors or arrays do not fit together; the message names both shapes."""


class EngineError(TwllmError, RuntimeError):
    """A model or server cannot serve at all (one failed request is an `EngineFailure`, a value)."""


class RunError(TwllmError, RuntimeError):
    """A run stopped before its end; what was done is kept and the same command continues it."""


class LockedError(RunError):
    """Another process works on the same run folder."""


class ArtifactError(TwllmError, ValueError):
    """An artifact has another schema version or other parameters, or was changed by hand."""


class MissingDependencyError(TwllmError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""
