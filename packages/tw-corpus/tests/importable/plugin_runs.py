"""Curations with plug-in measures, for the tests."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

IMPORTABLE = Path(__file__).parent
COMMAND = Path(sys.executable).parent / "tw-corpus"
TEXTS = {
    "plain": "今天早上河濱公園辦了一場音樂會，吸引許多家庭帶著孩子前來參加，現場氣氛十分熱絡。",
    "rainy": "雨雨雨下個不停，雨水從屋簷滴下來，大家撐著傘在雨中走路，雨鞋都溼透了，雨還在下。",
    "odd": "舊車站廣場這個週末有二手書市集，攤位排得滿滿的，怪字也不少，不少人滿意地離開。",
    "near": "雨後的山腳下有一片茶園，茶農一早就到園裡採茶，雨水讓茶葉長得又快又好，雨天也不停工。",
}


def write_inputs(folder: Path) -> Path:
    """Write one file for each text."""
    folder.mkdir()
    for name, text in TEXTS.items():
        row = json.dumps({"id": name, "text": text}, ensure_ascii=False)
        (folder / f"{name}.jsonl").write_text(row, encoding="utf-8")
    return folder


def write_recipe(folder: Path, *measures: dict[str, Any], **fields: Any) -> Path:
    path = folder / "own.yaml"
    recipe = {"measures": measures, "near_dedup": None, "tasks": {"max_files": 1}, **fields}
    path.write_text(json.dumps(recipe, ensure_ascii=False), encoding="utf-8")
    return path


def run(*words: object, **variables: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join(filter(None, (str(IMPORTABLE), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "200"} | variables
    command = [COMMAND, "--quiet", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.rglob("*.jsonl.gz")) for line in gzip.open(path, "rb")]


def documents(output: Path) -> dict[str, dict[str, Any]]:
    found = [row for path in sorted((output / "documents").glob("*")) for row in pq.read_table(path).to_pylist()]
    return {row["id"]: json.loads(row["metadata"]) for row in found}
