"""What a trainer accepts as rows, in one form: named solutions whose prompt is the text that the model sees."""

# pyright: standard
# chat templates belong to transformers' tokenizers, which are not strictly typed

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

from step_kto._config import PromptFormat
from step_kto._data import solution_from_row
from twllm_runs import read_jsonl
from twllm_types import ConfigError, DataError, StepwiseSolution

RowSource: TypeAlias = str | Path | Iterable[StepwiseSolution | Mapping[str, object]]
Message: TypeAlias = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSolution:
    """A solution whose prompt is the text that the model sees, and what messages call it.

    Attributes:
        name: file and line, or the set and its number.
        solution: checked.
        templated: whether a chat template made the prompt, which then holds the begin-of-sequence token itself.
    """

    name: str
    solution: StepwiseSolution
    templated: bool


def read_rows(
    source: RowSource, *, name: str, tokenizer: Any, prompt_format: PromptFormat, system_prompt: str | None
) -> tuple[NamedSolution, ...]:
    """Read, check and render rows.

    Args:
        source: a JSONL file, solutions, or mappings in the on-disk form (a datasets.Dataset too) whose prompt may also
            be a list of messages with "role" and "content".
        name: what messages call a set that is no file.
        tokenizer: of transformers; its chat template is applied where the format asks for it or a prompt is messages.
        prompt_format: "text" or "chat".
        system_prompt: put before the user message of "chat".

    Raises:
        DataError: there is no row, or one is refused; the message names it.
        ConfigError: a template is needed and the tokenizer has none.
    """
    rows = tuple(
        _render(row_name, row, tokenizer=tokenizer, prompt_format=prompt_format, system_prompt=system_prompt)
        for row_name, row in _named(source, name)
    )
    if not rows:
        raise DataError(f"{source_name(source, name)}: holds no row; give at least one")
    return rows


def source_name(source: RowSource, name: str) -> str:
    """What messages call a set: its file, else `name`."""
    return str(source) if isinstance(source, str | Path) else name


def _named(source: RowSource, name: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    if isinstance(source, str | Path):
        for number, row in enumerate(read_jsonl(Path(source)), start=1):
            yield f"{source}:{number}", row
        return
    for number, row in enumerate(source, start=1):
        yield f"{name} row {number}", row.to_json() if isinstance(row, StepwiseSolution) else row


def _render(
    name: str, row: Mapping[str, object], *, tokenizer: Any, prompt_format: PromptFormat, system_prompt: str | None
) -> NamedSolution:
    prompt = row.get("prompt")
    messages: list[Message] | None = None
    if isinstance(prompt, Sequence) and not isinstance(prompt, str):
        messages = _messages(cast("Sequence[object]", prompt), name)
    elif prompt_format == "chat" and isinstance(prompt, str) and prompt.strip():
        system = [] if system_prompt is None else [{"role": "system", "content": system_prompt}]
        messages = [*system, {"role": "user", "content": prompt}]
    if messages is not None:
        row = {**row, "prompt": _templated(messages, tokenizer)}
    return NamedSolution(name=name, solution=solution_from_row(row, where=name), templated=messages is not None)


def _messages(prompt: Sequence[object], name: str) -> list[Message]:
    messages: list[Message] = []
    for message in prompt:
        if not isinstance(message, Mapping) or not all(isinstance(message.get(k), str) for k in ("role", "content")):
            raise DataError(f"{name}: 'prompt' holds {message!r}; give text, or messages with 'role' and 'content'")
        messages.append({"role": cast("str", message["role"]), "content": cast("str", message["content"])})
    if not messages:
        raise DataError(f"{name}: 'prompt' holds no message; give the problem")
    return messages


def _templated(messages: list[Message], tokenizer: Any) -> str:
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigError("the tokenizer has no chat template; set prompt_format='text' or give it one")
    return cast("str", tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
