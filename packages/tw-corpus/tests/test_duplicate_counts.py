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


def test_near_duplicate_clusters_stand_in_summary_and_report_by_size_with_the_masked_id_that_stayed(
    tmp_path: Path,
) -> None:
    (tmp_path / "inputs").mkdir()
    bases = {
        "twins": (text_of(3) + text_of(110), 2),
        "0940-000-118": (text_of(40) + text_of(77), 3),
        "many": (text_of(59) + text_of(20), 10),
    }
    lines = [
        json.dumps({"id": f"{name} {copy}" if copy else name, "text": f"{text}{'甲乙丙丁戊己庚辛壬癸'[copy]}。"})
        for name, (text, num_copies) in bases.items()
        for copy in range(num_copies)
    ]
    (tmp_path / "inputs" / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "out"
    recipe.write_text("near_dedup: {min_shingles: 20}\n", encoding="utf-8")
    command = [COMMAND, "--quiet", "curate", tmp_path / "inputs", "--output", out, "--recipe", recipe]
    subprocess.run(command, check=True, capture_output=True)
    clusters = json.loads((out / "summary.json").read_text(encoding="utf-8"))["near_duplicate_clusters"]
    assert clusters["num_clusters"] == 3
    assert clusters["sizes"] == {"2": 1, "3": 1, "4–9": 0, "10+": 1}
    assert [(row["size"], row["kept_id"]) for row in clusters["largest"]] == [
        (10, "many"),
        (3, "[遮蔽:手機號碼]"),
        (2, "twins"),
    ]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Near-duplicate clusters" in page
    assert "3 clusters" in page
    assert "0940-000-118" not in page
