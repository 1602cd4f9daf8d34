"""How many documents each kept one stands for, through the command."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

IMPORTABLE = Path(__file__).parent / "importable"
sys.path.insert(0, str(IMPORTABLE))
from sample_inputs import text_of  # noqa: E402 - found through the line above

COMMAND = Path(sys.executable).parent / "tw-corpus"


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.rglob("*.jsonl.gz")) for line in gzip.open(path, "rb")]


def test_duplicate_counts_of_documents_and_near_duplicates_add_up_to_the_input(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    first, other = text_of(3) + text_of(110), text_of(40) + text_of(77)
    # three copies of a text, four of a near-duplicate of it, two of another text
    texts = [first, first + "完。", first + "完。", other, first, first + "完。", first, other, first + "完。"]
    for number, text in enumerate(texts):
        row = json.dumps({"id": str(number), "text": text}, ensure_ascii=False)
        (tmp_path / "inputs" / f"{number}.jsonl").write_text(row, encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("near_dedup: {min_shingles: 20}\ntasks: {max_files: 1}\n", encoding="utf-8")
    out = tmp_path / "out"
    subprocess.run(
        [COMMAND, "--quiet", "curate", tmp_path / "inputs", "--output", out, "--recipe", recipe],
        check=True,
        capture_output=True,
    )
    kept = [row for path in sorted((out / "documents").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    near = rows(out / "rejected" / "near_duplicate")
    assert [(row["id"], row["duplicate_count"], row["near_duplicate_count"]) for row in kept] == [
        ("0", 2, 1),
        ("3", 1, 0),
    ]
    assert [(row["id"], row["duplicate_count"]) for row in near] == [("1", 3)]
    assert sum(1 + row["duplicate_count"] for row in [*kept, *near]) == len(texts)
    assert {row["duplicate_count"] for row in rows(out / "rejected" / "exact_duplicate")} == {None}
