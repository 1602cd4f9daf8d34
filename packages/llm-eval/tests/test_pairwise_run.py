import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from judge_fakes import FakeJudge, make_item, share

from llm_eval._items import item_sha256, item_to_json
from llm_eval._load_answers import load_answers
from llm_eval._pair_judgements import pair_from_json, pair_to_json
from llm_eval._pairwise import PairOutcome
from llm_eval._pairwise_prompts import PairStyle
from llm_eval._pairwise_run import PairwiseRun, PairwiseSettings, run_pairwise
from llm_eval._pairwise_stored import read_pair_attempts, read_swaps
from llm_eval._preferences import SwapVerdict
from twllm_runs import RunState, open_progress
from twllm_types import ArtifactError, ConfigError, DataError

IMPORTABLE = Path(__file__).parent / "importable"


def write(path: Path, rows: Any) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def item_files(folder: Path, systems=("good", "short"), num_questions: int = 6) -> list[Path]:
    return [
        write(folder / f"{system}.jsonl", [item_to_json(make_item(number, system)) for number in range(num_questions)])
        for system in systems
    ]


def answers_of(text: str) -> tuple[str, str]:
    """The two answers that a prompt of ours shows."""
    first, second = (line.split(": ", 1)[1] for line in text.splitlines() if line.startswith(("Answer A", "Answer B")))
    return first, second


def judged_by(rule: Callable[[str, str], str]) -> FakeJudge:
    return FakeJudge(answer=lambda text, _seed: json.dumps({"winner": rule(*answers_of(text))}))


def longer(first: str, second: str) -> str:
    return "tie" if len(first) == len(second) else "A" if len(first) > len(second) else "B"


def always_first(first: str, second: str) -> str:
    return "A"


SETTINGS = PairwiseSettings(style=PairStyle.STRUCTURED)


def run(
    output: Path, paths: Any, engine: FakeJudge | None = None, settings: PairwiseSettings = SETTINGS, **choices: Any
) -> PairwiseRun:
    questions, files = load_answers(paths)
    with open_progress(quiet=True) as progress:
        return run_pairwise(
            engine or judged_by(longer), questions, files, settings, output=output, progress=progress, **choices
        )


def test_run_asks_both_orders_and_a_fair_judge_never_flips(tmp_path: Path) -> None:
    engine = judged_by(longer)
    compared = run(tmp_path / "run", item_files(tmp_path), engine)
    assert len(engine.asked) == 12
    (pair,) = compared.summary.pairs
    assert (pair.a, pair.b, pair.counts[PairOutcome.A_WINS], pair.num_unscored) == ("good", "short", 6, 0)
    assert {name: rate.mean for name, rate in compared.summary.win_rates.items()} == {"good": 1.0, "short": 0.0}
    assert (compared.summary.flips.mean, compared.summary.first_place.mean) == (0.0, 0.5)


def test_run_shows_a_judge_that_always_prefers_the_first_place(tmp_path: Path) -> None:
    summary = run(tmp_path / "run", item_files(tmp_path), judged_by(always_first)).summary
    assert (summary.flips.mean, summary.first_place.mean, summary.win_rates["good"].mean) == (1.0, 1.0, 0.5)
    assert summary.pairs[0].counts[PairOutcome.FLIPPED] == 6


def test_run_of_ties_counts_them_and_has_no_first_place(tmp_path: Path) -> None:
    summary = run(tmp_path / "run", item_files(tmp_path), judged_by(lambda _a, _b: "tie")).summary
    assert summary.pairs[0].counts[PairOutcome.TIE] == 6
    assert (summary.first_place.mean, summary.first_place.num_unscored) == (None, 12)


def test_run_of_three_systems_clusters_by_question(tmp_path: Path) -> None:
    paths = item_files(tmp_path, ("good", "short", "說得更多而且更久的系統"))
    summary = run(tmp_path / "run", paths).summary
    assert [(pair.a, pair.b) for pair in summary.pairs] == [
        ("good", "short"),
        ("good", "說得更多而且更久的系統"),
        ("short", "說得更多而且更久的系統"),
    ]
    assert (summary.flips.n, summary.flips.num_clusters) == (18, 6)
    assert (summary.win_rates["good"].n, summary.win_rates["good"].num_clusters) == (12, 6)


def test_run_with_failures_leaves_the_pair_unscored(tmp_path: Path) -> None:
    engine = FakeJudge(
        fails=lambda text: "第0件事" in text and answers_of(text)[0].startswith('"夜市啊，嗯'),
        answer=lambda text, _seed: "?" if "第1件事" in text else '{"winner": "A"}',
    )
    compared = run(tmp_path / "run", item_files(tmp_path), engine)
    assert compared.summary.failures == {"engine_error": 1, "no_json": 2}
    assert (compared.num_faults, compared.summary.pairs[0].num_unscored) == (3, 2)
    assert compared.summary.pairs[0].win_rate.num_unscored == 2
    mended = run(tmp_path / "run", item_files(tmp_path), retry_failures=True)
    assert (mended.num_asked, mended.num_faults) == (1, 2)
    assert max(row.num_attempts for row in mended.judgements) == 2


def test_run_writes_lines_that_come_back_and_a_report(tmp_path: Path) -> None:
    compared = run(tmp_path / "run", item_files(tmp_path))
    rows = read_pair_attempts(tmp_path / "run" / "pairs.jsonl")
    assert set(rows) == set(compared.judgements)
    assert all(pair_from_json(pair_to_json(row), source="x") == row for row in rows)
    assert {pair for row in rows for pair in row.item_hashes} == {
        (item.id, item_sha256(item)) for at in range(6) for item in (make_item(at, "good"), make_item(at, "short"))
    }
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["pairs"][0]["counts"] == {"a_wins": 6, "b_wins": 0, "tie": 0, "half_tie": 0, "flipped": 0}
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Winner changes with the order" in page
    assert "A → " in page


def test_run_found_finished_asks_nothing_and_of_other_settings_is_refused(tmp_path: Path) -> None:
    paths = item_files(tmp_path)
    first = run(tmp_path / "run", paths)
    engine = judged_by(longer)
    again = run(tmp_path / "run", paths, engine)
    assert (again.state, engine.asked, again.summary) == (RunState.FINISHED, [], first.summary)
    with pytest.raises(ArtifactError, match="max_tokens"):
        run(tmp_path / "run", paths, settings=PairwiseSettings(style=PairStyle.STRUCTURED, max_tokens=9))


def test_run_whose_file_was_changed_is_refused(tmp_path: Path) -> None:
    paths = item_files(tmp_path)
    run(tmp_path / "run", paths)
    path = tmp_path / "run" / "pairs.jsonl"
    path.write_text("\n".join(path.read_text(encoding="utf-8").splitlines()[:-1]) + "\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match="its 11 comparisons are not those"):
        run(tmp_path / "run", paths)


def test_run_structured_sends_the_schema_and_needs_a_style_of_ours(tmp_path: Path) -> None:
    engine = judged_by(longer)
    settings = PairwiseSettings(style=PairStyle.STRUCTURED, structured=True, with_reason=True)
    run(tmp_path / "run", item_files(tmp_path), engine, settings)
    schema = engine.requests[0].params.json_schema
    assert schema is not None
    assert schema["required"] == ["winner", "reason"]
    with pytest.raises(ConfigError, match="is answered by a text"):
        PairwiseSettings(style=PairStyle.TAIWAN_LLM, structured=True)
    with pytest.raises(ConfigError, match="too small"):
        PairwiseSettings(max_tokens=0)


def test_run_of_taiwan_llms_prompt_reads_its_marks(tmp_path: Path) -> None:
    engine = FakeJudge(answer=lambda text, _seed: "助理A比較完整。[[A]]" if share(text) < 2 else "")
    compared = run(tmp_path / "run", item_files(tmp_path), engine, PairwiseSettings(style=PairStyle.TAIWAN_LLM))
    assert "[助理A的答案開始]" in engine.asked[0]
    assert compared.summary.flips.mean == 1.0


def test_read_swaps_gives_what_both_orders_say_of_two_responses(tmp_path: Path) -> None:
    run(tmp_path / "fair", item_files(tmp_path))
    run(tmp_path / "biased", item_files(tmp_path), judged_by(always_first))
    fair = read_swaps(tmp_path / "fair", {})
    assert fair[("good-0", "short-0")] is SwapVerdict.FIRST
    assert set(read_swaps(tmp_path / "biased" / "pairs.jsonl", {}).values()) == {SwapVerdict.UNDECIDED}
    with pytest.raises(DataError, match="holds no comparison"):
        read_swaps(tmp_path / "none.jsonl", {})
    with pytest.raises(ArtifactError, match=r"run\.json"):
        read_swaps(tmp_path, {})


def test_read_swaps_of_two_answers_with_one_id_refuses_whichever_is_not_the_item(tmp_path: Path) -> None:
    good, short = (replace(make_item(0, system), id="same") for system in ("good", "short"))
    run(tmp_path / "run", [write(tmp_path / f"{item.system}.jsonl", [item_to_json(item)]) for item in (good, short)])
    for item in (good, short):
        with pytest.raises(DataError, match=r"compares another item 'same' than the one given \(1 such\)"):
            read_swaps(tmp_path / "run", {"same": item})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "schema_version is None"),
        ({"schema_version": 1}, "KeyError"),
        ({"verdict": None, "failure": None}, "exactly one of verdict and failure"),
        ({"a": 3}, "an id is no text"),
        ({"is_swapped": 1}, "an id is no text, or is_swapped"),
        ({"b_item_sha256": 7}, "the hash of an item is no text"),
    ],
)
def test_pair_from_json_of_what_no_run_writes_is_refused(tmp_path: Path, row: Any, message: str) -> None:
    run(tmp_path / "run", item_files(tmp_path))
    good = pair_to_json(read_pair_attempts(tmp_path / "run" / "pairs.jsonl")[0])
    damaged = row if "schema_version" in row or not row else {**good, **row}
    with pytest.raises(DataError, match=message):
        pair_from_json(damaged, source="pairs.jsonl:3")


QUESTIONS = [
    {"index": 0, "question_id": 1, "category": "generic", "turns": ["週末去哪裡玩？"], "reference": None},
    {"index": 1, "question_id": 2, "turns": ["怎麼煮飯？"], "reference": "洗米、加水、按下開關。"},
]
BY_PLACE = [{"id": 0, "generated_text": "去海邊。", "model_name": "org/one"}, {"id": "1", "generated_text": "用電鍋。"}]
BY_QUESTION = [
    {"question_id": 1, "model_id": "two", "choices": [{"index": 0, "turns": ["去山上。"]}]},
    {"question_id": 2, "model_id": "two", "choices": [{"index": 0, "turns": ["先洗米。"]}]},
]


def test_load_answers_reads_both_layouts_of_public_benches(tmp_path: Path) -> None:
    paths = [write(tmp_path / "one.jsonl", BY_PLACE), write(tmp_path / "two.jsonl", BY_QUESTION)]
    references = [{"question_id": 1, "choices": [{"turns": ["都好。"]}]}]
    questions, files = load_answers(
        paths, write(tmp_path / "q.jsonl", QUESTIONS), write(tmp_path / "ref.jsonl", references)
    )
    assert [(one.id, one.text, one.reference, one.category) for one in questions] == [
        ("1", "週末去哪裡玩？", "都好。", "generic"),
        ("2", "怎麼煮飯？", "洗米、加水、按下開關。", None),
    ]
    assert [(file.system, file.answers["2"].text) for file in files] == [("org/one", "用電鍋。"), ("two", "先洗米。")]
    engine = judged_by(longer)
    with open_progress(quiet=True) as progress:
        compared = run_pairwise(engine, questions, files, SETTINGS, output=tmp_path / "run", progress=progress)
    assert compared.summary.num_comparisons == 4
    assert any("都好。" in text for text in engine.asked)


def test_load_answers_of_files_that_name_one_system_goes_by_file_names(tmp_path: Path) -> None:
    same = [{**row, "model_id": "m"} for row in BY_QUESTION]
    paths = [write(tmp_path / name, same) for name in ("x.jsonl", "y.jsonl")]
    _, files = load_answers(paths, write(tmp_path / "q.jsonl", QUESTIONS))
    assert [file.system for file in files] == ["x", "y"]
    (tmp_path / "other").mkdir()
    clash = write(tmp_path / "other" / "x.jsonl", same)
    with pytest.raises(ConfigError, match="share names"):
        load_answers([paths[0], clash], tmp_path / "q.jsonl")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "holds no answer"),
        ([{"id": 7, "generated_text": "x"}], "is no place among 2 questions"),
        ([{"id": True, "generated_text": "x"}], "id is True"),
        ([{"id": 0, "generated_text": " "}], "the answer is empty"),
        ([{"question_id": 9, "choices": []}], "none of the questions"),
        ([{"question_id": 1, "choices": [{"turns": ["a", "b"]}]}], "the answer is empty or no text"),
        ([BY_PLACE[0], BY_PLACE[0]], "answers question '1' again"),
        ([{"id": "d", "level": "dialogue", "context": "聊天", "response": None}], "has no response to compare"),
    ],
)
def test_load_answers_of_unusable_rows_is_refused_with_file_and_line(tmp_path: Path, rows: Any, message: str) -> None:
    paths = [write(tmp_path / "bad.jsonl", rows), write(tmp_path / "two.jsonl", BY_QUESTION)]
    with pytest.raises(DataError, match=message) as caught:
        load_answers(paths, write(tmp_path / "q.jsonl", QUESTIONS))
    assert str(caught.value).startswith(str(tmp_path / "bad.jsonl"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "holds no question"),
        ([{"question_id": 1, "turns": ["a", "b"]}], "turns is not one question"),
        ([QUESTIONS[0], QUESTIONS[0]], "comes twice"),
    ],
)
def test_load_answers_of_unusable_questions_is_refused(tmp_path: Path, rows: Any, message: str) -> None:
    paths = [write(tmp_path / "one.jsonl", BY_PLACE), write(tmp_path / "two.jsonl", BY_QUESTION)]
    with pytest.raises(DataError, match=message):
        load_answers(paths, write(tmp_path / "q.jsonl", rows))


def test_load_answers_needs_two_files_questions_and_something_in_common(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one.jsonl", BY_PLACE), write(tmp_path / "two.jsonl", BY_QUESTION)
    with pytest.raises(ConfigError, match="give two or more"):
        load_answers([one])
    with pytest.raises(ConfigError, match="give --questions FILE"):
        load_answers([one, two])
    half = [write(tmp_path / "a.jsonl", BY_PLACE[:1]), write(tmp_path / "b.jsonl", BY_QUESTION[1:])]
    with pytest.raises(DataError, match="no question is answered by two files"):
        load_answers(half, write(tmp_path / "q.jsonl", QUESTIONS))


def test_load_answers_of_the_shared_bench_pairs_its_three_files(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("dialog/zh_tw_bench")
    paths = sorted(folder.glob("model_answer__*.jsonl"))
    questions, files = load_answers(paths, folder / "question.jsonl", folder / "reference_answer__gpt-4.jsonl")
    assert (len(questions), len(files)) == (80, 3)
    assert sum(question.reference is not None for question in questions) == 10
    assert all(len(file.answers) == 80 for file in files)


PROGRAM = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from judge_fakes import FakeJudge
from llm_eval._load_answers import load_answers
from llm_eval._pairwise_prompts import PairStyle
from llm_eval._pairwise_run import PairwiseSettings, run_pairwise
from twllm_runs import open_progress

class Slow(FakeJudge):
    def stream(self, requests):
        for answer in super().stream(requests):
            yield answer
            print("answered", flush=True)
            sys.stdin.readline()

questions, files = load_answers([Path(name) for name in sys.argv[3:]])
settings = PairwiseSettings(style=PairStyle.STRUCTURED)
engine = Slow(answer=lambda text, seed: '{"winner": "A"}')
with open_progress(quiet=True) as progress:
    run_pairwise(engine, questions, files, settings, output=Path(sys.argv[1]), progress=progress)
"""


def test_run_killed_and_continued_equals_an_undisturbed_one(tmp_path: Path) -> None:
    paths = item_files(tmp_path)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "run"), str(IMPORTABLE), *map(str, paths)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for _ in range(4):
            child.stdout.readline()
            child.stdin.write("\n")
            child.stdin.flush()
        child.stdout.readline()
        child.send_signal(signal.SIGKILL)
    before = (tmp_path / "run" / "pairs.jsonl").read_bytes().count(b"\n")
    engine = judged_by(always_first)
    continued = run(tmp_path / "run", paths, engine)
    undisturbed = run(tmp_path / "other", paths, judged_by(always_first))
    assert (continued.state, len(engine.asked)) == (RunState.CONTINUED, 12 - before)
    assert 0 < before < 12
    assert (continued.summary, continued.judgements) == (undisturbed.summary, undisturbed.judgements)
