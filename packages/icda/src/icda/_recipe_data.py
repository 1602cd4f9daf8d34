"""The part of a recipe that says where seeds, validation and test rows come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from twllm_types import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One file or folder of rows.

    Attributes:
        path: as `load_intent_data` reads it, from the current folder; None until the command line gives it.
        split: of CLINC's JSON or a folder of datasets; None for files without splits.
        sha256: that the file must have; needed where an index file counts its rows and names no hash itself.
    """

    path: Path | None = None
    split: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """Which rows are seeds, validation and test. A name is a split of `index` where it has one, else one of `files`.

    Attributes:
        files: by name.
        index: file of row numbers into `files`; None for none.
        seeds: name of the human-written rows that everything starts from.
        validation: name of labelled rows that thresholds are estimated on; None cross-fits them on the seeds.
        test: name of the rows that results are measured on, and that no candidate may repeat; None for none.
        out_of_scope: name of rows of no intent, for the AUROC out of scope; None for none.
        candidates: name of a pool made elsewhere, selected from in place of generating; None generates.
        num_shots: seeds per intent to draw from `seeds`; None takes all.
        shots_seed: of that draw.
        text_field: column of the utterance; None finds it.
        intent_field: column of the label; None finds it.
        out_of_scope_label: label that means "none of the intents"; None for no such label.

    Raises:
        ConfigError: `num_shots` is below 1, or a row number file stands without files.
    """

    files: Mapping[str, DataFile] = field(default_factory=dict[str, DataFile])
    index: Path | None = None
    seeds: str = "seeds"
    validation: str | None = None
    test: str | None = None
    out_of_scope: str | None = None
    candidates: str | None = None
    num_shots: int | None = None
    shots_seed: int = 0
    text_field: str | None = None
    intent_field: str | None = None
    out_of_scope_label: str | None = "oos"

    def __post_init__(self) -> None:
        if self.num_shots is not None and self.num_shots < 1:
            raise ConfigError(f"num_shots is {self.num_shots}; give a number >= 1, or null for all seeds")

    def with_paths(self, paths: Mapping[str, Path], *, index: Path | None = None) -> "DataSettings":
        """Return the settings with paths that the command line gives.

        Args:
            paths: by name. A name that the recipe lacks becomes a file, and the seeds, validation, test, out-of-scope
                or candidate rows where it is `seeds`, `validation`, `test`, `out_of_scope` or `candidates`.
            index: file of row numbers; None leaves the recipe's.
        """
        files = {
            **self.files,
            **{name: replace(self.files.get(name, DataFile()), path=path) for name, path in paths.items()},
        }
        named = replace(self, files=files, index=self.index if index is None else index)
        for role in ("validation", "test", "out_of_scope", "candidates"):
            if role in paths and getattr(self, role) is None:
                named = replace(named, **{role: role})
        return named
