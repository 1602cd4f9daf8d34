"""What was asked and how, in words: it stands beside every figure, since scores of different exams do not compare."""

from collections.abc import Mapping
from dataclasses import dataclass

from twllm_types import FrozenDict, JsonObject

SAMPLE = "sample"
# The same questions may lie in folders of different names; their hash says whether they are the same.
_NEVER_DIFFERS = frozenset({"data"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedOverview:
    """What several runs asked.

    Attributes:
        common: what all of them did alike, by name.
        by_run: run to what it did otherwise than some other, by name; no names where all did alike.
        different: one line per difference that keeps scores from being compared, "shots: 5 (a), 0 (b)".
    """

    common: Mapping[str, str]
    by_run: Mapping[str, Mapping[str, str]]
    different: tuple[str, ...]


def asked_facts(
    exam: JsonObject, *, method: str, data: str, data_sha256: str, sample: str, truncation: str | None = None
) -> dict[str, str]:
    """Say what a run asked.

    Args:
        exam: what `ExamSettings.to_json` gives.
        method: how the engine was asked.
        data: name of the questions.
        data_sha256: hash of the questions.
        sample: which of them were drawn, in words.
        truncation: how prompts were cut, in words; None where none was.
    """
    scoring = str(exam["scoring"])
    subjects = exam["subjects"]
    names = ", ".join(map(str, subjects)) if isinstance(subjects, list | tuple) else ""
    facts = {
        "protocol": f"{exam['protocol']}@{exam['protocol_version']}",
        "scoring": scoring if scoring == method else f"{scoring} by {method}",
        "shots": f"{exam['num_shots']}{' at most' if exam['fewer_shots'] else ''}",
        "form": str(exam["form"]),
        "truncation": truncation,
        "extractor": exam["extractor"],
        "max tokens": exam["max_tokens"],
        "order of options": _order(exam),
        "subjects": names or "all",
        SAMPLE: sample,
        "data": data,
        "data sha256": data_sha256[:12],
    }
    return {name: str(value) for name, value in facts.items() if value is not None}


def overview(asked: Mapping[str, Mapping[str, str]]) -> AskedOverview:
    """Tell what runs did alike from what they did not.

    Args:
        asked: run to what `asked_facts` says of it; no run gives nothing.
    """
    names = list(dict.fromkeys(name for facts in asked.values() for name in facts))
    other = {name for name in names if len({facts.get(name) for facts in asked.values()}) > 1}
    first: Mapping[str, str] = next(iter(asked.values()), FrozenDict[str, str]())
    return AskedOverview(
        common={name: first[name] for name in names if name not in other},
        by_run={
            run: {name: facts.get(name, "none") for name in names if name in other} for run, facts in asked.items()
        },
        different=differing(asked, ignore=_NEVER_DIFFERS),
    )


def differing(asked: Mapping[str, Mapping[str, str]], *, ignore: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return a line per name on which runs differ, "shots: 5 (a), 0 (b)", by name; "none" where a run has no value."""
    lines: list[str] = []
    for name in sorted({name for facts in asked.values() for name in facts} - ignore):
        values = {run: facts.get(name, "none") for run, facts in asked.items()}
        if len(set(values.values())) > 1:
            lines.append(f"{name}: " + ", ".join(f"{value} ({run})" for run, value in values.items()))
    return tuple(lines)


def _order(exam: JsonObject) -> str:
    if exam["circular"]:
        return "all rotations"
    return "as given" if exam["permute"] is None else f"permuted, seed {exam['permute']}"
