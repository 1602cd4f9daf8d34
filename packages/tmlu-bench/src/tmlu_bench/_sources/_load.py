"""From a folder, a file or an id of the hub to a `QuestionSet`."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from tmlu_bench._question_set import (
    FaultReason,
    Origin,
    QuestionSet,
    SourceFault,
    SourceFile,
    SourceFormat,
    SubjectQuestions,
)
from tmlu_bench._sources._decode import decode_text
from tmlu_bench._sources._files import SPLIT_NAMES, SplitFile, find_files
from tmlu_bench._sources._hub import HubRows, read_hub
from tmlu_bench._sources._read import Row, parse_json, read_rows
from tmlu_bench._sources._rows import RowFault, RowPlace, is_writable, parse_row, row_format
from tmlu_bench._subjects import find_subject, load_subjects
from twllm_types import ChoiceQuestion, DataError, FrozenDict

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def load_questions(source: str | Path, *, strict: bool = False, subjects: Collection[str] | None = None) -> QuestionSet:
    """Load exam questions.

    Args:
        source: a folder (TMLU's `<subset>_test.jsonl`, TMMLU+'s CSV files, TMMLU v1's `<subject>/data.csv`, or
            `subjects/<subject>/test.jsonl`; JSON lines, JSON, CSV or Parquet), one such file, or the id of a data set
            of the hub, "miulab/tmlu" (extra `hub`).
        strict: raise at the first row that cannot be used, instead of counting it among `faults`.
        subjects: load these only; None loads all.

    Raises:
        DataError: nothing can be loaded, an asked subject is missing, a file is damaged as a whole, or, if strict, a
            row cannot be used; names file, line and fix.
        MissingDependencyError: an id of the hub is given and the extra `hub` is not installed.
    """
    wanted = None if subjects is None else frozenset(subjects)
    collected = _Collected(strict=strict, wanted=wanted)
    path = Path(source)
    if isinstance(source, str) and not path.exists() and _HUB_ID.fullmatch(source):
        for rows in read_hub(source, wanted):
            _take_hub(collected, rows)
        name, names = source, dict[str, str]()
    else:
        found, collected.ignored = find_files(path)
        default_subject = _default_subject(path)
        for file in found:
            if wanted is None or file.subject is None or file.subject in wanted:
                _take_file(collected, file, default_subject=default_subject)
        name, names = path.name or path.resolve().name, _take_names(collected, path)
    return _assemble(collected, name, names)


def _default_subject(path: Path) -> str:
    """What the rows of a file without a subject belong to: the file's name, or the folder's where the name is empty."""
    path = path.resolve()
    return path.parent.name if path.is_file() and path.stem in {"data", *SPLIT_NAMES} else path.stem


@dataclass(slots=True, kw_only=True)
class _Collected:
    """What has been read so far; lives only inside `load_questions`."""

    strict: bool
    wanted: frozenset[str] | None
    questions: dict[str, dict[str, list[ChoiceQuestion]]] = field(
        default_factory=dict[str, dict[str, list[ChoiceQuestion]]]
    )
    origins: dict[tuple[str, str, str], Origin] = field(default_factory=dict[tuple[str, str, str], Origin])
    faults: list[SourceFault] = field(default_factory=list[SourceFault])
    files: list[SourceFile] = field(default_factory=list[SourceFile])
    formats: dict[SourceFormat, None] = field(default_factory=dict[SourceFormat, None])
    num_rows: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    ignored: tuple[str, ...] = ()


def _take_file(collected: _Collected, file: SplitFile, *, default_subject: str) -> None:
    read = read_rows(file.path, file.name)
    collected.files.append(SourceFile(name=file.name, path=file.path, encoding=read.encoding))
    _take_rows(
        collected,
        read.rows,
        file=file.name,
        split=file.split,
        subject=file.subject,
        default_subject=default_subject,
        blank_is_absent=read.blank_is_absent,
    )


def _take_hub(collected: _Collected, rows: HubRows) -> None:
    _take_rows(
        collected,
        rows.rows,
        file=f"{rows.subject}/{rows.split}",
        split=rows.split,
        subject=rows.subject,
        default_subject=rows.subject,
        blank_is_absent=False,
    )


def _take_rows(
    collected: _Collected,
    rows: Iterable[tuple[int, Row]],
    *,
    file: str,
    split: str,
    subject: str | None,
    default_subject: str,
    blank_is_absent: bool,
) -> None:
    for line, row in rows:
        named = _subject_of(row, subject, default_subject)
        if collected.wanted is not None and named not in collected.wanted:
            continue
        number = collected.num_rows.get((named, split), 0)
        collected.num_rows[named, split] = number + 1
        place = RowPlace(subject=named, fallback_id=f"{split}-{number:04d}", blank_is_absent=blank_is_absent)
        if isinstance(row, RowFault):
            parsed: ChoiceQuestion | RowFault = row
        else:
            collected.formats.setdefault(row_format(row))
            parsed = parse_row(row, place)
        key = None if isinstance(parsed, RowFault) else (named, split, parsed.id)
        if key is not None and key in collected.origins:
            first = collected.origins[key]
            parsed = RowFault(
                reason=FaultReason.DUPLICATE_ID,
                message=f"id {key[2]!r} stands already at {first.file}:{first.line}; give each question its own",
            )
        if isinstance(parsed, RowFault):
            _note_fault(collected, parsed, file=file, line=line, subject=named)
            continue
        collected.origins[named, split, parsed.id] = Origin(file=file, line=line)
        collected.questions.setdefault(named, {}).setdefault(split, []).append(parsed)


def _note_fault(collected: _Collected, fault: RowFault, *, file: str, line: int, subject: str) -> None:
    if collected.strict:
        raise DataError(f"{file}:{line}: {fault.message}")
    collected.faults.append(
        SourceFault(file=file, line=line, subject=subject, reason=fault.reason, message=fault.message)
    )


def _subject_of(row: Row, of_file: str | None, default: str) -> str:
    """A file's name says the subject; where it does not, the row may."""
    if of_file is not None:
        return of_file
    given = None if isinstance(row, RowFault) else row.get("subject")
    # A name that cannot be written is no name; `parse_row` says so of the row.
    return given.strip() if isinstance(given, str) and given.strip() and is_writable(given) else default


def _take_names(collected: _Collected, path: Path) -> dict[str, str]:
    """Chinese names from `subjects.json` (a list of {"id", "name"}) beside the subjects; empty where there is none."""
    folder = path if path.is_dir() else path.parent
    places = (folder / "subjects.json", folder.parent / "subjects.json") if folder.name == "subjects" else ()
    file = next((place for place in (folder / "subjects.json", *places) if place.is_file()), None)
    if file is None:
        return {}
    text, encoding = decode_text(file.read_bytes(), file.name)
    try:
        entries = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file.name} is no JSON ({error}); mend or remove it") from error
    if not isinstance(entries, list):
        raise DataError(f'{file.name} holds no list; give [{{"id": ..., "name": ...}}, ...] or remove it')
    pairs = [
        (entry.get("id"), entry.get("name"))
        for entry in cast("list[Mapping[str, object]]", entries)
        if isinstance(entry, dict)
    ]
    names = {key: name for key, name in pairs if isinstance(key, str) and isinstance(name, str)}
    if broken := next((key for key, name in names.items() if not is_writable(key + name)), None):
        raise DataError(f"{file.name}: the name of {broken!r} holds half of a surrogate pair; restore the character")
    collected.files.append(SourceFile(name=file.name, path=file, encoding=encoding))
    if file.parent == folder and not (folder / "subjects").is_dir():
        collected.ignored = tuple(name for name in collected.ignored if name != file.name)
    return names


def _assemble(collected: _Collected, name: str, names: Mapping[str, str]) -> QuestionSet:
    if missing := sorted((collected.wanted or frozenset()) - set(collected.questions)):
        raise DataError(f"{name} has no questions of {', '.join(missing)}; check the names of the subjects")
    if not collected.questions:
        first = collected.faults[0] if collected.faults else None
        why = "its files hold no row" if first is None else f"first fault: {first.file}:{first.line}: {first.message}"
        raise DataError(f"{name} gave no question ({why}); see docs/tmlu-bench.md for layouts")
    known = list(load_subjects("tmlu"))
    order = sorted(collected.questions, key=lambda key: (known.index(key) if key in known else len(known), key))
    return QuestionSet(
        name=name,
        formats=tuple(collected.formats),
        subjects=tuple(
            SubjectQuestions(
                id=subject,
                name=_name(subject, names),
                **{split: tuple(questions) for split, questions in collected.questions[subject].items()},
            )
            for subject in order
        ),
        faults=tuple(collected.faults),
        files=tuple(collected.files),
        origins=FrozenDict(collected.origins),
        ignored=collected.ignored,
    )


def _name(subject: str, names: Mapping[str, str]) -> str:
    entry = find_subject(subject)
    return names.get(subject) or (subject if entry is None else entry.name)
