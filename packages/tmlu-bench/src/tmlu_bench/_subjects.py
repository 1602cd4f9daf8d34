"""Subject tables of the exams: the 37 subjects of TMLU in five groups, and those of TMMLU+ in four.

Sources stand in the head of each table. A table has a version, which a run records: a changed grouping changes every
group's accuracy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from twllm_types import ConfigError

SUBJECT_TABLE_VERSION = "1"
_TABLES = {"tmlu": "tmlu_subjects.tsv", "tmmluplus": "tmmluplus_subjects.tsv"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One subject of an exam.

    Attributes:
        id: as its files are named, "AST_chemistry".
        name: Chinese name, "分科測驗化學".
        exam: table that it stands in, "tmlu" or "tmmluplus".
        group: "stem", "humanities", "social_sciences", "taiwan_specific" or "other".
        level: "middle_school", "high_school", "general" or "professional"; None where the table has none.
        family: who sets the exam: "CAP", "GSAT", "AST", "MOEX" or "HB"; None where the table has none.
        num_questions: questions in test; None where it differs between releases.
        num_options: most options of a question; the harness's letters.
    """

    id: str
    name: str
    exam: str
    group: str
    level: str | None = None
    family: str | None = None
    num_questions: int | None = None
    num_options: int = 4


def load_subjects(exam: str) -> Mapping[str, Subject]:
    """Return the subjects of an exam by id, in the order of its table.

    Args:
        exam: "tmlu" or "tmmluplus".

    Raises:
        ConfigError: there is no such table.
    """
    if exam not in _TABLES:
        raise ConfigError(f"no subject table for {exam!r}; give one of {', '.join(_TABLES)}")
    return _load(exam)


def find_subject(subject: str, exam: str | None = None) -> Subject | None:
    """Return the subject of an id, or None where it stands in no table.

    Args:
        subject: id of the subject.
        exam: table to look in; None looks in all, TMLU first.

    Raises:
        ConfigError: there is no such table.
    """
    exams = _TABLES if exam is None else (exam,)
    return next((found for name in exams if (found := load_subjects(name).get(subject)) is not None), None)


@cache
def _load(exam: str) -> Mapping[str, Subject]:
    table = files("tmlu_bench").joinpath("tables", _TABLES[exam]).read_text(encoding="utf-8")
    lines = [line for line in table.splitlines() if line and not line.startswith("#")]
    names = lines[0].split("\t")
    rows = [dict(zip(names, line.split("\t"), strict=True)) for line in lines[1:]]
    return MappingProxyType({row["id"]: _subject(row, exam) for row in rows})


def _subject(row: Mapping[str, str], exam: str) -> Subject:
    return Subject(
        id=row["id"],
        name=row["name"],
        exam=exam,
        group=row["group"],
        level=row.get("level"),
        family=row.get("family"),
        num_questions=int(row["questions"]) if "questions" in row else None,
        num_options=int(row.get("options", "4")),
    )
