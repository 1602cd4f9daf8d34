"""The pages of html_warc as a curation with the recipe `web` reads them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tw_corpus.readers import ReadOptions, Record, read_file


def load_page_rows(folder: Path) -> list[dict[str, Any]]:
    """Rows of pages.jsonl, in the order of their files' names; `folder` is html_warc."""
    with (folder / "pages.jsonl").open(encoding="utf-8") as file:
        return sorted(map(json.loads, file), key=lambda row: row["file"])


def read_page(folder: Path, row: dict[str, Any]) -> str:
    """Text of a page, decoded and extracted by our reader with its defaults; empty where nothing is left."""
    records = [
        outcome.text
        for outcome in read_file(folder / row["file"], name=row["file"], options=ReadOptions())
        if isinstance(outcome, Record)
    ]
    return "\n".join(records)


def load_page_texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Kind and text of every page."""
    for row in load_page_rows(folder):
        yield row["kind"], read_page(folder, row)
