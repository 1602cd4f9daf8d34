"""The harness's own code renders its prompts, from its own task files, beside ours."""

import json
from pathlib import Path
from typing import Any

import pytest

from tmlu_bench import build_prompt, load_questions

pytest.importorskip("lm_eval", reason="lm-eval is not installed")

import lm_eval

TASKS = Path(lm_eval.__file__).parent / "tasks"
QUESTIONS = [
    ("湯匙的用途？\n\n第一題 ", ["喝湯", " 剪紙", "釘釘子\n續行", "量身高"], "A"),
    ("{{湯}} 的筆畫？", ["十", "十一", "十二", "十三"], "C"),
    ("\n何者可食用？", ["石頭", "麵包", "玻璃", "鐵"], "B"),
]


def rows(num_options: int) -> list[dict[str, Any]]:
    made = []
    for number, (stem, options, answer) in enumerate(QUESTIONS):
        full = [*options, "五號選項", "六號選項"][:num_options]
        cells: dict[str, Any] = dict.fromkeys("ABCDEF") | dict(zip("ABCDEF", full, strict=False))
        made.append({"id": f"r{number}", "question": stem, **cells, "answer": answer, "explanation": "略"})
    return made


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("protocol", "file", "subject", "num_options"),
    [
        ("lm-eval-tmlu", "tmlu/default/tmlu_AST_chinese.yaml", "AST_chinese", 4),
        ("lm-eval-tmlu", "tmlu/default/tmlu_AST_chemistry.yaml", "AST_chemistry", 5),
        ("lm-eval-tmlu", "tmlu/default/tmlu_driving_rule.yaml", "driving_rule", 4),
        ("tmmluplus", "tmmluplus/default/tmmluplus_economics.yaml", "economics", 4),
        ("tmmluplus", "tmmluplus/default/tmmluplus_tve_design.yaml", "tve_design", 4),
    ],
)
@pytest.mark.parametrize("num_shots", [0, 2])
def test_prompt_and_continuations_equal_those_of_the_harness(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
    file: str,
    subject: str,
    num_options: int,
    num_shots: int,
) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    test, dev = rows(num_options)[:1], rows(num_options)[1:]
    for split, part in (("test", test), ("dev", dev)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part)
        (tmp_path / f"{subject}_{split}.jsonl").write_text(text, encoding="utf-8")
    task = harness_task(TASKS / file, tmp_path, subject)
    doc = task.eval_docs[0]
    theirs = task.fewshot_context(doc, num_shots)
    requests = task.construct_requests(doc, theirs)
    loaded = load_questions(tmp_path).get(subject)
    ours = build_prompt(loaded.test[0], loaded.dev[:num_shots], protocol)
    assert ours.raw == theirs
    assert ours.continuations == tuple(request.args[1] for request in requests)


def harness_task(file: Path, folder: Path, subject: str) -> Any:
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    config = dict(load_yaml(file, resolve_func=True))
    split = config["fewshot_split"]
    files = {"test": str(folder / f"{subject}_test.jsonl"), split: str(folder / f"{subject}_dev.jsonl")}
    config |= {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}}
    return ConfigurableTask(config=config)
