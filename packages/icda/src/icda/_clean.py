"""Cleaning: copies, near-duplicates and outliers among parsed lines. Pure; what was seen is in the cleaner alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from icda._candidates import Candidate, candidate_id
from icda._near_duplicates import NearDuplicates
from icda._parse import ParsedLine, RejectReason
from icda._text import has_half_character, normalise_text
from twllm_types import ConfigError, DataError, IntentExample, JsonObject, JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanRules:
    """Which parsed lines become candidates; `None` turns a rule off. All ours.

    Attributes:
        near_duplicate: a line whose character trigrams have at least this Jaccard similarity to those of a seed or
            candidate of its intent, or of a test row, is dropped; in (0, 1].
        min_chars: fewest letters and digits, >= 1 (spaces count between words).
        min_length_ratio: shortest line, as a share of its intent's shortest seed; in (0, 1].
        max_length_ratio: longest line, as a multiple of its intent's longest seed; >= 1.

    Raises:
        ConfigError: a value is out of range.
    """

    near_duplicate: float | None = 0.9
    min_chars: int = 2
    min_length_ratio: float | None = 0.25
    max_length_ratio: float | None = 3.0

    def __post_init__(self) -> None:
        near, low, high = self.near_duplicate, self.min_length_ratio, self.max_length_ratio
        if near is not None and not 0 < near <= 1:
            raise ConfigError(f"near_duplicate is {near}; give a similarity in (0, 1], or null")
        if self.min_chars < 1:
            raise ConfigError(f"min_chars is {self.min_chars}; give a number >= 1")
        if low is not None and not 0 < low <= 1:
            raise ConfigError(f"min_length_ratio is {low}; give a share in (0, 1], or null")
        if high is not None and not 1 <= high < float("inf"):
            raise ConfigError(f"max_length_ratio is {high}; give a multiple >= 1, or null")


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedLine:
    """A line that becomes no candidate; a row of `rejected.jsonl`.

    Attributes:
        id: what the candidate's would have been (`candidate_id`).
        text: as parsed.
        intent: asked for.
        request_id: of the request.
        source: name of the generator.
        reason: why.
        like: id of the seed, candidate or test row that it repeats, where that has one; else None.
    """

    id: str
    text: str
    intent: str
    request_id: str
    source: str
    reason: RejectReason
    like: str | None = None


def rejected_to_json(line: RejectedLine) -> JsonObject:
    """The row of `rejected.jsonl`."""
    return {
        "id": line.id,
        "text": line.text,
        "intent": line.intent,
        "request_id": line.request_id,
        "source": line.source,
        "reason": line.reason.value,
        "like": line.like,
    }


def rejected_from_json(row: Mapping[str, JsonValue], *, where: str) -> RejectedLine:
    """Read what `rejected_to_json` gave.

    Args:
        row: of the file.
        where: file and line, for the message.

    Raises:
        DataError: a key is missing, or there is no such reason.
    """
    try:
        texts = {name: str(row[name]) for name in ("id", "text", "intent", "request_id", "source")}
        like = row["like"]
        return RejectedLine(**texts, reason=RejectReason(str(row["reason"])), like=None if like is None else str(like))
    except (KeyError, ValueError) as error:
        raise DataError(f"{where}: holds no rejected line ({error}); restore the file") from error


class Cleaner:
    """Admits lines in the order in which they come; the same lines in the same order give the same result.

    Keeps what it has seen: seeds, test rows and admitted candidates. A candidate may repeat one of another intent
    exactly; which of the two is right is for the classifier to say.

    Args:
        seeds: of all intents.
        test: rows that must not come back; of all intents.
        rules: what decides.
    """

    def __init__(
        self, seeds: Iterable[IntentExample], test: Iterable[IntentExample] = (), rules: CleanRules | None = None
    ) -> None:
        self._rules = CleanRules() if rules is None else rules
        self._seeds: dict[str, str | None] = {}
        self._test: dict[str, str | None] = {}
        self._admitted: dict[tuple[str, str], str] = {}
        self._lengths: dict[str, tuple[int, int]] = {}
        seed_rows, test_rows = list(seeds), list(test)
        for row in seed_rows:
            text = normalise_text(row.text)
            self._seeds.setdefault(text, row.id)
            low, high = self._lengths.get(row.intent or "", (len(text), len(text)))
            self._lengths[row.intent or ""] = min(low, len(text)), max(high, len(text))
        for row in test_rows:
            self._test.setdefault(normalise_text(row.text), row.id)
        self._near = self._index(seed_rows) if self._rules.near_duplicate is not None else None

    def _index(self, seeds: Sequence[IntentExample]) -> NearDuplicates:
        index = NearDuplicates(self._rules.near_duplicate or 1.0, common=[*self._seeds, *self._test])
        for row in seeds:
            index.add(normalise_text(row.text), group=row.intent or "", row_id=row.id)
        for text, row_id in self._test.items():
            index.add(text, group=None, row_id=row_id)
        return index

    def admit(
        self,
        lines: Sequence[ParsedLine],
        *,
        intent: str,
        request_id: str,
        source: str,
        seed_ids: Sequence[str] = (),
    ) -> tuple[Candidate | RejectedLine, ...]:
        """Judge the lines of one completion, in their order; those that pass are remembered.

        Args:
            lines: of `parse_completion`.
            intent: asked for.
            request_id: of the request, distinct for each.
            source: name of the generator.
            seed_ids: seeds that the prompt showed.

        Returns:
            One candidate or rejected line for each line.
        """
        return tuple(
            self._admit(line, candidate_id(intent, request_id, place), intent, request_id, source, tuple(seed_ids))
            for place, line in enumerate(lines)
        )

    def admit_row(self, candidate: Candidate) -> Candidate | RejectedLine:
        """Judge a row of a pool made elsewhere, which is an utterance already; one that passes is remembered."""
        return self._admit(
            ParsedLine(text=candidate.text),
            candidate.id,
            candidate.intent,
            candidate.request_id,
            candidate.source,
            candidate.seed_ids,
        )

    def _admit(
        self, line: ParsedLine, row_id: str, intent: str, request_id: str, source: str, seed_ids: tuple[str, ...]
    ) -> Candidate | RejectedLine:
        text = normalise_text(line.text)
        reason, like = (line.reason, None) if line.reason else self._problem(text, intent)
        if reason is None and has_half_character(line.text):
            reason = RejectReason.TRUNCATED
        if reason is not None:
            return RejectedLine(
                id=row_id,
                text=line.text,
                intent=intent,
                request_id=request_id,
                source=source,
                reason=reason,
                like=like,
            )
        self._admitted[intent, text] = row_id
        if self._near is not None:
            self._near.add(text, group=intent, row_id=row_id)
        return Candidate(
            text=line.text, intent=intent, id=row_id, source=source, request_id=request_id, seed_ids=seed_ids
        )

    def _problem(self, text: str, intent: str) -> tuple[RejectReason | None, str | None]:
        """Why a normalised text is refused, and the id of what it repeats."""
        length = self._length_problem(len(text), intent)
        if length is not None:
            return length, None
        if text in self._seeds:
            return RejectReason.SEED_COPY, self._seeds[text]
        if text in self._test:
            return RejectReason.TEST_COPY, self._test[text]
        if (intent, text) in self._admitted:
            return RejectReason.DUPLICATE, self._admitted[intent, text]
        match = self._near.find(text, group=intent) if self._near is not None else None
        return (None, None) if match is None else (RejectReason.NEAR_DUPLICATE, match.id)

    def _length_problem(self, length: int, intent: str) -> RejectReason | None:
        if not length:
            return RejectReason.EMPTY
        shortest, longest = self._lengths.get(intent, (None, None))
        low, high = self._rules.min_length_ratio, self._rules.max_length_ratio
        if length < self._rules.min_chars or (low is not None and shortest is not None and length < low * shortest):
            return RejectReason.TOO_SHORT
        if high is not None and longest is not None and length > high * longest:
            return RejectReason.TOO_LONG
        return None


def clean(
    lines: Sequence[ParsedLine],
    *,
    intent: str,
    source: str,
    request_id: str = "",
    seeds: Iterable[IntentExample] = (),
    test: Iterable[IntentExample] = (),
    rules: CleanRules | None = None,
) -> tuple[Candidate | RejectedLine, ...]:
    """Judge lines of one intent that have no past; for several requests keep a `Cleaner`.

    Args:
        lines: parsed.
        intent: asked for.
        source: name of the generator.
        request_id: of the request.
        seeds: of all intents.
        test: rows that must not come back.
        rules: what decides.
    """
    return Cleaner(seeds, test, rules).admit(lines, intent=intent, request_id=request_id, source=source)
