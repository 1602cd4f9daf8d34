"""From rows to what the collator takes: tokens, spans, labels, and the mismatched pairs of every row.

A set is prepared once; it depends on rows, tokenizer and settings alone, never on batches, processes or epochs.
"""

# pyright: standard
# torch's Dataset and transformers' tokenizers are not strictly typed

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from torch.utils.data import Dataset

from step_kto._config import StepKTOConfig
from step_kto._data import validate_solutions
from step_kto._labels import LabelCode, LabelLevel, SolutionCounts, apply_after_first_error, count_labels, label_code
from step_kto._pairing import SampledStep, draw_partners, draw_steps
from step_kto._rows import NamedSolution, RowSource, read_rows, source_name
from step_kto._spans import TokenizedSolution, check_length, step_token_ids
from step_kto._views import View, ViewName, is_too_long, mismatched_view, sampled_view
from twllm_types import DataError, StepwiseSolution

FILLER_PLACE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRow:
    """A solution in tokens.

    Attributes:
        name: what messages call the row.
        prompt: the text of the prompt, by which rows of one problem are known.
        view: prompt and own answer.
        step_codes: `LabelCode` of each step, after the policy for steps behind a first error.
        outcome_code: `LabelCode` of the answer.
    """

    name: str
    prompt: str
    view: View
    step_codes: tuple[int, ...]
    outcome_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What the collator gets for one place.

    Attributes:
        place: of the row within the set; `FILLER_PLACE` for one that only fills up a batch.
        views: "matched", and where they are needed "mismatched" and "sampled".
        step_codes: of the matched answer.
        outcome_code: likewise.
        ref_sums: per view the reference's log-probability of each step, nats; None where it is computed in training.
    """

    place: int
    views: dict[ViewName, View]
    step_codes: tuple[int, ...]
    outcome_code: int
    ref_sums: dict[ViewName, tuple[float, ...]] | None


RefSums: TypeAlias = dict[ViewName, tuple[tuple[tuple[float, ...], ...], ...]]
"""Per view, per pairing (one for "matched"), per row: the reference's log-probability of each step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedSet(Dataset):  # pyright: ignore[reportMissingTypeArgument] - torch's class is generic by name only
    """Prepared rows with their pairings; a map-style dataset whose places are row + number of rows * pairing.

    Attributes:
        name: what messages call the set.
        rows: at least one.
        partners: per pairing the place of each row's mismatched partner; one empty tuple where none are needed.
        sampled: per pairing the sampled mismatched step of each row; likewise.
        max_tokens: what a mismatched pair must fit into, or None.
        num_dropped: rows that were longer than max_length.
        num_shortened_pairs: mismatched pairs that lost whole steps at their end to fit.
        counts: verdicts of the rows.
        ref_sums: see `RefSums`; None before they are computed.
        content_hash: of everything above but names and reference, as hexadecimal SHA-256.
    """

    name: str
    rows: tuple[PreparedRow, ...]
    partners: tuple[tuple[int, ...], ...]
    sampled: tuple[tuple[SampledStep, ...], ...]
    max_tokens: int | None
    num_dropped: int
    num_shortened_pairs: int
    counts: SolutionCounts
    ref_sums: RefSums | None
    content_hash: str

    @property
    def num_pairings(self) -> int:
        """Sets of mismatched partners, at least 1."""
        return len(self.partners)

    @property
    def view_names(self) -> tuple[ViewName, ...]:
        """Which sequences are scored for each row."""
        needed: dict[ViewName, bool] = {
            "matched": True,
            "mismatched": bool(self.partners[0]),
            "sampled": bool(self.sampled[0]),
        }
        return tuple(name for name in needed if needed[name])

    def __len__(self) -> int:
        """Rows, whatever the pairings."""
        return len(self.rows)

    def view(self, name: ViewName, row: int, pairing: int) -> View:
        """The sequence of that name for one row."""
        own = self.rows[row].view
        if name == "matched":
            return own
        if name == "mismatched":
            return mismatched_view(own, self.rows[self.partners[pairing][row]].view, max_tokens=self.max_tokens)
        drawn = self.sampled[pairing][row]
        return sampled_view(own, self.rows[drawn.partner].view, drawn, max_tokens=self.max_tokens)

    def __getitem__(self, place: int) -> Example:
        """The example at row + number of rows * pairing, or a filler that counts for nothing."""
        if place == FILLER_PLACE:
            return self._filler()
        pairing, row = divmod(place, len(self.rows))
        ref_sums: dict[ViewName, tuple[float, ...]] | None = None
        if self.ref_sums is not None:
            ref_sums = {name: sums[min(pairing, len(sums) - 1)][row] for name, sums in self.ref_sums.items()}
        return Example(
            place=row,
            views={name: self.view(name, row, pairing) for name in self.view_names},
            step_codes=self.rows[row].step_codes,
            outcome_code=self.rows[row].outcome_code,
            ref_sums=ref_sums,
        )

    def _filler(self) -> Example:
        token = self.rows[0].view.prompt_ids[0]
        view = View(prompt_ids=(token,), completion_ids=(), step_ids=(), num_steps=0)
        return Example(
            place=FILLER_PLACE,
            views=dict.fromkeys(self.view_names, view),
            step_codes=(),
            outcome_code=int(LabelCode.UNKNOWN),
            ref_sums=None if self.ref_sums is None else dict.fromkeys(self.view_names, ()),
        )

    def with_reference(self, ref_sums: RefSums) -> "PreparedSet":
        """The same set with the reference's log-probabilities."""
        return replace(self, ref_sums=ref_sums)


def prepare_rows(
    source: RowSource,
    *,
    tokenizer: Any,
    config: StepKTOConfig,
    name: str,
    model_max_tokens: int | None,
    check_both_classes: bool = True,
) -> PreparedSet:
    """Read, check, tokenise and pair a set.

    Args:
        source: see `read_rows`.
        tokenizer: a fast one of transformers.
        config: settings.
        name: what messages call the set where it is no file.
        model_max_tokens: longest sequence that the model takes; None for any.
        check_both_classes: refuse a set with one class on a level that has weight; an evaluation set may have one.

    Raises:
        DataError: a row is refused, too long, or all rows share one prompt; the message names row and fix.
        ConfigError: the tokenizer cannot be used.
    """
    named = read_rows(
        source, name=name, tokenizer=tokenizer, prompt_format=config.prompt_format, system_prompt=config.system_prompt
    )
    kept = _tokenize(named, tokenizer=tokenizer, config=config, model_max_tokens=model_max_tokens)
    solutions, rows = [row.solution for row, _ in kept], tuple(row for _, row in kept)
    where = source_name(source, name)
    if check_both_classes:
        validate_solutions(solutions, where=where, levels=_levels(config), after_first_error=config.after_first_error)
    partners, sampled = _pair(rows, config=config, name=where)
    max_tokens = _least(config.max_length, model_max_tokens)
    return PreparedSet(
        name=name,
        rows=rows,
        partners=partners,
        sampled=sampled,
        max_tokens=max_tokens,
        num_dropped=len(named) - len(kept),
        num_shortened_pairs=_num_shortened(rows, partners, max_tokens),
        counts=count_labels(solutions, after_first_error=config.after_first_error),
        ref_sums=None,
        content_hash=_content_hash(rows, partners, sampled, max_tokens),
    )


def solutions_that_fit(
    source: RowSource, *, tokenizer: Any, config: StepKTOConfig, name: str, model_max_tokens: int | None
) -> tuple[tuple[StepwiseSolution, ...], int]:
    """Read and check a set, and measure it as `prepare_rows` does, for a trainer that would cut what is too long.

    Args:
        source: see `read_rows`.
        tokenizer: a fast one of transformers.
        config: settings; `too_long` says whether a longer row is an error.
        name: what messages call the set where it is no file.
        model_max_tokens: longest sequence that the model takes; None for any.

    Returns:
        The solutions that fit, and how many were dropped.

    Raises:
        DataError: a row is refused or too long; the message names it.
        ConfigError: the tokenizer cannot be used.
    """
    named = read_rows(
        source, name=name, tokenizer=tokenizer, prompt_format=config.prompt_format, system_prompt=config.system_prompt
    )
    kept = _tokenize(named, tokenizer=tokenizer, config=config, model_max_tokens=model_max_tokens)
    return tuple(row.solution for row, _ in kept), len(named) - len(kept)


def _tokenize(
    named: Sequence[NamedSolution], *, tokenizer: Any, config: StepKTOConfig, model_max_tokens: int | None
) -> list[tuple[NamedSolution, PreparedRow]]:
    """The rows that are kept, each with its tokens."""
    eos_id = _eos_id(tokenizer) if config.append_eos else None
    bos_id = _bos_id(tokenizer)
    kept: list[tuple[NamedSolution, PreparedRow]] = []
    for row in named:
        solution = row.solution
        _check_encodable(row)
        try:
            tokens = step_token_ids(
                tokenizer,
                solution.prompt,
                solution.steps,
                eos_id=eos_id,
                bos_id=None if row.templated else bos_id,
            )
        except DataError as error:
            raise DataError(f"{row.name}: {error}") from error
        if config.too_long == "drop" and config.max_length is not None and tokens.num_tokens > config.max_length:
            continue
        limit = _least(config.max_length, model_max_tokens)
        if limit is not None:
            check_length(tokens, max_length=limit, where=row.name)
        kept.append((row, _row(row, tokens, config)))
    if not kept:
        raise DataError(
            f"{named[0].name}: this and the other {len(named) - 1} rows are longer than max_length "
            f"{config.max_length}; raise it"
        )
    return kept


def _check_encodable(row: NamedSolution) -> None:
    try:
        "".join((row.solution.prompt, *row.solution.steps)).encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{row.name}: the text holds half a surrogate pair, which is no character; repair it"
        ) from error


def _row(row: NamedSolution, tokens: TokenizedSolution, config: StepKTOConfig) -> PreparedRow:
    if not tokens.prompt_ids:
        raise DataError(f"{row.name}: the prompt has no token, so its answer's first token cannot be scored; add text")
    labels = apply_after_first_error(row.solution.step_labels, config.after_first_error)
    return PreparedRow(
        name=row.name,
        prompt=row.solution.prompt,
        view=View(
            prompt_ids=tokens.prompt_ids,
            completion_ids=tokens.completion_ids,
            step_ids=tokens.step_ids,
            num_steps=tokens.num_steps,
        ),
        step_codes=tuple(int(label_code(label)) for label in labels),
        outcome_code=int(label_code(row.solution.outcome)),
    )


def _pair(
    rows: Sequence[PreparedRow], *, config: StepKTOConfig, name: str
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[SampledStep, ...], ...]]:
    seed = config.seed if config.pairing_seed is None else config.pairing_seed
    prompts, num_steps = [row.prompt for row in rows], [row.view.num_steps for row in rows]
    partners: list[tuple[int, ...]] = []
    sampled: list[tuple[SampledStep, ...]] = []
    for pairing in range(config.num_pairings if config.needs_mismatched or config.needs_sampled else 1):
        if not (config.needs_mismatched or config.needs_sampled):
            partners.append(())
            sampled.append(())
            continue
        drawn = draw_partners(prompts, seed=seed + pairing, where=name)
        partners.append(drawn if config.needs_mismatched else ())
        sampled.append(draw_steps(num_steps, drawn, seed=seed + pairing) if config.needs_sampled else ())
    return tuple(partners), tuple(sampled)


def _num_shortened(rows: Sequence[PreparedRow], partners: Sequence[Sequence[int]], max_tokens: int | None) -> int:
    return sum(
        is_too_long(rows[row].view, rows[partner].view, max_tokens)
        for pairing in partners
        for row, partner in enumerate(pairing)
    )


def _levels(config: StepKTOConfig) -> tuple[LabelLevel, ...]:
    levels: list[LabelLevel] = ["outcome"] if config.outcome_weight > 0 else []
    return (*levels, "step") if config.step_weight > 0 else tuple(levels)


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _eos_id(tokenizer: Any) -> int:
    if tokenizer.eos_token_id is None:
        raise DataError("the tokenizer has no end-of-sequence token; give it one or set append_eos=False")
    return int(tokenizer.eos_token_id)


def _bos_id(tokenizer: Any) -> int | None:
    """The token that the tokenizer itself puts before a text, if it does."""
    if tokenizer.bos_token_id is None:
        return None
    first = tokenizer("a")["input_ids"][:1]
    return int(tokenizer.bos_token_id) if first == [tokenizer.bos_token_id] else None


def _content_hash(
    rows: Sequence[PreparedRow],
    partners: Sequence[Sequence[int]],
    sampled: Sequence[Sequence[SampledStep]],
    max_tokens: int | None,
) -> str:
    digest = hashlib.sha256(json.dumps(max_tokens).encode())
    for row in rows:
        content = [row.view.prompt_ids, row.view.completion_ids, row.view.step_ids, row.step_codes, row.outcome_code]
        digest.update(json.dumps(content).encode())
    pairs = [[[step.partner, step.own_step, step.partner_step] for step in pairing] for pairing in sampled]
    digest.update(json.dumps([list(map(list, partners)), pairs]).encode())
    return digest.hexdigest()
