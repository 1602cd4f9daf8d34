"""Taiwan-LLM's own evaluation: reading comprehension (DRCD) and its scorers. TTQA and Penguins are choice questions.

Source: MiuLab/Taiwan-LLM@b5908ca, evaluation/run_tceval.py: zero shots, greedy, 128 new tokens. Its data set
`yentinglin/TC-Eval` is not at hand: that its DRCD rows are the public test set in the order of its questions is
unverified, and so is which release of TTQA it holds.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tmlu_bench._sources._read import read_whole_json
from tmlu_bench._sources._rows import is_writable
from twllm_types import Conversation, DataError, Message, Role

_INSTRUCTION = "請根據以下內容回答問題，且答案需盡可能簡短。注意：答案必須為內容的子字串。"
_LEAD = re.compile(r"\A(?:答案|回答|答)?(?:應該|應)?(?:是|為|:)+\s*")
_SAME_CHARACTERS = str.maketrans("台", "臺")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingQuestion:
    """One question on a paragraph.

    Attributes:
        id: unique within the set.
        paragraph: text that holds the answer.
        question: what is asked.
        answers: accepted answers, at least one, each a part of the paragraph.

    Raises:
        DataError: there is no answer, or one is empty.
    """

    id: str
    paragraph: str
    question: str
    answers: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.answers or any(not answer.strip() for answer in self.answers):
            raise DataError(f"reading question {self.id} lacks an answer; give at least one that is not empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingScores:
    """How well one answer reads, each in [0, 1].

    Attributes:
        compat: the source's "prefix_exact_match": an accepted answer occurs anywhere in the reply. An answer that
            repeats the whole paragraph gets 1, and one that writes 台 for 臺 gets 0.
        exact: the reply is an accepted answer, after normalising both.
        f1: overlap of characters with the nearest accepted answer, after normalising both.
    """

    compat: float
    exact: float
    f1: float


def load_reading_questions(path: Path) -> tuple[ReadingQuestion, ...]:
    """Load DRCD, in the layout of SQuAD 1.1.

    Args:
        path: a JSON file.

    Raises:
        DataError: the file is not of this layout; names the place.
    """
    content = read_whole_json(path)
    questions: list[ReadingQuestion] = []
    try:
        for article in _list(content, "data"):
            for paragraph in _list(article, "paragraphs"):
                questions += [_reading_question(row, str(paragraph["context"])) for row in _list(paragraph, "qas")]
    except KeyError as error:
        raise DataError(
            f"{path.name}: question {len(questions) + 1} or its paragraph lacks {error}; give the layout of SQuAD 1.1"
        ) from error
    for number, question in enumerate(questions, start=1):
        if not is_writable("".join((question.id, question.paragraph, question.question, *question.answers))):
            raise DataError(f"{path.name}: question {number} holds half of a surrogate pair; restore the character")
    ids = Counter(question.id for question in questions)
    if repeated := [key for key, count in ids.items() if count > 1]:
        raise DataError(f"{path.name}: the id {repeated[0]!r} stands {ids[repeated[0]]} times; give each its own")
    if not questions:
        raise DataError(f"{path.name} holds no question; give the layout of SQuAD 1.1")
    return tuple(questions)


def build_reading_prompt(question: ReadingQuestion) -> Conversation:
    """Return the conversation that `tc-eval` shows for DRCD: one user's turn, no prefill. Answers are not read."""
    text = f"{_INSTRUCTION}\n\n{question.paragraph}\n\n問題：{question.question}"
    return Conversation(messages=(Message(role=Role.USER, content=text),), id=question.id)


def score_reading(reply: str, answers: Sequence[str]) -> ReadingScores:
    """Score a reply against the accepted answers, the best of them per score.

    An empty reply scores 0. Normalising: NFKC, lower case, 台 as 臺, without white space and punctuation, and in the
    reply without a leading 答案是 and what follows the first line.

    Raises:
        DataError: there is no accepted answer.
    """
    if not answers:
        raise DataError("no accepted answer to score against; give at least one")
    first_line = next((line for line in reply.strip().splitlines() if line.strip()), "")
    whole = unicodedata.normalize("NFKC", first_line).strip()
    # As it stands too: an accepted answer may itself start with 是 or 為.
    replies = {_normalised(whole), _normalised(_LEAD.sub("", whole))}
    golds = [_normalised(answer) for answer in answers]
    return ReadingScores(
        compat=float(bool(reply) and any(answer.strip() in reply.strip() for answer in answers)),
        exact=float(any(shown and shown in golds for shown in replies)),
        f1=max(_character_f1(shown, gold) for shown in replies for gold in golds),
    )


def _reading_question(row: Mapping[str, object], paragraph: str) -> ReadingQuestion:
    # Both annotators often give the same text.
    answers = dict.fromkeys(str(answer["text"]) for answer in _list(row, "answers"))
    return ReadingQuestion(
        id=str(row["id"]), paragraph=paragraph, question=str(row["question"]), answers=tuple(answers)
    )


def _list(value: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    found = value[key]
    if not isinstance(found, list):
        raise KeyError(f"a list {key}")
    return cast("list[Mapping[str, object]]", found)


def _normalised(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_SAME_CHARACTERS)
    return re.sub(r"[\W_]+", "", folded)


def _character_f1(shown: str, gold: str) -> float:
    """Harmonic mean of precision and recall over characters as multisets (SQuAD's F1 with characters as tokens)."""
    common = sum((Counter(shown) & Counter(gold)).values())
    return 2 * common / (len(shown) + len(gold)) if common else 0.0
