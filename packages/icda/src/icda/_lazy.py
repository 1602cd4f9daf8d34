"""The names of the package's face that need numpy: imported when they are asked for, not when the package is.

`__init__.pyi` tells type checkers and editors what they are (the pattern of Scientific Python's SPEC 1).
"""

from importlib import import_module

LAZY_MODULES = {
    "CandidateScores": "icda._scores",
    "CrossFit": "icda._folds",
    "EstimatedOn": "icda._thresholds",
    "Selection": "icda._select",
    "ThresholdRule": "icda._thresholds",
    "ThresholdScale": "icda._thresholds",
    "Thresholds": "icda._thresholds",
    "accuracy": "icda._metrics",
    "auroc": "icda._metrics",
    "class_thresholds": "icda._thresholds",
    "fold_of": "icda._folds",
    "join_scores": "icda._scores",
    "label_logps": "icda._pvi",
    "macro_f1": "icda._metrics",
    "mass_weights": "icda._select",
    "nearest_intents": "icda._baselines",
    "pointwise_v_information": "icda._pvi",
    "prior_null_logps": "icda._pvi",
    "scores_from_logps": "icda._scores",
    "seed_folds": "icda._folds",
    "select": "icda._select",
    "self_confidence_thresholds": "icda._baselines",
    "v_information": "icda._pvi",
}


def load_name(name: str) -> object:
    """Return a name of the face that needs numpy; the package's `__getattr__`.

    Raises:
        AttributeError: the package has no such name.
    """
    if name not in LAZY_MODULES:
        raise AttributeError(f"module 'icda' has no attribute {name!r}")
    return getattr(import_module(LAZY_MODULES[name]), name)
