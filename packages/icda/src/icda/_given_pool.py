"""A pool made elsewhere, cleaned as what a generator writes is. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from icda._candidates import Candidate, candidate_id
from icda._clean import Cleaner, CleanRules, RejectedLine
from icda._run_data import RunData
from twllm_types import DataError, IntentExample


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanedPool:
    """What is left of a pool.

    Attributes:
        candidates: rows that passed, in the order of the pool.
        rejected: the others, each with its reason, in that order.
    """

    candidates: tuple[Candidate, ...]
    rejected: tuple[RejectedLine, ...]


def clean_pool(data: RunData, rules: CleanRules | None = None) -> CleanedPool:
    """Judge the rows of the data's pool by the rules that generated lines go through.

    Rows are utterances already, so nothing is parsed. Copies of seeds and test rows, duplicates and near-duplicates
    within an intent and length outliers go; of equal rows the first stays. A row of an intent that the seeds lack stays
    and is left to the selection, which drops it by name. No pool gives no rows.

    Raises:
        DataError: a row has no intent.
    """
    cleaner = Cleaner(data.seeds, (*data.test, *data.out_of_scope), rules)
    judged = [cleaner.admit_row(candidate) for candidate in pool_candidates(data.candidates or ())]
    return CleanedPool(
        candidates=tuple(one for one in judged if isinstance(one, Candidate)),
        rejected=tuple(one for one in judged if isinstance(one, RejectedLine)),
    )


def pool_candidates(rows: Sequence[IntentExample]) -> tuple[Candidate, ...]:
    """Turn rows of a pool made elsewhere into candidates, none left out; each id says the place of the row in the pool.

    Raises:
        DataError: a row has no intent.
    """
    found: list[Candidate] = []
    for place, row in enumerate(rows):
        if row.intent is None:
            raise DataError(f"candidate {row.id}: is out of scope; leave it out, there is no intent to keep it for")
        source = "pool" if row.source == "seed" else row.source
        found.append(Candidate(text=row.text, intent=row.intent, id=candidate_id(row.intent, "", place), source=source))
    return tuple(found)
