"""What a reader of figures has to know beside them, a line each."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tmlu_bench._question_set import SourceFault
from tmlu_bench._wording import counted

_MAX_NAMES = 10


def count_faults(faults: Iterable[SourceFault]) -> dict[str, int]:
    """Count rows that could not be used by reason, the most frequent first, equal ones by name."""
    found = Counter(fault.reason.value for fault in faults)
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def exam_remarks(faulty_rows: Mapping[str, int], counts: Mapping[str, int]) -> tuple[str, ...]:
    """Say which rows of the data were no questions, and what the engine did to requests.

    Args:
        faulty_rows: reason to number of rows.
        counts: `num_cut` and `num_merged` of the engine, where it has them.
    """
    lines: list[str] = []
    if faulty_rows:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in faulty_rows.items())
        rows = counted(sum(faulty_rows.values()), "row")
        lines.append(f"{rows} of the data could not be used: {reasons}; see tmlu-bench validate")
    if counts.get("num_cut"):
        cut = counted(counts["num_cut"], "request was", "requests were")
        lines.append(f"{cut} cut at the left to the length of the model (truncation: left)")
    if counts.get("num_merged"):
        merged = counted(counts["num_merged"], "request", "requests")
        lines.append(f"in {merged} one token holds the end of the prompt and the beginning of the option")
    return tuple(lines)


def ignored_remark(names: Sequence[str]) -> str:
    """Say which files of the data were not read; empty where there is none."""
    if not names:
        return ""
    more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    files = counted(len(names), "file was", "files were")
    return f"{files} not read, by name or depth no question file: {', '.join(names[:_MAX_NAMES])}{more}"
