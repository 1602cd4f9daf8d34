"""Figures of an evaluation from labelled solutions. Pure but for the comparison of answers, which is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from step_kto._answer_extraction import AnswerSource, extract_answer
from step_kto._metrics import (
    Equivalence,
    SampleCounts,
    accuracy,
    majority_vote,
    pass_at_k_estimate,
    stepwise_errors_in_correct,
)
from step_kto._stage_label import LabelledSolution
from step_kto._stage_sample import GREEDY, Sample
from twllm_runs.statistics import mean_estimate
from twllm_types import Estimate, EstimateUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationFigures:
    """What an evaluation says; every estimate counts what it could not score.

    Attributes:
        estimates: by name: `pass@1_greedy`, `pass@1_sampled`, `pass@K`, `maj@N`, `stepwise_errors_greedy` and
            `stepwise_errors_sampled` (share of right solutions that hold a wrong step), `wrong_steps_sampled` (share of
            labelled steps), `steps_per_solution`. Solutions of one problem count as dependent.
        num_truncated: samples cut off at max_tokens.
    """

    estimates: dict[str, Estimate]
    num_truncated: int


def evaluation_figures(
    samples: Sequence[Sample],
    solutions: Sequence[LabelledSolution],
    *,
    ks: Sequence[int],
    num_samples: int,
    golds: Mapping[str, str],
    equivalent: Equivalence,
) -> EvaluationFigures:
    """Compute the figures.

    A sample that the engine failed, and one whose outcome is unknown, is unscored; a blank one is wrong.

    Args:
        samples: greedy and sampled ones of every problem.
        solutions: of the samples that are not blank.
        ks: of pass@k, each within 1..num_samples.
        num_samples: sampled ones of each problem; also of maj@.
        golds: the right answer of each prompt.
        equivalent: whether an answer (second) is the same as another (first).
    """
    labelled = {one.key: one for one in solutions}
    greedy = [sample for sample in samples if sample.number == GREEDY]
    sampled = [sample for sample in samples if sample.number != GREEDY]
    outcomes = {sample.key: _outcome(sample, labelled) for sample in samples}
    estimates = {
        "pass@1_greedy": accuracy([outcomes[sample.key] for sample in greedy]),
        "pass@1_sampled": accuracy(
            [outcomes[sample.key] for sample in sampled], problems=[sample.prompt for sample in sampled]
        ),
    }
    by_problem: dict[str, list[bool | None]] = {}
    for sample in sampled:
        by_problem.setdefault(sample.prompt, []).append(outcomes[sample.key])
    for k in ks:
        estimates[f"pass@{k}"] = _pass_at(k, by_problem)
    estimates[f"maj@{num_samples}"] = _majority(sampled, labelled, golds=golds, equivalent=equivalent)
    for name, part in (("greedy", greedy), ("sampled", sampled)):
        kept = [labelled[sample.key].solution for sample in part if sample.key in labelled]
        estimates[f"stepwise_errors_{name}"] = stepwise_errors_in_correct(kept)
    estimates |= _step_figures([one for one in solutions if one.number != GREEDY])
    return EvaluationFigures(
        estimates=estimates, num_truncated=sum(sample.finish_reason == "length" for sample in samples)
    )


def _outcome(sample: Sample, labelled: Mapping[tuple[str, int], LabelledSolution]) -> bool | None:
    if sample.text is None:
        return None
    found = labelled.get(sample.key)
    return False if found is None else found.solution.outcome


def _pass_at(k: int, by_problem: Mapping[str, Sequence[bool | None]]) -> Estimate:
    scored = [[outcome for outcome in outcomes if outcome is not None] for outcomes in by_problem.values()]
    counts = [
        SampleCounts(num_samples=len(outcomes), num_right=sum(outcomes)) for outcomes in scored if len(outcomes) >= k
    ]
    return replace(pass_at_k_estimate(counts, k), num_unscored=len(by_problem) - len(counts))


def _majority(
    sampled: Sequence[Sample],
    labelled: Mapping[tuple[str, int], LabelledSolution],
    *,
    golds: Mapping[str, str],
    equivalent: Equivalence,
) -> Estimate:
    """Share of problems whose vote is right; without any answer of the engine a problem is unscored."""
    answered = {sample.prompt for sample in sampled if sample.text is not None}
    right: list[bool | None] = []
    for prompt in dict.fromkeys(sample.prompt for sample in sampled):
        vote = _vote(prompt, sampled, labelled, equivalent)
        right.append((vote is not None and equivalent(golds[prompt], vote)) if prompt in answered else None)
    return accuracy(right)


def _vote(
    prompt: str,
    sampled: Sequence[Sample],
    labelled: Mapping[tuple[str, int], LabelledSolution],
    equivalent: Equivalence,
) -> str | None:
    answers: list[str | None] = []
    for sample in sampled:
        if sample.prompt == prompt and sample.key in labelled:
            answer = extract_answer(sample.text or "")
            answers.append(None if answer is None or answer.source is AnswerSource.SENTENCE else _boxed(answer.text))
    return majority_vote(answers, equivalent=equivalent)


def _boxed(answer: str) -> str:
    """An extracted answer as a text that gives just this answer."""
    return f"\\boxed{{{answer}}}"


def _step_figures(solutions: Sequence[LabelledSolution]) -> dict[str, Estimate]:
    labels = [(one.solution.prompt, label) for one in solutions for label in one.solution.step_labels]
    known = [(prompt, label) for prompt, label in labels if label is not None]
    return {
        "wrong_steps_sampled": mean_estimate(
            [float(not label) for _, label in known],
            unit=EstimateUnit.SHARE,
            clusters=[prompt for prompt, _ in known],
            num_unscored=len(labels) - len(known),
        ),
        "steps_per_solution": mean_estimate(
            [float(len(one.solution.steps)) for one in solutions],
            unit=EstimateUnit.COUNT,
            clusters=[one.solution.prompt for one in solutions],
        ),
    }
