"""Problems to be solved: the prompt that a model sees, and what is known about its solution."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from step_kto._arithmetic import ArithmeticSettings, Split, make_arithmetic_problems
from step_kto._arithmetic_expressions import Expression, format_expression, parse_expression
from step_kto._data import encoded_row
from step_kto._records import optional_text, text_field
from twllm_runs import open_atomic, read_jsonl
from twllm_types import ConfigError, DataError, JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    r"""One problem.

    Attributes:
        prompt: what the model is asked; not blank.
        answer: text that holds the right final answer (`42`, `\boxed{42}`, a solution ending in `#### 42`); not blank.
        reference: a right solution, which step judges may see; empty where there is none.
        expression: the problem as arithmetic, for the judge `arithmetic-truth`; empty where there is none.

    Raises:
        DataError: the prompt or the answer is blank.
    """

    prompt: str
    answer: str
    reference: str = ""
    expression: str = ""

    def __post_init__(self) -> None:
        for name, value in (("prompt", self.prompt), ("answer", self.answer)):
            if not value.strip():
                raise DataError(f"{name!r} is blank; give a problem and its answer")

    def to_json(self) -> JsonObject:
        """Return the on-disk form; empty fields are left out."""
        row: JsonObject = {"prompt": self.prompt, "answer": self.answer}
        optional = {"reference": self.reference, "expression": self.expression}
        return row | {name: value for name, value in optional.items() if value}


def load_problems(path: Path) -> tuple[Problem, ...]:
    """Read a JSONL file of `{"prompt", "answer", "reference"?, "expression"?}`; other keys are ignored.

    Raises:
        DataError: the file cannot be read or holds no problem, a field is missing or blank, or a prompt stands twice;
            the message begins with file:line.
    """
    problems: dict[str, Problem] = {}
    for number, row in enumerate(read_jsonl(path), start=1):
        try:
            problem = Problem(
                prompt=text_field(row, "prompt"),
                answer=text_field(row, "answer"),
                reference=optional_text(row, "reference") or "",
                expression=optional_text(row, "expression") or "",
            )
        except DataError as error:
            raise DataError(f"{path}:{number}: {error}") from error
        if problem.prompt in problems:
            raise DataError(f"{path}:{number}: the prompt stands twice; keep each problem once")
        problems[problem.prompt] = problem
    if not problems:
        raise DataError(f"{path}: holds no problem; give at least one")
    return tuple(problems.values())


def write_problems(path: Path, problems: Iterable[Problem]) -> None:
    """Write problems so that the file appears whole or not at all."""
    with open_atomic(path, "wb") as file:
        for problem in problems:
            file.write(encoded_row(problem.to_json()))


def arithmetic_problems(
    count: int, *, split: Split, seed: int, settings: ArithmeticSettings | None = None
) -> tuple[Problem, ...]:
    """Draw problems of the arithmetic task; arguments and errors as `make_arithmetic_problems`."""
    return tuple(
        Problem(
            prompt=problem.prompt,
            answer=f"\\boxed{{{problem.answer}}}",
            reference="".join(problem.steps),
            expression=format_expression(problem.expression),
        )
        for problem in make_arithmetic_problems(count, split=split, seed=seed, settings=settings)
    )


def expressions_of(problems: Sequence[Problem]) -> dict[str, Expression]:
    """Return the expression of each prompt.

    Raises:
        ConfigError: a problem has none, or one that cannot be read.
    """
    found: dict[str, Expression] = {}
    for problem in problems:
        expression = parse_expression(problem.expression) if problem.expression else None
        if expression is None:
            raise ConfigError(
                f"the judge 'arithmetic-truth' needs an 'expression' of every problem, and {problem.prompt[:60]!r} "
                "has none that can be read; take another judge"
            )
        found[problem.prompt] = expression
    return found
