"""Render the table of answer forms into docs/tmlu-bench.md, between its two markers.

Example: python packages/tmlu-bench/tools/build_extractor_table.py

Source: packages/tmlu-bench/tests/data/answer_forms.jsonl; every expectation there is checked by the tests.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
FORMS = ROOT / "packages" / "tmlu-bench" / "tests" / "data" / "answer_forms.jsonl"
PAGE = ROOT / "docs" / "tmlu-bench.md"
BEGIN = "<!-- answer forms: written by packages/tmlu-bench/tools/build_extractor_table.py -->"
END = "<!-- end of answer forms -->"


def read_forms() -> list[dict[str, Any]]:
    """The forms in order."""
    return [json.loads(line) for line in FORMS.read_text(encoding="utf-8").splitlines()]


def render_section(forms: list[dict[str, Any]]) -> str:
    """Counts per reader, then every form; without the markers."""
    meant = sum(form["intended"] is not None for form in forms)
    readers = {
        "`robust`": lambda form: form["robust"]["letter"],
        "official, direct": lambda form: form["official_direct"],
        "official, CoT": lambda form: form["official_cot"],
    }
    lines = [
        f"{len(forms)} forms, of which {meant} mean one letter and {len(forms) - meant} mean none.",
        "",
        "| reader | as meant | another letter than meant, or one where none is meant | none where one is meant |",
        "|---|---|---|---|",
    ]
    for name, read in readers.items():
        letters = [(read(form), form["intended"]) for form in forms]
        right = sum(letter == intended for letter, intended in letters)
        wrong = sum(letter is not None and letter != intended for letter, intended in letters)
        lines.append(f"| {name} | {right} | {wrong} | {len(forms) - right - wrong} |")
    lines += [
        "",
        "| kind | answer | options | meant | `robust` | official, direct | official, CoT |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_row(form) for form in forms]
    return "\n".join(lines)


def render_page(page: str, section: str) -> str:
    """The page with its section replaced."""
    head, rest = page.split(BEGIN, 1)
    _old, tail = rest.split(END, 1)
    return f"{head}{BEGIN}\n\n{section}\n\n{END}{tail}"


def _row(form: dict[str, Any]) -> str:
    robust = form["robust"]["letter"] or form["robust"]["status"]
    options = form["letters"] if form["options"] is None else " / ".join(form["options"])
    cells = [
        form["kind"],
        _code(form["text"]),
        _text(options),
        form["intended"] or "–",
        robust,
        form["official_direct"] or "–",
        form["official_cot"] or "–",
    ]
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    """As a JSON string in code style, so that line breaks and invisible characters show."""
    shown = json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    shown = shown.replace("\u200b", "\\u200b").replace("|", "\\|")
    fence = "``" if "`" in shown else "`"
    pad = " " if fence == "``" or not shown.strip() else ""
    return f"{fence}{pad}{shown}{pad}{fence}" if shown else "(empty)"


def _text(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the page."""
    forms = read_forms()
    PAGE.write_text(render_page(PAGE.read_text(encoding="utf-8"), render_section(forms)), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name}: {len(forms)} forms\n")


if __name__ == "__main__":
    main()
