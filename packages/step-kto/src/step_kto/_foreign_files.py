"""Files in foreign forms, by the words of the command line."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from step_kto._converters import (
    UnpairedStepLabel,
    from_bigbench_mistake,
    from_math_shepherd,
    from_mr_gsm8k,
    from_processbench,
    from_trl_stepwise,
    from_unpaired,
    unpaired_from_record,
)
from step_kto._data import Converter, load_converted, write_solutions
from step_kto._labels import LabelLevel
from step_kto._prm800k import NeutralPolicy, from_prm800k
from twllm_types import ConfigError, DataError, StepwiseSolution

ForeignForm: TypeAlias = Literal[
    "prm800k", "math-shepherd", "processbench", "bigbench-mistake", "mr-gsm8k", "trl-stepwise", "unpaired"
]

_CONVERTERS: dict[str, Callable[[Mapping[str, object]], StepwiseSolution]] = {
    "math-shepherd": from_math_shepherd,
    "processbench": from_processbench,
    "bigbench-mistake": from_bigbench_mistake,
    "mr-gsm8k": from_mr_gsm8k,
    "trl-stepwise": from_trl_stepwise,
}


def convert_file(
    file: Path,
    source: ForeignForm,
    output: Path,
    *,
    neutral: NeutralPolicy | None = None,
    step_label: UnpairedStepLabel = "unknown",
) -> int:
    """Convert a JSONL file into the on-disk step format; returns how many solutions were written.

    Args:
        file: in the foreign form.
        source: which form.
        output: appears whole or not at all; an existing file is never overwritten.
        neutral: what a neutral rating of PRM800K means; needed for it, and for it only.
        step_label: the step of an unpaired example.

    Raises:
        ConfigError: `neutral` is missing or needless, or the output exists.
        DataError: a record is refused, or none gives a solution; the message begins with the file, and the line.
        RunError: the system refuses the write.
    """
    if (source == "prm800k") != (neutral is not None):
        raise ConfigError(
            "PRM800K has neutral ratings, and users differ in what they mean: give --neutral unknown, right or wrong"
            if neutral is None
            else f"--neutral is for prm800k, not for {source}; leave it out"
        )
    if output.exists():
        raise ConfigError(f"{output}: exists already; give another --output, or delete it")
    solutions = load_converted(file, _converter(source, neutral, step_label))
    if not solutions:
        raise DataError(f"{file}: holds no record that gives a solution; check the file and --from")
    return write_solutions(output, solutions)


def read_levels(words: Sequence[str] | None) -> tuple[LabelLevel, ...]:
    """Read the levels that are trained; both where none is named.

    Raises:
        ConfigError: a word is none.
    """
    found: list[LabelLevel] = []
    for word in words or ("outcome", "step"):
        match word:
            case "outcome" | "step":
                found.append(word)
            case _:
                raise ConfigError(f"level is {word!r}; give {' or '.join(get_args(LabelLevel))}")
    return tuple(found)


def _converter(source: ForeignForm, neutral: NeutralPolicy | None, step_label: UnpairedStepLabel) -> Converter:
    if neutral is not None:
        return partial(from_prm800k, neutral=neutral)
    if source == "unpaired":
        return lambda record: from_unpaired(unpaired_from_record(record), step_label=step_label)
    return _CONVERTERS[source]
