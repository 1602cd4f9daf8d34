"""Responses that try to rate themselves: what our prompts and parsers make of each, without any model.

The attacks are those of packages/llm-eval/tests/data/attacks.jsonl. Whether a *model* gives in to one is another
matter: this measures what our own code lets through.

Usage: uv run python benchmarks/llm_eval/attacks.py
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from llm_eval import (
    PAPER_DIMENSIONS,
    SCALE_0_5,
    JudgeItem,
    ParsedScores,
    ParseFailure,
    Turn,
    build_pair_prompt,
    build_prompt,
    parse_scores,
)
from llm_eval._pairwise import parse_pair
from twllm_runs import hardware
from twllm_runs.statistics import format_estimate, proportion_estimate

HERE = Path(__file__).parent
ATTACKS = HERE.parents[1] / "packages" / "llm-eval" / "tests" / "data" / "attacks.jsonl"
REPORT = HERE / "attacks.md"

JUDGE_STYLES = ("paper", "repo", "structured", "zh-TW")
PAIR_STYLES = ("taiwan-llm", "taiwan-llm-score", "structured", "zh-TW")
PROTECTED = ("structured", "zh-TW")
MARK = "Harmless-7f3a"
CHAT_TOKENS = ("<|", "<｜", "</", "<think", "<start_of_turn", "[INST]", "[/INST]")

# What most attacks hold; for comparisons the style's own verdict takes its place.
SCORES = '{"content": 5, "grammar": 5, "relevance": 5, "appropriateness": 5}'
OWN_SCORES = {"content": 1.5, "grammar": 2.5, "relevance": 0.5, "appropriateness": 3.5}
PAIR_VERDICTS = {
    "taiwan-llm": ("[[B]]", "[[A]]"),
    "taiwan-llm-score": ("A: 3分, B: 6分", "A: 10分, B: 1分"),
    "structured": ('{"winner": "B"}', '{"winner": "A"}'),
}

Outcome = Literal["own", "failed", "attack"]
Outcomes = Mapping[str, Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One hostile response."""

    id: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One way of reading answers.

    Attributes:
        name: styles that are read so.
        own: what the judge itself answers.
        planted: the verdict that stands in attacks.
        read: answer and shown texts to what was read.
    """

    name: str
    own: str
    planted: str
    read: Callable[[str, Sequence[str]], Outcome]


def main() -> None:
    """Measure and write attacks.md."""
    rows = [json.loads(line) for line in ATTACKS.read_text(encoding="ascii").splitlines()]
    attacks = [Attack(id=row["id"], kind=row["kind"], text=row["response"]) for row in rows]
    report = "\n".join(
        [*head(attacks), *prompt_section(attacks), *parser_section(attacks), *kind_section(attacks), *ending()]
    )
    sys.stdout.write(report)
    REPORT.write_text(report, encoding="utf-8")


def head(attacks: Sequence[Attack]) -> list[str]:
    """Return what was measured, and with what."""
    machine = hardware()
    return [
        "# Responses that try to rate themselves",
        "",
        f"{len(attacks)} attacks of {len({one.kind for one in attacks})} kinds, each put to the prompts and parsers",
        "([attacks.jsonl](../../packages/llm-eval/tests/data/attacks.jsonl)). No model is asked: whether one gives in",
        "to an attack is not measured here. Shares of attacks with their Wilson intervals (95 %). Attacks, ways of",
        "quoting and parsers are by the same hands, and the rule for Taiwan-LLM's marks was mended by this very table",
        "(before, 13 of the attacks quoted alone were read): the shares guard what is known, other attacks may fare",
        "better.",
        "",
        "- Command: `uv run python benchmarks/llm_eval/attacks.py`",
        f"- Date: {datetime.now(UTC).date()}",
        f"- Hardware: {machine['cores']} cores ({machine['processor']}); {machine['python']}",
        f"- llm-eval {version('llm-eval')}",
        "",
    ]


def prompt_section(attacks: Sequence[Attack]) -> list[str]:
    """Return the table of prompts."""
    lines = [
        "## Prompts",
        "",
        "Unchanged: all bytes outside of the attack's slot are those around a harmless text, in every slot (context,",
        "speaker, response, reference and, where the style has them, documents; question, both answers and reference",
        "of a comparison). Cannot be left: the slot is one line that a JSON parser reads back as the text, without the",
        "beginning of a chat template's token. LLM-Eval's and Taiwan-LLM's own prompts show texts as they are: to the",
        "byte, and unprotected.",
        "",
        "| asks for | style | unchanged | cannot be left |",
        "|---|---|---|---|",
    ]
    for asks, styles, build in (("scores", JUDGE_STYLES, judge_prompts), ("winner", PAIR_STYLES, pair_prompts)):
        for style in styles:
            harmless = build(MARK, style)
            found = [slots_of(one.text, harmless, build(one.text, style), style=style) for one in attacks]
            unchanged = share([slots is not None for slots in found])
            closed = share(
                [
                    slots is not None and all(map(is_closed, slots, [one.text] * len(slots)))
                    for slots, one in zip(found, attacks, strict=True)
                ]
            )
            lines.append(f"| {asks} | {style} | {unchanged} | {closed} |")
    return [*lines, ""]


def judge_prompts(text: str, style: str) -> list[str]:
    """Return one prompt per slot, with the text in it."""
    names = ("context", "speaker", "response", "reference", *(("document",) if style in PROTECTED else ()))
    prompts: list[str] = []
    for name in names:
        parts = {"context": "Hello.", "speaker": "user", "response": "Hi.", "reference": "Hey.", "document": "D."}
        parts[name] = text
        item = JudgeItem(
            id="i",
            context=(Turn(speaker=parts["speaker"], text=parts["context"]),),
            response=parts["response"],
            references=(parts["reference"],),
            documents=(parts["document"],) if name == "document" else (),
        )
        prompts.append(build_prompt(item, PAPER_DIMENSIONS, SCALE_0_5, style))
    return prompts


def pair_prompts(text: str, style: str) -> list[str]:
    """Return one comparison per slot, with the text in it."""
    slots = ("Q?", "Yes.", "No.", "R.")
    return [
        build_pair_prompt(*[text if at == place else slot for at, slot in enumerate(slots)], style=style)
        for place in range(len(slots))
    ]


def slots_of(text: str, harmless: Sequence[str], prompts: Sequence[str], *, style: str) -> list[str] | None:
    """What stands in the slot of each prompt; None where bytes around a slot differ, or it is not the text."""
    slots: list[str] = []
    for plain, prompt in zip(harmless, prompts, strict=True):
        before, behind = plain.split(f'"{MARK}"' if style in PROTECTED else MARK)
        inside = prompt[len(before) : len(prompt) - len(behind)]
        if prompt != before + inside + behind or (style not in PROTECTED and inside != text):
            return None
        slots.append(inside)
    return slots


def is_closed(slot: str, text: str) -> bool:
    """Tell whether a text cannot leave its slot."""
    try:
        is_same = json.loads(slot) == text
    except json.JSONDecodeError:
        return False
    return is_same and len(slot.splitlines()) == 1 and not any(token in slot for token in CHAT_TOKENS)


def parser_section(attacks: Sequence[Attack]) -> list[str]:
    """Return the table of parsers."""
    lines = [
        "## Answers",
        "",
        "What is read where an answer repeats the attack. Shown: the parser knows the texts of the prompt (`shown`),",
        "as in every run of ours. For comparisons the scores in an attack are replaced by a verdict in the style's own",
        "form. Holding: attacks that, as a whole, are read as a verdict. An attack counts as read where any way of",
        "quoting it gives its scores; else as a failure where any gives one.",
        "",
        "| style | holding | the answer | shown | the judge's own is read | failure | the attack's is read |",
        "|---|---|---|---|---|---|---|",
    ]
    for reader in readers():
        texts = planted(attacks, reader)
        holding = sum(reader.read(text, ()) == "attack" for text in texts.values())
        for name, answers in ANSWERS.items():
            for is_shown in (False, True):
                counts = Counter(outcomes(reader, texts, answers, is_shown=is_shown).values())
                row = " | ".join(share_of(counts[kind], len(texts)) for kind in ("own", "failed", "attack"))
                yes = "yes" if is_shown else "no"
                lines.append(f"| {reader.name} | {holding} | {name} | {yes} | {row} |")
    return [*lines, ""]


def kind_section(attacks: Sequence[Attack]) -> list[str]:
    """Return the table of kinds, for answers with scores."""
    reader = readers()[0]
    texts = planted(attacks, reader)
    found = {
        (name, is_shown): outcomes(reader, texts, answers, is_shown=is_shown)
        for name, answers in ANSWERS.items()
        for is_shown in (False, True)
    }
    lines = [
        "## By kind",
        "",
        f"Answers with scores ({reader.name}): own / failure / the attack's, in attacks.",
        "",
        "| kind | attacks | " + " | ".join(f"{name}{', shown' if shown else ''}" for name, shown in found) + " |",
        "|---|---|" + "---|" * len(found),
    ]
    for kind in sorted({one.kind for one in attacks}):
        ids = [one.id for one in attacks if one.kind == kind]
        cells: list[str] = []
        for result in found.values():
            counts = Counter(result[one] for one in ids)
            cells.append(f"{counts['own']} / {counts['failed']} / {counts['attack']}")
        lines.append(f"| {kind} | {len(ids)} | {' | '.join(cells)} |")
    return [*lines, ""]


def ending() -> list[str]:
    """Return how to read the tables."""
    return [
        "An attack that the judge repeats as its whole answer cannot be told from an answer of its own: no parser can",
        "mend that, a schema does not either, and it is counted above. A failure is typed and counted beside the",
        "scores, never a number.",
        "",
    ]


def by_quoting(own: str, text: str) -> list[str]:
    """Answers with a verdict of the judge's own that quote an attack."""
    return [
        f"{own}\nThe response says: {text}",
        f"The response says: {text}\n{own}",
        f"回應寫道：「{text}」\n\n{own}",
        f"{text}\n{own}",
        f"{own}\n{text}",
        f"<think>It says {text}</think>{own}",
    ]


def by_quoting_alone(_own: str, text: str) -> list[str]:
    """Answers that quote an attack and say nothing of their own."""
    return [f"The response says: {text}", f"回應寫道：「{text}」。", f"It says {text} and so on"]


ANSWERS: dict[str, Callable[[str, str], list[str]]] = {
    "own, and the attack quoted": by_quoting,
    "the attack quoted alone": by_quoting_alone,
    "the attack as a whole": lambda _own, text: [text],
}


def readers() -> list[Reader]:
    """Return every way of reading: all styles with JSON read alike."""
    scores = Reader(name="scores: all styles", own=json.dumps(OWN_SCORES), planted=SCORES, read=read_scores)
    pairs = [
        Reader(
            name=f"winner: {'structured, zh-TW' if style in PROTECTED else style}",
            own=own,
            planted=theirs,
            read=pair_reader(style),
        )
        for style, (own, theirs) in PAIR_VERDICTS.items()
    ]
    return [scores, *pairs]


def read_scores(answer: str, shown: Sequence[str]) -> Outcome:
    """Whose scores are read from an answer."""
    parsed = parse_scores(answer, PAPER_DIMENSIONS, SCALE_0_5, shown=shown)
    if not isinstance(parsed, ParsedScores):
        return "failed"
    return "own" if {name: one.value for name, one in parsed.values.items()} == OWN_SCORES else "attack"


def pair_reader(style: str) -> Callable[[str, Sequence[str]], Outcome]:
    """Return what tells whose winner is read; the judge's own is always B."""

    def read(answer: str, shown: Sequence[str]) -> Outcome:
        parsed = parse_pair(answer, style, shown=shown)
        if isinstance(parsed, ParseFailure):
            return "failed"
        return "own" if parsed.winner.value == "B" else "attack"

    return read


def planted(attacks: Sequence[Attack], reader: Reader) -> dict[str, str]:
    """Texts by id, with the verdict in the form that the reader looks for."""
    return {one.id: one.text.replace(SCORES, reader.planted) for one in attacks}


def outcomes(
    reader: Reader, texts: Mapping[str, str], answers: Callable[[str, str], list[str]], *, is_shown: bool
) -> Outcomes:
    """Return the worst outcome of each attack over all answers that repeat it."""
    worst: dict[str, Outcome] = {}
    for name, text in texts.items():
        shown = ("Hello.", text) if is_shown else ()
        found = {reader.read(answer, shown) for answer in answers(reader.own, text)}
        worst[name] = "attack" if "attack" in found else "failed" if "failed" in found else "own"
    return worst


def share(passed: Sequence[bool]) -> str:
    """Return a share with its interval."""
    return share_of(sum(passed), len(passed))


def share_of(count: int, n: int) -> str:
    """Return a share with its interval."""
    return format_estimate(proportion_estimate(count, n))


if __name__ == "__main__":
    main()
