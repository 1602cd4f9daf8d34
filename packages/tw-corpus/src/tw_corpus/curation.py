"""The curation job as a library: what the commands call. Importing it imports datatrove."""

from tw_corpus._inspect import RejectedDocument, iter_rejected
from tw_corpus._job import Curation, curate, show_curation, show_rejected
from tw_corpus._pii._job import RedactionCounts, read_key, redact_file
from tw_corpus._pii._show import show_redaction
from tw_corpus._recipe import (
    CurationRecipe,
    OutputFormat,
    PiiOptions,
    TaskLimits,
    load_curation_recipe,
    recipe_names,
)

__all__ = [
    "Curation",
    "CurationRecipe",
    "OutputFormat",
    "PiiOptions",
    "RedactionCounts",
    "RejectedDocument",
    "TaskLimits",
    "curate",
    "iter_rejected",
    "load_curation_recipe",
    "read_key",
    "recipe_names",
    "redact_file",
    "show_curation",
    "show_redaction",
    "show_rejected",
]
