"""The curation job as a library: what the commands call. Importing it imports datatrove."""

from tw_corpus._inspect import RejectedDocument, iter_rejected
from tw_corpus._job import Curation, curate, show_curation, show_rejected
from tw_corpus._recipe import (
    CurationRecipe,
    ExactDedup,
    OutputFormat,
    TaskLimits,
    load_curation_recipe,
    recipe_names,
)

__all__ = [
    "Curation",
    "CurationRecipe",
    "ExactDedup",
    "OutputFormat",
    "RejectedDocument",
    "TaskLimits",
    "curate",
    "iter_rejected",
    "load_curation_recipe",
    "recipe_names",
    "show_curation",
    "show_rejected",
]
