"""Files of stepwise solutions, one object a line: `{"prompt", "completions": [...], "labels": [...], "outcome"}`."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from step_kto._labels import AfterFirstError, LabelLevel, SolutionCounts, check_classes, count_labels
from twllm_runs import open_atomic, read_jsonl
from twllm_types import DataError, JsonObject, StepwiseSolution

Converter: TypeAlias = Callable[[Mapping[str, object]], StepwiseSolution | Sequence[StepwiseSolution]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SolutionSet:
    """Checked solutions and how their verdicts are spread."""

    solutions: tuple[StepwiseSolution, ...]
    counts: SolutionCounts


def solution_from_row(row: Mapping[str, object], *, where: str) -> StepwiseSolution:
    """Read one solution in the on-disk form and check that it can be learned from.

    Args:
        row: "prompt", "completions" and "labels"; "outcome" may be missing, which means unknown.
        where: file and line, or whatever names the row; begins the messages.

    Raises:
        DataError: a field is missing or of the wrong type, labels and steps differ in number, a label is not true,
            false or null, the prompt is blank, there is no step or a step is blank.
    """
    try:
        solution = StepwiseSolution.from_json(row)
        check_solution(solution)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    return solution


def check_solution(solution: StepwiseSolution) -> None:
    """Refuse texts that cannot be learned from; the message names the field.

    Raises:
        DataError: the prompt is blank or a step is.
    """
    if not solution.prompt.strip():
        raise DataError("'prompt' is blank; give the problem")
    for number, step in enumerate(solution.steps, start=1):
        if not step.strip():
            raise DataError(f"'completions' entry {number} is blank; join it with its neighbour or drop the row")


def load_solutions(path: Path) -> tuple[StepwiseSolution, ...]:
    """Read and check a file of solutions.

    Raises:
        DataError: the file cannot be read or holds no row, or a row is refused; the message begins with file:line.
    """
    # Every line is one object or an error, so that counting objects counts lines.
    solutions = tuple(
        solution_from_row(row, where=f"{path}:{number}") for number, row in enumerate(read_jsonl(path), start=1)
    )
    if not solutions:
        raise DataError(f"{path}: holds no row; give at least one solution")
    return solutions


def write_solutions(path: Path, solutions: Iterable[StepwiseSolution]) -> int:
    """Write solutions so that the file appears whole or not at all.

    Args:
        path: the file; its folder must exist.
        solutions: what to write; none gives an empty file.

    Returns:
        How many were written.

    Raises:
        DataError: a solution holds a blank text; the message counts from 1.
        RunError: the system refuses the write.
    """
    count = 0
    with open_atomic(path, "wb") as file:
        for count, solution in enumerate(solutions, start=1):
            try:
                check_solution(solution)
            except DataError as error:
                raise DataError(f"{path}:{count}: {error}") from error
            file.write(encoded_row(solution.to_json()))
    return count


def load_converted(path: Path, convert: Converter) -> tuple[StepwiseSolution, ...]:
    """Read a JSONL file in another form through one of the converters.

    Args:
        path: the file.
        convert: a converter such as `from_processbench`; bind its options with `functools.partial`.

    Raises:
        DataError: the file cannot be read, or a record is refused; the message begins with file:line.
    """
    return tuple(_converted(path, convert))


def validate_solutions(
    solutions: Iterable[StepwiseSolution],
    *,
    where: str,
    levels: Sequence[LabelLevel],
    after_first_error: AfterFirstError = "as_judged",
) -> SolutionSet:
    """Check a set as a whole: both classes on every level that is trained.

    Args:
        solutions: the set; it is read once.
        where: names the set; begins the messages.
        levels: those whose term has a weight above 0.
        after_first_error: the policy that training will use.

    Raises:
        DataError: there is no solution, a text is blank, a level has one class only, or none of the levels has a label.
        ConfigError: the policy has another name.
    """
    kept: list[StepwiseSolution] = []
    for number, solution in enumerate(solutions, start=1):
        try:
            check_solution(solution)
        except DataError as error:
            raise DataError(f"{where}: solution {number}: {error}") from error
        kept.append(solution)
    if not kept:
        raise DataError(f"{where}: holds no solution; give at least one")
    counts = count_labels(kept, after_first_error=after_first_error)
    per_level = {"outcome": counts.outcomes, "step": counts.steps}
    if not any(per_level[level].num_labelled for level in levels):
        raise DataError(f"{where}: no {' and no '.join(levels)} label is known; label the solutions first")
    for level in levels:
        check_classes(per_level[level], level=level, where=where)
    return SolutionSet(solutions=tuple(kept), counts=counts)


def _converted(path: Path, convert: Converter) -> Iterator[StepwiseSolution]:
    for number, record in enumerate(read_jsonl(path), start=1):
        try:
            converted = convert(record)
            solutions = [converted] if isinstance(converted, StepwiseSolution) else converted
            for solution in solutions:
                check_solution(solution)
        except DataError as error:
            raise DataError(f"{path}:{number}: {error}") from error
        yield from solutions


def encoded_row(row: JsonObject) -> bytes:
    """One line of a JSONL file."""
    # A lone surrogate has no UTF-8; Python's escape of it is JSON's.
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
