"""Which rows of a folder are exported."""

from pathlib import Path

from icda._run import RUN_NAME, read_icda
from icda._run_select import SELECT_COMMAND, read_selected
from icda._run_train import TRAIN_COMMAND, read_training_rows
from twllm_runs import read_run
from twllm_types import ArtifactError, IntentExample


def rows_to_export(folder: Path) -> tuple[IntentExample, ...]:
    """Rows of a selection (kept ones), of a training (seeds and kept ones), or of the last such stage of a run.

    Raises:
        ArtifactError: the folder holds none of them, or was changed.
    """
    if (folder / RUN_NAME).is_file():
        _, run = read_icda(folder)
        stage = run.trained or run.selected
        if stage is None:
            raise ArtifactError(f"{folder}: the run has not selected anything yet; run it until select")
        folder = stage.folder
    command = read_run(folder).manifest.command
    if command == TRAIN_COMMAND:
        return read_training_rows(folder)
    if command == SELECT_COMMAND:
        return read_selected(folder).selected
    raise ArtifactError(f"{folder}: holds a run of {command!r}; give a folder of icda select, icda train or icda run")
