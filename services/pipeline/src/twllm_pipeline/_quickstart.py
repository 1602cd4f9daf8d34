"""The quickstart: the sample corpus through `tw-corpus curate`."""

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from twllm_runs import Progress

if TYPE_CHECKING:
    from tw_corpus.curation import Curation


def quickstart(*, output: Path, workers: int, progress: Progress) -> "Curation":
    """Curate the sample corpus that ships with this package.

    Args:
        output: run folder, continued where an earlier call was stopped.
        workers: worker processes, >= 1.
        progress: display.

    Raises:
        TwllmError: as `tw_corpus.curation.curate`.
    """
    from tw_corpus.curation import curate, load_curation_recipe

    with resources.as_file(resources.files("twllm_pipeline") / "sample" / "corpus") as corpus:
        return curate([corpus], output=output, recipe=load_curation_recipe("web"), workers=workers, progress=progress)
