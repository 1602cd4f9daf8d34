"""The names of the package's face that need torch: imported when they are asked for, not when the package is.

`__init__.pyi` tells type checkers and editors what they are (the pattern of Scientific Python's SPEC 1).
"""

from importlib import import_module

_TRAINING = "step_kto.training"
LAZY_NAMES = (
    "StepKTOConfig",
    "StepKTOLoss",
    "StepKTOTrainer",
    "Z0",
    "mismatched_z0",
    "step_kto_loss",
    "step_sums",
    "train_baseline",
)


def load_name(name: str) -> object:
    """Return a name of `step_kto.training`; the package's `__getattr__`.

    Raises:
        AttributeError: the package has no such name.
    """
    if name not in LAZY_NAMES:
        raise AttributeError(f"module 'step_kto' has no attribute {name!r}")
    return getattr(import_module(_TRAINING), name)
