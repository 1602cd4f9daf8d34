"""The curation job as a library: what the commands call. Importing it imports datatrove."""

from tw_corpus._execution_options import ContainerOptions, ExecutionOptions, ExecutorName, RayOptions, SlurmOptions
from tw_corpus._inspect import RejectedDocument, iter_rejected
from tw_corpus._job import Curation, curate, show_curation, show_rejected
from tw_corpus._pii._job import RedactionCounts, read_key, redact_file
from tw_corpus._pii._show import show_redaction
from tw_corpus._plugin_measure import PluginMeasure
from tw_corpus._prefetch import Prefetch, PrefetchedFile, prefetch, show_prefetch
from tw_corpus._recipe import (
    CurationRecipe,
    OutputFormat,
    PiiOptions,
    TaskLimits,
    load_curation_recipe,
    recipe_names,
)

__all__ = [
    "ContainerOptions",
    "Curation",
    "CurationRecipe",
    "ExecutionOptions",
    "ExecutorName",
    "OutputFormat",
    "PiiOptions",
    "PluginMeasure",
    "Prefetch",
    "PrefetchedFile",
    "RayOptions",
    "RedactionCounts",
    "RejectedDocument",
    "SlurmOptions",
    "TaskLimits",
    "curate",
    "iter_rejected",
    "load_curation_recipe",
    "prefetch",
    "read_key",
    "recipe_names",
    "redact_file",
    "show_curation",
    "show_prefetch",
    "show_redaction",
    "show_rejected",
]
