"""Expected scores: the mean of a score under the model's own probabilities, from the log-probabilities of one call.

The idea is that of G-Eval (arXiv 2303.16634, eq. 1), score = sum_i p(s_i) s_i; others take it from the first or last
token that looks like a digit. Here the score's tokens are those at its offset in the parsed JSON, and what was seen of
the allowed scores, the captured mass, stands beside every value.

The distribution of a dimension is that after the answer as it was written so far, the scores before it included.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, inf, log

from llm_eval._dimensions import Dimension, read_dimensions
from llm_eval._json_objects import JSON_NUMBER
from llm_eval._judgements import DimensionScore, JudgementFailureKind, ParseFailure, ScoreMethod
from llm_eval._parse import ParsedValue, parse_scores
from llm_eval._scales import NumberScale, Scale, VerdictScale, read_scale
from twllm_types import ConfigError, FinishReason, ShapeError, TokenLogprob

_NUMBER_CHARACTERS = re.compile(r"[-+.0-9eE]*")
_TERMINATORS = frozenset(' \t\r\n,}]"')
# Probabilities of half precision that should add up to 1 may be off by this.
_ROUNDING = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class PathQuestion:
    """What an engine that scores continuations is asked for one score.

    A score may be written in several ways ("1" and "1.0"); the model's mass on it is the sum over them.

    Attributes:
        prefix: the answer up to the score, to be put behind the rendered prompt.
        spellings: per allowed score, in the scale's order, the ways to write it, that of the answer first; each with
            the character behind it, without which "1" would hold the probability of "10".
    """

    prefix: str
    spellings: tuple[tuple[str, ...], ...]

    @property
    def continuations(self) -> tuple[str, ...]:
        """One per allowed score, in the scale's order: as the answer writes its score, with or without ".0"."""
        return tuple(ways[0] for ways in self.spellings)

    def per_score(self, logprobs: Sequence[float]) -> tuple[float, ...]:
        """Return each score's log-likelihood given those of all its spellings, joined in order.

        Args:
            logprobs: natural logarithm of each spelling's probability, score by score; -inf for none.

        Raises:
            ShapeError: not one log-likelihood per spelling.
        """
        num_spellings = sum(map(len, self.spellings))
        if len(logprobs) != num_spellings:
            raise ShapeError(f"{len(logprobs)} log-likelihoods for {num_spellings} spellings; give one per spelling")
        each = iter(logprobs)
        return tuple(_log_sum([next(each) for _ in ways]) for ways in self.spellings)


def is_told_apart_at_once(scale: Scale) -> bool:
    """Tell whether the first character of an allowed score says which it is, so that one token always suffices.

    True for 0 to 5 in whole numbers and for verdicts with different initials; False for 1 to 10, 0 to 100, any
    continuous scale and any with a sign or decimals. Where it is False, ask an engine that scores continuations.
    """
    labels = scale.labels
    if labels is None:
        return False
    initials = {label[0] for label in labels}
    return len(initials) == len(labels) and (
        isinstance(scale, VerdictScale) or all(len(label) == 1 for label in labels)
    )


def expected_scores(
    tokens: Sequence[TokenLogprob],
    dimensions: Sequence[Dimension | str],
    scale: Scale | str,
    *,
    text: str | None = None,
    least_mass: float | None = None,
    finish_reason: FinishReason | None = None,
    shown: Sequence[str] = (),
) -> dict[str, DimensionScore] | ParseFailure:
    """Return the expected score of every dimension.

    At the token that holds a score's first character, the probabilities of the alternatives that can only be one
    allowed score are added up by score and made to sum to 1. Where a score takes several tokens, the same is done at
    each token along the path that was written; alternatives that leave open which score they begin count as not
    captured. White space before and what ends the score behind ("4", " 4", "4,", "4}") make no difference.

    Args:
        tokens: of the answer, with alternatives; reasoning tokens may come before and an end token behind it.
        dimensions: what was asked for; a name stands for a dimension without definition.
        scale: of every dimension, with an end of allowed scores; or its text ("0-5-int").
        text: the answer; None for the tokens joined.
        least_mass: least captured mass of every dimension, in [0, 1]; None for any above zero.
        finish_reason: as for `parse_scores`.
        shown: as for `parse_scores`.

    Returns:
        One score per dimension: the mean for numbers, the most probable word for verdicts (of equal ones the scale's
        first); or why there is none.

    Raises:
        ConfigError: the scale is continuous, or the dimensions do not fit together.
    """
    asked, values = read_dimensions(dimensions), read_scale(scale)
    _check_finite(values)
    joined = "".join(token.token for token in tokens)
    answer = joined if text is None else text
    parsed = parse_scores(answer, asked, values, finish_reason=finish_reason, shown=shown)
    if isinstance(parsed, ParseFailure):
        return parsed
    offset = _offset(answer, joined, last=max(one.end for one in parsed.values.values()))
    if offset is None:
        kind = JudgementFailureKind.MISALIGNED_TOKENS
        return ParseFailure(kind=kind, message="the tokens do not join to the text; score without expected values")
    scores: dict[str, DimensionScore] = {}
    for name, value in parsed.values.items():
        score = _score(tokens, name, value, values, offset=offset, least_mass=least_mass)
        if isinstance(score, ParseFailure):
            return score
        scores[name] = score
    return scores


def path_question(text: str, value: ParsedValue, scale: Scale) -> PathQuestion:
    """Return what to ask about one score of an answer: every allowed score at the very place where it was written.

    The score that was written is among the spellings as it was written ("85.0" for 85, "8.50"). White space before it
    goes with it, since most tokenizers join the two.

    Raises:
        ConfigError: the scale is continuous.
    """
    labels = _check_finite(scale)
    before = text[: value.start]
    prefix = before.rstrip(" ")
    behind = text[value.end : value.end + 1]
    lead = before[len(prefix) :]
    written, chosen = text[value.start : value.end], _label(value, scale)
    spellings: list[tuple[str, ...]] = []
    for label in labels:
        ways = _forms(label) if isinstance(scale, NumberScale) else (label,)
        # in the answer's own manner first, the others after it
        ways = tuple(sorted(ways, key=lambda way: ("." in way) is not ("." in written)))
        if label == chosen:
            ways = tuple(dict.fromkeys((written, *ways)))
        spellings.append(tuple(f"{lead}{way}{behind}" for way in ways))
    return PathQuestion(prefix=prefix, spellings=tuple(spellings))


def expected_from_likelihoods(
    scale: Scale, logprobs: Sequence[float], *, least_mass: float | None = None
) -> DimensionScore | ParseFailure:
    """Return the expected score given the log-likelihood of every allowed score at its place (`path_question`).

    Args:
        scale: with an end of allowed scores.
        logprobs: natural logarithm of each score's probability, in the scale's order; -inf for none. Of scores with
            several spellings the sum over them (`PathQuestion.per_score`).
        least_mass: least sum of the probabilities, in [0, 1]; None for any above zero.

    Raises:
        ConfigError: the scale is continuous.
        ShapeError: not one log-likelihood per allowed score.
    """
    labels = _check_finite(scale)
    if len(logprobs) != len(labels):
        raise ShapeError(f"{len(logprobs)} log-likelihoods for {len(labels)} allowed scores; give one per score")
    mass = {label: exp(logprob) for label, logprob in zip(labels, logprobs, strict=True)}
    return _expectation(scale, mass, least_mass=least_mass)


def _log_sum(logprobs: Sequence[float]) -> float:
    """Logarithm of the sum of the probabilities, taken relative to the largest, so that none becomes zero early."""
    largest = max(logprobs)
    return largest if largest == -inf else largest + log(fsum(exp(one - largest) for one in logprobs))


def _check_finite(scale: Scale) -> tuple[str, ...]:
    labels = scale.labels
    if labels is None:
        raise ConfigError("an expected score needs an end of allowed scores; use whole numbers (0-5-int) or list them")
    return labels


def _offset(text: str, joined: str, *, last: int) -> int | None:
    """Offset of `text` in the joined tokens; None where they do not join to it up to its last score.

    What follows the last score may differ: a reason in a script whose characters several tokens share, an end token.
    """
    if joined.startswith(text[:last]):
        return 0
    return len(joined) - len(text) if joined.endswith(text) else None


def _score(
    tokens: Sequence[TokenLogprob],
    name: str,
    value: ParsedValue,
    scale: Scale,
    *,
    offset: int,
    least_mass: float | None,
) -> DimensionScore | ParseFailure:
    mass = _walk(tokens, value, scale, offset=offset)
    score = mass if isinstance(mass, ParseFailure) else _expectation(scale, mass, least_mass=least_mass)
    if isinstance(score, ParseFailure):
        return ParseFailure(kind=score.kind, dimension=name, message=f"{name!r}: {score.message}")
    return score


def _walk(
    tokens: Sequence[TokenLogprob], value: ParsedValue, scale: Scale, *, offset: int
) -> dict[str, float] | ParseFailure:
    """Probability of each allowed score that was seen, along the tokens of the score that was written."""
    mass: dict[str, float] = {}
    reached, so_far = 1.0, ""
    label = _label(value, scale)
    for lead, rest, token in _tokens_of(tokens, value.start + offset, value.end + offset):
        if not token.top:
            return ParseFailure(
                kind=JudgementFailureKind.MISSING_LOGPROBS, message="no alternatives at the score; ask for top_logprobs"
            )
        for other, logprob in token.top.items():
            if other == token.token:
                continue
            tail = other if so_far else _behind(lead, other, scale)
            found = None if tail is None else _resolve(so_far + tail, scale)
            if found is not None:
                mass[found] = mass.get(found, 0.0) + reached * exp(logprob)
        reached *= exp(token.logprob)
        so_far += rest
        if _resolve(so_far, scale) == label:
            break
    # Where the tokens end with the score, nothing else can have been meant.
    mass[label] = mass.get(label, 0.0) + reached
    return mass


def _tokens_of(tokens: Sequence[TokenLogprob], start: int, end: int) -> Iterator[tuple[str, str, TokenLogprob]]:
    """Yield (text before the score, text from it on, token) for the tokens of a score and the one that ends it."""
    position = 0
    for token in tokens:
        behind = position + len(token.token)
        if behind > start and position <= end:
            cut = max(0, start - position)
            yield token.token[:cut], token.token[cut:], token
        position = behind


def _behind(lead: str, other: str, scale: Scale) -> str | None:
    """What an alternative to the score's first token says from the score on; None where it leads to none here.

    `lead` is the written token's text before the score. White space in it, and before a number, may differ.
    """
    rest = other
    for character in "".join(lead.split()):
        rest = rest.lstrip()
        if not rest.startswith(character):
            return None
        rest = rest[1:]
    return rest.lstrip() if isinstance(scale, NumberScale) else rest


def _label(value: ParsedValue, scale: Scale) -> str:
    match scale:
        case NumberScale():
            return scale.text(value.value or 0.0)
        case VerdictScale():
            return value.verdict or ""


def _resolve(written: str, scale: Scale) -> str | None:
    """The only allowed score that a text which begins at the score's first character can be; None where several can."""
    match scale:
        case NumberScale():
            return _resolve_number(written, scale)
        case VerdictScale(verdicts=verdicts):
            word, quotation_mark, _ = written.partition('"')
            if quotation_mark:
                return word if word in verdicts else None
            possible = [verdict for verdict in verdicts if verdict.startswith(word)]
            return possible[0] if len(possible) == 1 else None


def _resolve_number(written: str, scale: NumberScale) -> str | None:
    found = _NUMBER_CHARACTERS.match(written)
    number = "" if found is None else found[0]
    rest = written[len(number) :]
    if not number or (rest and rest[0] not in _TERMINATORS):
        return None
    if rest:
        # adding zero makes -0.0 the zero of the scale
        value = float(number) + 0.0 if JSON_NUMBER.fullmatch(number) else None
        return scale.text(value) if value is not None and scale.contains(value) else None
    possible = {label for label in scale.labels or () for form in _forms(label) if form.startswith(number)}
    return possible.pop() if len(possible) == 1 else None


def _forms(label: str) -> tuple[str, ...]:
    """How a number may be written: a whole one with and without its ".0"."""
    if label.endswith(".0"):
        return label, label.removesuffix(".0")
    return (label,) if "." in label else (label, f"{label}.0")


def _expectation(scale: Scale, mass: Mapping[str, float], *, least_mass: float | None) -> DimensionScore | ParseFailure:
    total = fsum(mass.values())
    if total > 1 + _ROUNDING:
        return ParseFailure(
            kind=JudgementFailureKind.MISSING_LOGPROBS,
            message=f"the probabilities of the allowed scores add up to {total:.3f}, so they are none",
        )
    captured = min(1.0, total)
    if captured == 0:
        kind = JudgementFailureKind.MISSING_LOGPROBS
        return ParseFailure(kind=kind, message="no allowed score has a probability above zero")
    if least_mass is not None and captured < least_mass:
        return ParseFailure(
            kind=JudgementFailureKind.LOW_CAPTURED_MASS,
            message=f"the allowed scores hold {captured:.3f} of the probability, less than {least_mass}",
        )
    shares = {label: mass[label] / total for label in scale.labels or () if mass.get(label, 0.0) > 0}
    match scale:
        case NumberScale():
            value = fsum(float(label) * share for label, share in shares.items())
            verdict = None
        case VerdictScale():
            value, verdict = None, max(shares, key=lambda label: shares[label])
    return DimensionScore(
        value=value, verdict=verdict, method=ScoreMethod.EXPECTED, captured_mass=captured, probabilities=shares
    )
