"""The stage that selects: which candidates are kept, by the rules asked for and, beside them, by every simpler one.

The folder holds `run.json`, `selected.jsonl` (rows to train on), `decisions.jsonl` (one line per candidate, with what
every plain rule would have done), `thresholds.json`, `review.csv` and `summary.json` with the guards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from icda._candidates import Candidate
from icda._guards import Guard, GuardName, GuardRules, class_collapse, kept_share, refuse_stops
from icda._review import REVIEW_NAME, ReviewRow, write_review
from icda._run_inputs import DECISIVE_PACKAGES, SUMMARY_NAME, read_stage
from icda._run_score import ScoreRun, estimate_thresholds
from icda._select import Selection, select
from icda._selection_rules import Decision, DecisionReason, Outcome, SelectionKind, SelectionRules
from icda._stored_scores import THRESHOLDS_NAME, write_thresholds
from icda._summary_json import guards_from_json, guards_to_json
from icda._threshold_settings import ThresholdSettings
from icda._thresholds import Thresholds, ThresholdScale
from twllm_runs import (
    Run,
    RunState,
    check_sha256,
    hash_file,
    open_run,
    read_jsonl,
    recipe_to_json,
    write_jsonl,
)
from twllm_types import ArtifactError, ConfigError, IntentExample, JsonObject, JsonValue

SELECT_COMMAND = "icda select"
SELECTED_NAME = "selected.jsonl"
DECISIONS_NAME = "decisions.jsonl"
# What people edit is no result of the run, so its hash is not among these.
_FILES = (SELECTED_NAME, DECISIONS_NAME, THRESHOLDS_NAME)
_SCALE = {
    SelectionKind.PVI_CLASS: ThresholdScale.BITS,
    SelectionKind.PVI_GLOBAL: ThresholdScale.BITS,
    SelectionKind.SELF_CONFIDENCE: ThresholdScale.PROBABILITY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectJob:
    """What selecting needs to know.

    Attributes:
        rules: which candidates are kept.
        thresholds: other thresholds than those of the scoring, from the same held-out rows; None takes those. Their
            `estimated_on` cannot be changed here.
        guards: limits.
        allow_guards: guards that do not stop.
    """

    rules: SelectionRules = field(default_factory=SelectionRules)
    thresholds: ThresholdSettings | None = None
    guards: GuardRules = field(default_factory=GuardRules)
    allow_guards: tuple[GuardName, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateDecision:
    """What became of a candidate.

    Attributes:
        candidate: the row.
        decision: of the rules asked for.
        baselines: intent under which each plain rule keeps it, by the rule's kind; None where it drops it.
        predicted: the classifier's first choice.
        pvi: under the asked intent, bits.
    """

    candidate: Candidate
    decision: Decision
    baselines: Mapping[str, str | None]
    predicted: str
    pvi: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectRun:
    """What the stage gave.

    Attributes:
        folder: of the run.
        state: what was found in it.
        decisions: on every candidate, in their order.
        guards: what is wrong.
        num_kept: by rule: "selected", then the kinds of the plain rules.
    """

    folder: Path
    state: RunState
    decisions: tuple[CandidateDecision, ...]
    guards: tuple[Guard, ...]
    num_kept: Mapping[str, int]

    @property
    def selected(self) -> tuple[IntentExample, ...]:
        """Rows to train on, under the intents that they take."""
        return tuple(kept_row(one.candidate, one.decision.intent) for one in self.decisions if one.decision.intent)

    def baseline(self, kind: SelectionKind) -> tuple[IntentExample, ...]:
        """Rows that a plain rule keeps.

        Raises:
            ConfigError: the rule could not be applied, for want of features.
        """
        if self.decisions and kind.value not in self.decisions[0].baselines:
            raise ConfigError(
                f"{self.folder}: holds no selection by {kind.value!r}, which needs features; leave it out"
            )
        kept = ((one.candidate, one.baselines[kind.value]) for one in self.decisions)
        return tuple(kept_row(candidate, intent) for candidate, intent in kept if intent)

    @property
    def review_rows(self) -> tuple[ReviewRow, ...]:
        """The sheet as it was written."""
        return tuple(_review_row(one) for one in self.decisions)


def run_select(scored: ScoreRun, job: SelectJob, *, output: Path) -> SelectRun:
    """Select, or read a finished run.

    Args:
        scored: finished scoring.
        job: how.
        output: folder of the run.

    Raises:
        DataError: a guard of the scoring stops, and is not allowed.
        ConfigError: the rules need what was not scored, or the folder holds something else.
        ArtifactError: the folder holds another run, or was changed.
        LockedError: another process works on it.
    """
    refuse_stops(scored.guards, allowed=job.allow_guards)
    with open_run(
        output,
        command=SELECT_COMMAND,
        parameters=select_parameters(scored, job),
        seed=job.rules.seed,
        decisive_packages=DECISIVE_PACKAGES,
    ) as run:
        return read_selected(output) if run.state is RunState.FINISHED else _carry_out(run, scored, job)


def select_parameters(scored: ScoreRun, job: SelectJob) -> JsonObject:
    """What decides the selection."""
    return {
        "select": recipe_to_json(job.rules),
        "thresholds": None if job.thresholds is None else recipe_to_json(job.thresholds),
        "guards": recipe_to_json(job.guards),
        "allow_guards": [guard.value for guard in job.allow_guards],
        "scores_sha256": hash_file(scored.folder / SUMMARY_NAME),
    }


def read_selected(folder: Path) -> SelectRun:
    """Read a finished run of this stage; `review.csv` is not read.

    Raises:
        ArtifactError: the folder holds none, or was changed.
    """
    summary = read_stage(folder, SELECT_COMMAND).summary or {}
    for name, sha256 in cast("dict[str, str]", summary["sha256"]).items():
        check_sha256(folder / name, sha256)
    return SelectRun(
        folder=folder,
        state=RunState.FINISHED,
        decisions=tuple(_decision_from_json(row) for row in read_jsonl(folder / DECISIONS_NAME)),
        guards=guards_from_json(summary["guards"]),
        num_kept=cast("dict[str, int]", summary["num_kept"]),
    )


def kept_row(candidate: Candidate, intent: str | None) -> IntentExample:
    """The training row of a candidate under an intent."""
    return IntentExample(text=candidate.text, intent=intent, id=candidate.id, source=candidate.source)


def _carry_out(run: Run, scored: ScoreRun, job: SelectJob) -> SelectRun:
    if job.thresholds is not None and job.thresholds.estimated_on not in {None, scored.held_out.estimated_on}:
        raise ConfigError(
            f"thresholds come from {scored.held_out.estimated_on.value} rows, which were scored, not from "
            f"{job.thresholds.estimated_on}; score again with the other"
        )
    thresholds = (
        scored.thresholds
        if job.thresholds is None
        else estimate_thresholds(scored.held_out, job.thresholds, scored.scores.classes)
    )
    chosen = _apply(scored, thresholds, job.rules)
    plain = _plain_selections(scored, thresholds, job.rules, chosen)
    decisions = _join(scored, chosen, plain)
    result = SelectRun(
        folder=run.folder,
        state=run.state,
        decisions=decisions,
        guards=_guards(scored, chosen, job),
        num_kept={"selected": chosen.num_kept, **{kind.value: one.num_kept for kind, one in plain.items()}},
    )
    _write(run, result, thresholds, chosen)
    # what the next stage reads, which is less than a candidate holds
    return replace(read_selected(run.folder), state=run.state)


def _apply(
    scored: ScoreRun,
    thresholds: Mapping[ThresholdScale, Thresholds],
    rules: SelectionRules,
    like: Selection | None = None,
) -> Selection:
    scale = _SCALE.get(rules.kind)
    if rules.kind is SelectionKind.RANDOM and like is None:
        like = _apply(scored, thresholds, SelectionRules(kind=SelectionKind.PVI_CLASS, inclusive=rules.inclusive))
    return select(scored.scores, None if scale is None else thresholds[scale], rules, like=like)


def _plain_selections(
    scored: ScoreRun, thresholds: Mapping[ThresholdScale, Thresholds], rules: SelectionRules, chosen: Selection
) -> dict[SelectionKind, Selection]:
    """Every rule without relabelling, bands and caps; `random` is as large as what was chosen."""
    kinds = [
        kind for kind in SelectionKind if kind is not SelectionKind.NEAREST_INTENT or scored.scores.nearest is not None
    ]
    return {
        kind: _apply(
            scored,
            thresholds,
            SelectionRules(kind=kind, inclusive=rules.inclusive, confidence=rules.confidence, seed=rules.seed),
            chosen,
        )
        for kind in kinds
    }


def _join(
    scored: ScoreRun, chosen: Selection, plain: Mapping[SelectionKind, Selection]
) -> tuple[CandidateDecision, ...]:
    scores = scored.scores
    return tuple(
        CandidateDecision(
            candidate=candidate,
            decision=chosen.decision(place),
            baselines={kind.value: one.intent(place) if bool(one.kept[place]) else None for kind, one in plain.items()},
            predicted=scores.classes[int(scores.best[place])],
            pvi=float(scores.pvi[place]),
        )
        for place, candidate in enumerate(scored.candidates)
    )


def _guards(scored: ScoreRun, chosen: Selection, job: SelectJob) -> tuple[Guard, ...]:
    per_intent = {**dict.fromkeys(scored.seed_counts, 0), **chosen.kept_per_intent()}
    of_size = None
    if chosen.kind is not SelectionKind.KEEP_ALL:
        of_size = kept_share(chosen.num_kept, len(chosen), job.guards)
    found = (class_collapse(per_intent, job.guards), of_size)
    return tuple(guard for guard in found if guard is not None)


def _write(run: Run, result: SelectRun, thresholds: Mapping[ThresholdScale, Thresholds], chosen: Selection) -> None:
    folder = run.folder
    write_jsonl(folder / SELECTED_NAME, (_selected_to_json(one) for one in result.decisions if one.decision.intent))
    write_jsonl(folder / DECISIONS_NAME, (_decision_to_json(one) for one in result.decisions))
    write_thresholds(folder / THRESHOLDS_NAME, list(thresholds.values()))
    write_review(folder / REVIEW_NAME, result.review_rows)
    run.finish(
        {
            "num_candidates": len(result.decisions),
            "num_kept": cast("JsonValue", dict(result.num_kept)),
            "num_relabelled": sum(one.decision.outcome is Outcome.RELABELLED for one in result.decisions),
            "agreement": cast("JsonValue", _agreement(result.decisions)),
            "reasons": {reason.value: count for reason, count in chosen.reason_counts().items() if count},
            "kept_per_intent": cast("JsonValue", dict(sorted(chosen.kept_per_intent().items()))),
            "guards": guards_to_json(result.guards),
            "sha256": {name: hash_file(folder / name) for name in _FILES},
        }
    )


def _agreement(decisions: Sequence[CandidateDecision]) -> dict[str, float]:
    """Share of candidates that a plain rule keeps under the same intent, or drops likewise, as the rules asked for."""
    kinds = list(decisions[0].baselines) if decisions else []
    return {
        kind: sum(one.baselines[kind] == one.decision.intent for one in decisions) / len(decisions) for kind in kinds
    }


def _selected_to_json(one: CandidateDecision) -> JsonObject:
    return {
        "id": one.candidate.id,
        "text": one.candidate.text,
        "intent": one.decision.intent,
        "source": one.candidate.source,
        "asked_intent": one.candidate.intent,
    }


def _decision_to_json(one: CandidateDecision) -> JsonObject:
    return {
        "id": one.candidate.id,
        "text": one.candidate.text,
        "source": one.candidate.source,
        "asked": one.decision.asked,
        "outcome": one.decision.outcome.value,
        "reason": one.decision.reason.value,
        "intent": one.decision.intent,
        "value": one.decision.value,
        "threshold": one.decision.threshold,
        "predicted": one.predicted,
        "pvi": one.pvi,
        "baselines": cast("JsonValue", dict(one.baselines)),
    }


def _decision_from_json(row: JsonObject) -> CandidateDecision:
    try:
        candidate_id, asked = str(row["id"]), str(row["asked"])
        values = {name: row[name] for name in ("outcome", "reason", "intent", "value", "threshold")}
        return CandidateDecision(
            candidate=Candidate(text=str(row["text"]), intent=asked, id=candidate_id, source=str(row["source"])),
            decision=_decision(candidate_id, asked, values),
            baselines=cast("dict[str, str | None]", row["baselines"]),
            predicted=str(row["predicted"]),
            pvi=float(cast("float", row["pvi"])),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ArtifactError(
            f"{DECISIONS_NAME}: is damaged ({error}); run the selection again in a new folder"
        ) from error


def _decision(candidate_id: str, asked: str, values: Mapping[str, JsonValue]) -> Decision:
    return Decision(
        id=candidate_id,
        outcome=Outcome(str(values["outcome"])),
        reason=DecisionReason(str(values["reason"])),
        asked=asked,
        intent=cast("str | None", values["intent"]),
        value=cast("float | None", values["value"]),
        threshold=cast("float | None", values["threshold"]),
    )


def _review_row(one: CandidateDecision) -> ReviewRow:
    kept = one.decision.intent
    return ReviewRow(
        id=one.candidate.id,
        verdict="drop" if kept is None else "keep",
        intent=one.candidate.intent if kept is None else kept,
        text=one.candidate.text,
        asked_intent=one.candidate.intent,
        decision=one.decision.outcome.value,
        reason=one.decision.reason.value,
        value=one.decision.value,
        threshold=one.decision.threshold,
        predicted_intent=one.predicted,
    )
