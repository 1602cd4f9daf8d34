"""Reads answers of several systems to the same questions, in the layouts of judge items and of two public benches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from llm_eval._items import JudgeItem, item_from_json, item_sha256
from llm_eval._load_items import read_rows
from llm_eval._template import plain_turns
from twllm_types import ConfigError, DataError, JsonObject, JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What several systems answered.

    Attributes:
        id: its own in a question file, else a hash of its text.
        text: the question, or the whole context.
        category: kind of question; None where nobody says.
        reference: a good answer; None where there is none.
    """

    id: str
    text: str
    category: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One system's answer.

    Attributes:
        id: of the answer: the item's in item files, else file stem and question.
        text: the answer.
        item_sha256: hash of the whole item (`item_sha256`); None where the answer is of no item.
    """

    id: str
    text: str
    item_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFile:
    """The answers of one system.

    Attributes:
        system: its name: as the file gives it, else the file's own.
        path: of the file.
        answers: by id of the question.
        questions: those that the file brings itself; empty where they stand in a file of their own.
    """

    system: str
    path: Path
    answers: Mapping[str, Answer]
    questions: Mapping[str, Question]


def load_answers(
    paths: Sequence[Path], questions: Path | None = None, references: Path | None = None
) -> tuple[tuple[Question, ...], list[AnswerFile]]:
    """Read the answers of two or more systems and their questions.

    Layouts, by the keys of a row: `{id, context, response}` (judge items; joined by equal context), `{question_id,
    choices: [{turns}]}` (FastChat) and `{id, generated_text}` (Taiwan-LLM; the id is the question's `index`, from 0).
    The latter two need a file of questions: `{question_id, turns, index?, category?, reference?}`.

    Args:
        paths: one file per system.
        questions: file of the questions.
        references: file of good answers to some of them, in one of the latter two layouts.

    Returns:
        The questions that at least two systems answered, in order, and the files.

    Raises:
        ConfigError: fewer than two files, or questions are needed.
        DataError: a row has another layout or an empty answer, answers a question twice or one that does not exist, or
            no question has two answers.
    """
    if len(paths) < 2:
        raise ConfigError(f"{len(paths)} file of answers is given; give two or more, one per system")
    known = {} if questions is None else _load_questions(questions)
    if references is not None:
        good = _load_file(references, known, has_questions=questions is not None)
        known = {
            key: replace(question, reference=good.answers[key].text) if key in good.answers else question
            for key, question in known.items()
        }
    files = [_load_file(path, known, has_questions=questions is not None) for path in paths]
    named = _distinct(files)
    found = dict(known)
    for file in named:
        found |= {key: question for key, question in file.questions.items() if key not in found}
    shared = [question for key, question in found.items() if sum(key in file.answers for file in named) > 1]
    if not shared:
        raise DataError(f"{paths[0]}: no question is answered by two files; give answers to the same questions")
    return tuple(shared), named


def _distinct(files: Sequence[AnswerFile]) -> list[AnswerFile]:
    """Files with names of their own: two that name one system go by their file names."""
    systems = [file.system for file in files]
    if len(set(systems)) == len(systems):
        return list(files)
    stems = [file.path.name.split(".")[0] for file in files]
    if len(set(stems)) < len(stems):
        raise ConfigError(f"the files {', '.join(stems)} share names; give files of different names, one per system")
    return [
        AnswerFile(system=stem, path=file.path, answers=file.answers, questions=file.questions)
        for stem, file in zip(stems, files, strict=True)
    ]


def _load_questions(path: Path) -> dict[str, Question]:
    """Questions by their id, in order."""
    found: dict[str, Question] = {}
    for number, row in enumerate(read_rows(path), start=1):
        where = f"{path}:{number}"
        key = _key(row, "question_id", where)
        match row.get("turns"):
            case [str() as text] if text.strip():
                pass
            case _:
                raise DataError(f"{where}: turns is not one question; give a list of one text")
        if key in found:
            raise DataError(f"{where}: question_id {key!r} comes twice; give each question its own")
        category, reference = row.get("category"), row.get("reference")
        found[key] = Question(
            id=key,
            text=text,
            category=category if isinstance(category, str) else None,
            reference=reference if isinstance(reference, str) and reference.strip() else None,
        )
    if not found:
        raise DataError(f"{path}: holds no question; give at least one line")
    return found


def _load_file(path: Path, known: Mapping[str, Question], *, has_questions: bool) -> AnswerFile:
    ids = list(known)
    answers: dict[str, Answer] = {}
    questions: dict[str, Question] = {}
    systems: list[str] = []
    for number, row in enumerate(read_rows(path), start=1):
        where = f"{path}:{number}"
        if "context" in row:
            item = item_from_json(row, source=where)
            key, answer = item.cluster_key, _item_answer(item, where)
            questions[key] = Question(
                id=key, text=plain_turns(item.context), reference=item.references[0] if item.references else None
            )
        else:
            key, answer = _bench_answer(row, ids, path, where, has_questions=has_questions)
        if key in answers:
            raise DataError(f"{where}: answers question {key!r} again; give one answer per question and file")
        answers[key] = answer
        systems.extend(_system(row))
    if not answers:
        raise DataError(f"{path}: holds no answer; give at least one line")
    system = systems[0] if len(set(systems)) == 1 else path.name.split(".")[0]
    return AnswerFile(system=system, path=path, answers=answers, questions=questions)


def _system(row: JsonObject) -> Iterator[str]:
    for name in ("system", "model_id", "model_name"):
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            yield value
            return


def _item_answer(item: JudgeItem, where: str) -> Answer:
    if item.response is None:
        raise DataError(f"{where}: item {item.id} has no response to compare; give items with responses")
    return Answer(id=item.id, text=item.response, item_sha256=item_sha256(item))


def _bench_answer(
    row: JsonObject, ids: Sequence[str], path: Path, where: str, *, has_questions: bool
) -> tuple[str, Answer]:
    if not has_questions:
        raise ConfigError(f"{where}: has no context, so its question stands elsewhere; give --questions FILE")
    if "generated_text" in row:
        place = _key(row, "id", where)
        at = int(place) if place.isdecimal() else -1
        if not 0 <= at < len(ids):
            raise DataError(f"{where}: id {place!r} is no place among {len(ids):,} questions (from 0); correct it")
        key, text = ids[at], row["generated_text"]
    else:
        key = _key(row, "question_id", where)
        if key not in ids:
            raise DataError(f"{where}: question_id {key!r} is none of the questions; correct it")
        text = _first_turn(row.get("choices"))
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{where}: the answer is empty or no text; give generated_text, or choices with turns")
    return key, Answer(id=f"{path.name.split('.')[0]}:{key}", text=text)


def _first_turn(choices: JsonValue) -> JsonValue:
    match choices:
        case [{"turns": [text]}]:
            return cast("JsonValue", text)
        case _:
            return None


def _key(row: JsonObject, name: str, where: str) -> str:
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DataError(f"{where}: {name} is {value!r}; give a text or a whole number")
    return str(value)
