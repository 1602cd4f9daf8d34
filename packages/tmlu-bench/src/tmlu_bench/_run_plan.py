"""Which items a run puts: subjects, sample, orders of options, worked examples, prompts. No model is asked here."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tmlu_bench._extraction import Extractor
from tmlu_bench._outcomes import ItemKey
from tmlu_bench._permute import PermutedQuestion, permute_circular, permute_seeded
from tmlu_bench._prompts import Prompt, build_prompt
from tmlu_bench._protocols import ExamProtocol, PromptForm, Scoring, get_protocol
from tmlu_bench._question_set import QuestionSet, SubjectQuestions
from tmlu_bench._subjects import SUBJECT_TABLE_VERSION
from tmlu_bench._wording import counted
from twllm_types import ChoiceQuestion, ConfigError, DataError, JsonObject

_COMPAT = "compat"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamSettings:
    """What decides the result of an exam, beside the questions and the model.

    Attributes:
        protocol: name of the protocol.
        scoring: how a choice is read off the model; one that the protocol allows.
        num_shots: worked examples per question, 0 to the protocol's most.
        fewer_shots: where a subject has fewer dev rows, show those it has (recorded per item); else that is an error.
        extractor: "robust", or "compat" for the protocol's own reader of generated answers.
        form: how prompts reach the model.
        max_tokens: most new tokens of a generation; None for the protocol's.
        permute: seed of another order of each question's options; None for the order as given.
        circular: put each question in all rotations of its options; not together with `permute`.
        subjects: ids of the subjects, each once; empty for all.
        limit: questions in all, a stratified sample; None for all.
        seed: of the sample, of sampling, and of bootstrap intervals, >= 0.

    Raises:
        ConfigError: a value is out of range, or two exclude each other.
    """

    protocol: str = "tmlu-direct"
    scoring: Scoring = Scoring.LOGPROB
    num_shots: int = 5
    fewer_shots: bool = False
    extractor: str = Extractor.ROBUST.value
    form: PromptForm = PromptForm.RAW
    max_tokens: int | None = None
    permute: int | None = None
    circular: bool = False
    subjects: tuple[str, ...] = ()
    limit: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        protocol = get_protocol(self.protocol)
        if self.scoring not in protocol.scorings:
            raise ConfigError(
                f"protocol {protocol.id} is not scored by {self.scoring}; "
                f"use --scoring {' or '.join(sorted(protocol.scorings))}, or another protocol"
            )
        if not 0 <= self.num_shots <= protocol.max_shots:
            raise ConfigError(f"--num-shots {self.num_shots} with {protocol.id}; give 0 to {protocol.max_shots}")
        if self.extractor not in (Extractor.ROBUST.value, _COMPAT):
            raise ConfigError(f"extractor {self.extractor!r} is none of robust, compat; give one of the two")
        if self.circular and self.permute is not None:
            raise ConfigError("--circular puts every rotation already; leave --permute out")
        for name, value in (("limit", self.limit), ("max_tokens", self.max_tokens)):
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}; give at least 1, or leave it out")
        repeated = sorted({name for name in self.subjects if self.subjects.count(name) > 1})
        if repeated:
            raise ConfigError(f"subjects names {', '.join(repeated)} more than once; name each subject once")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; give one >= 0")

    @property
    def reader(self) -> Extractor | None:
        """Who reads generated answers; None where the scoring generates none, or the protocol has no reader."""
        if self.scoring is not Scoring.GENERATE:
            return None
        return Extractor.ROBUST if self.extractor == Extractor.ROBUST else get_protocol(self.protocol).compat_extractor

    def to_json(self) -> JsonObject:
        """Return what decides the result, with the versions of protocol and subject table."""
        protocol = get_protocol(self.protocol)
        return {
            "protocol": protocol.id,
            "protocol_version": protocol.version,
            "subject_table_version": SUBJECT_TABLE_VERSION,
            "scoring": self.scoring.value,
            "num_shots": self.num_shots,
            "fewer_shots": self.fewer_shots,
            "extractor": None if self.reader is None else self.reader.value,
            "form": self.form.value,
            "max_tokens": (self.max_tokens or protocol.max_tokens) if self.scoring is Scoring.GENERATE else None,
            "permute": self.permute,
            "circular": self.circular,
            "subjects": list(self.subjects),
            "limit": self.limit,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedItem:
    """One item to put.

    Attributes:
        permuted: the question as shown.
        variant: 0 for the order as given, k for the k-th permutation.
        prompt: None where none can be built; `problem` says why.
        problem: one line; None where there is a prompt.
        num_shots: worked examples in the prompt.
    """

    permuted: PermutedQuestion
    variant: int
    prompt: Prompt | None
    problem: str | None
    num_shots: int

    @property
    def key(self) -> ItemKey:
        """What the item is known by."""
        question = self.permuted.question
        return ItemKey(subject=question.subject, question_id=question.id, variant=self.variant)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamPlan:
    """All items of a run.

    Attributes:
        items: by subject, in the order of the set; the variants of a question stand together.
        groups: subject to group, of the subjects that have one.
        num_available: questions of the chosen subjects before the sample.
        shots: subject to its number of worked examples.
        not_sampled: chosen subjects of which the sample holds no question.
    """

    items: tuple[PlannedItem, ...]
    groups: Mapping[str, str]
    num_available: int
    shots: Mapping[str, int] = field(default_factory=dict[str, int])
    not_sampled: tuple[str, ...] = ()


def plan_exam(questions: QuestionSet, settings: ExamSettings) -> ExamPlan:
    """Choose subjects and sample, and build the prompts.

    Raises:
        ConfigError: a subject is not in the set or has too few dev rows, or the protocol cannot ask it.
        DataError: there is nothing to ask, or no prompt of a subject can be built.
    """
    chosen = [questions.get(name) for name in settings.subjects] or list(questions.subjects)
    asked = [subject for subject in chosen if subject.test]
    if not asked:
        raise DataError(f"{questions.name}: no question to ask; check the files of the test split")
    protocol = get_protocol(settings.protocol)
    for subject in asked:
        _check_dev(subject, settings)
    sample = draw_sample({subject.id: subject.test for subject in asked}, limit=settings.limit, seed=settings.seed)
    items: list[PlannedItem] = []
    for subject in asked:
        items.extend(_plan_subject(subject, sample[subject.id], protocol, settings))
    known = {subject.id: questions.known_subject(subject.id) for subject in asked}
    return ExamPlan(
        items=tuple(items),
        groups={name: entry.group for name, entry in known.items() if entry is not None},
        num_available=sum(len(subject.test) for subject in asked),
        shots={subject.id: min(settings.num_shots, len(subject.dev)) for subject in asked},
        not_sampled=tuple(name for name, drawn in sample.items() if not drawn),
    )


def draw_sample(
    questions: Mapping[str, Sequence[ChoiceQuestion]], *, limit: int | None, seed: int
) -> dict[str, tuple[ChoiceQuestion, ...]]:
    """Draw a stratified sample: each subject gives its share, by largest remainders (Hamilton's method).

    Within a subject questions are ranked by SHA-256 of seed and id, so a larger sample of the same seed holds most of
    a smaller one, and the order of the file says nothing. A limit of at least the questions there are draws all.

    Args:
        questions: by subject.
        limit: questions in all; None for all.
        seed: of the ranks.

    Returns:
        Per subject its drawn questions, in the order given; a subject may have none.
    """
    total = sum(len(group) for group in questions.values())
    if limit is None or limit >= total:
        return {subject: tuple(group) for subject, group in questions.items()}
    quotas = {subject: limit * len(group) / total for subject, group in questions.items()}
    sizes = {subject: int(quota) for subject, quota in quotas.items()}
    by_rest = sorted(quotas, key=lambda subject: (sizes[subject] - quotas[subject], _rank(seed, subject, "")))
    for subject in by_rest[: limit - sum(sizes.values())]:
        sizes[subject] += 1
    return {subject: _draw(group, sizes[subject], seed) for subject, group in questions.items()}


def _draw(group: Sequence[ChoiceQuestion], size: int, seed: int) -> tuple[ChoiceQuestion, ...]:
    ranked = sorted(range(len(group)), key=lambda at: _rank(seed, group[at].subject, group[at].id))
    return tuple(group[at] for at in sorted(ranked[:size]))


def _rank(seed: int, subject: str, question_id: str) -> bytes:
    return hashlib.sha256(f"sample\0{seed}\0{subject}\0{question_id}".encode()).digest()


def _check_dev(subject: SubjectQuestions, settings: ExamSettings) -> None:
    if len(subject.dev) < settings.num_shots and not settings.fewer_shots:
        raise ConfigError(
            f"subject {subject.id} has {counted(len(subject.dev), 'dev row')} for --num-shots {settings.num_shots}; "
            "give fewer shots, leave it out by --subjects, or allow it by --fewer-shots"
        )


def _plan_subject(
    subject: SubjectQuestions, drawn: Sequence[ChoiceQuestion], protocol: ExamProtocol, settings: ExamSettings
) -> list[PlannedItem]:
    shots = subject.dev[: settings.num_shots]
    items: list[PlannedItem] = []
    for question in drawn:
        for variant, permuted in _variants(question, settings):
            prompt, problem = _prompt(permuted.question, shots, protocol, subject.name)
            items.append(
                PlannedItem(permuted=permuted, variant=variant, prompt=prompt, problem=problem, num_shots=len(shots))
            )
    if items and all(item.prompt is None for item in items):
        raise DataError(f"no question of {subject.id} can be put: {items[0].problem}")
    return items


def _variants(question: ChoiceQuestion, settings: ExamSettings) -> list[tuple[int, PermutedQuestion]]:
    if settings.circular:
        return list(enumerate(permute_circular(question)))
    if settings.permute is not None:
        return [(1, permute_seeded(question, seed=settings.permute))]
    return [(0, PermutedQuestion(question=question, order=tuple(range(len(question.options)))))]


def _prompt(
    question: ChoiceQuestion, shots: Sequence[ChoiceQuestion], protocol: ExamProtocol, name: str
) -> tuple[Prompt | None, str | None]:
    try:
        return build_prompt(question, shots, protocol, subject_name=name), None
    except DataError as error:
        return None, str(error)
