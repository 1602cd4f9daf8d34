"""Prompts, byte for byte as the protocols' sources write them. Only whitelisted fields of a question enter a prompt.

From the question that is asked: stem and options. From a worked example: stem, options, answer and, where the protocol
reasons, explanation. Nothing else can leak, since nothing else is read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tmlu_bench._protocols import ExamProtocol, Layout, get_protocol
from tmlu_bench._subjects import find_subject
from twllm_types import ChoiceQuestion, ConfigError, Conversation, DataError, Message, Role

_TMLU_TOPIC = "以下選擇題為出自臺灣的考題，答案為其中一個選項。"
_TMLU_DIRECT = "\n正確答案：("
_TMLU_COT = "\n讓我們一步一步思考。\n"
_LM_EVAL_LETTERS = 4  # the harness's templates always name four options; E and F only where they are given
_TC_EVAL_PREFILL = " ("
_TC_EVAL_ASK = "請從以下選項中選擇並回答: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One question as a model sees it.

    Attributes:
        protocol: id of the protocol.
        protocol_version: its version.
        subject: of the question.
        question_id: of the question.
        letters: of the question's options, "ABCD".
        num_shots: worked examples shown.
        system: what a chat shows as the system's turn; None where the protocol has none. In raw text it stands first.
        user: the whole user's turn: worked examples and question, all in one, without the prefill.
        prefill: where the model goes on: appended to raw text, or to the conversation once a template rendered it;
            may be empty.
        api_user: the user's turn for a server that renders by itself, the prefill inside it where the source does so.
        continuations: what is scored after raw text, one per letter.
        chat_continuations: what is scored after a rendered conversation, one per letter.
    """

    protocol: str
    protocol_version: str
    subject: str
    question_id: str
    letters: str
    num_shots: int
    system: str | None
    user: str
    prefill: str
    api_user: str
    continuations: tuple[str, ...]
    chat_continuations: tuple[str, ...]

    @property
    def raw(self) -> str:
        """The text to continue: system's part, user's part, prefill."""
        return (self.system or "") + self.user + self.prefill

    @property
    def chat(self) -> Conversation:
        """The conversation for a local chat template; append `prefill` to what the template renders."""
        return self._conversation(self.user)

    @property
    def chat_api(self) -> Conversation:
        """The conversation for a server that renders by itself; nothing is appended."""
        return self._conversation(self.api_user)

    def _conversation(self, user: str) -> Conversation:
        turns = [] if self.system is None else [Message(role=Role.SYSTEM, content=self.system)]
        return Conversation(messages=(*turns, Message(role=Role.USER, content=user)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    system: str | None
    user: str
    prefill: str
    api_user: str
    delimiter: str = ""


def build_prompt(
    question: ChoiceQuestion,
    shots: Sequence[ChoiceQuestion],
    protocol: str | ExamProtocol,
    *,
    subject_name: str | None = None,
) -> Prompt:
    """Return the prompt of one question.

    Args:
        question: what is asked; its answer and explanation are not read.
        shots: worked examples in order, 0 to the protocol's `max_shots`; the first rows of the subject's dev split.
        protocol: name or protocol.
        subject_name: the subject's Chinese name where the protocol shows it; None takes that of the subject table.

    Raises:
        ConfigError: no such protocol, too many shots, or the protocol shows a name that is not known.
        DataError: a worked example is the question itself or lacks the explanation that the protocol shows, or the
            protocol cannot show the question.
    """
    chosen = get_protocol(protocol)
    _check_shots(question, shots, chosen)
    parts = _LAYOUTS[chosen.layout](question, shots, chosen, subject_name)
    return Prompt(
        protocol=chosen.id,
        protocol_version=chosen.version,
        subject=question.subject,
        question_id=question.id,
        letters=question.letters,
        num_shots=len(shots),
        system=parts.system,
        user=parts.user,
        prefill=parts.prefill,
        api_user=parts.api_user,
        continuations=tuple(parts.delimiter + letter for letter in question.letters),
        chat_continuations=tuple(question.letters),
    )


def _check_shots(question: ChoiceQuestion, shots: Sequence[ChoiceQuestion], protocol: ExamProtocol) -> None:
    if len(shots) > protocol.max_shots:
        raise ConfigError(f"{len(shots)} shots for the protocol {protocol.id}; give at most {protocol.max_shots}")
    for shot in shots:
        if (shot.subject, shot.id, shot.question) == (question.subject, question.id, question.question):
            raise DataError(f"question {question.subject}/{question.id} is its own worked example; take it out of one")
        if protocol.explained and not (shot.explanation or "").strip():
            raise DataError(
                f"dev row {shot.subject}/{shot.id} has no explanation, which {protocol.id} shows; "
                "add one, use fewer shots, or use tmlu-direct"
            )


def _tmlu_block(question: ChoiceQuestion) -> str:
    """Stem and options; two line breaks become one, once over, as the source's `replace` does."""
    stem = question.question.replace("\n\n", "\n").strip()
    options = "".join(
        f"({letter}) {option}\n" for letter, option in zip(question.letters, question.options, strict=True)
    )
    return f"問題：{stem}\n{options.strip()}"


def _tmlu_shot(shot: ChoiceQuestion, *, explained: bool) -> str:
    reasoning = f"{_TMLU_COT}{(shot.explanation or '').strip()}" if explained else ""
    return f"{_tmlu_block(shot)}{reasoning}\n正確答案：({shot.answer})"


def _tmlu_parts(
    question: ChoiceQuestion, shots: Sequence[ChoiceQuestion], protocol: ExamProtocol, _name: str | None
) -> _Parts:
    blocks = [_tmlu_shot(shot, explained=protocol.explained) for shot in shots]
    user = "\n\n".join([_TMLU_TOPIC, *blocks, _tmlu_block(question)])
    prefill = _TMLU_COT if protocol.explained else _TMLU_DIRECT
    return _Parts(system=None, user=user, prefill=prefill, api_user=user + prefill)


def _lm_eval_block(question: ChoiceQuestion, protocol: ExamProtocol) -> str:
    """Stem, options, "Answer:". A missing option of the first four reads "None", as the harness's template has it."""
    if protocol.id == "tmmluplus" and len(question.options) > _LM_EVAL_LETTERS:
        raise DataError(
            f"question {question.subject}/{question.id} has {len(question.options)} options, and tmmluplus shows "
            "four; use lm-eval-tmlu"
        )
    shown = [*question.options, *["None"] * (_LM_EVAL_LETTERS - len(question.options))]
    options = "".join(f"\n{letter}. {option}" for letter, option in zip("ABCDEFGHIJ", shown, strict=False))
    return f"{question.question.strip()}{options}\nAnswer:"


def _lm_eval_parts(
    question: ChoiceQuestion, shots: Sequence[ChoiceQuestion], protocol: ExamProtocol, subject_name: str | None
) -> _Parts:
    name = subject_name
    if name is None:
        known = find_subject(question.subject)
        if known is None:
            raise ConfigError(
                f"{protocol.id} shows the subject's name, and {question.subject!r} is in no table; give subject_name"
            )
        name = known.name
    blocks = [f"{_lm_eval_block(shot, protocol)} {shot.answer}\n\n" for shot in shots]
    user = "".join([*blocks, _lm_eval_block(question, protocol)])
    # The harness's generator of task files writes the full-width low line as a space.
    system = f"以下為{name.replace('＿', ' ')}的單選題，請提供正確答案的選項。\n\n"
    return _Parts(system=system, user=user, prefill="", api_user=user, delimiter=" ")


def _tc_eval_parts(
    question: ChoiceQuestion, _shots: Sequence[ChoiceQuestion], _protocol: ExamProtocol, _name: str | None
) -> _Parts:
    name = question.subject.casefold()
    options = ";".join(
        f"({letter}) {option}" for letter, option in zip(question.letters, question.options, strict=True)
    )
    if name.startswith("ttqa"):
        user = f"問題: {question.question} \n\n{_TC_EVAL_ASK}{options}"
        api_user = f"{user}\n\n只能回答英文字母"
    elif name.startswith("penguins"):
        # A set of characters, as in the source: a stem that ends in 答 loses it too.
        stem = question.question.rstrip("回答：")
        user = f"{stem} \n{_TC_EVAL_ASK}{options}"
        api_user = f"{user}\n只能回答單一英文字母"
    else:
        raise ConfigError(
            f"tc-eval asks the subjects ttqa and penguins_in_a_table (and DRCD by build_reading_prompt), "
            f"not {question.subject!r}; use another protocol"
        )
    return _Parts(system=None, user=user, prefill=_TC_EVAL_PREFILL, api_user=api_user)


_LAYOUTS: dict[Layout, Callable[[ChoiceQuestion, Sequence[ChoiceQuestion], ExamProtocol, str | None], _Parts]] = {
    Layout.TMLU: _tmlu_parts,
    Layout.LM_EVAL: _lm_eval_parts,
    Layout.TC_EVAL: _tc_eval_parts,
}
