"""What a run says beside its figures: rows and files that were not used, prompts that were cut, tokens allowed."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tmlu_bench._compare import CompareOptions, compare_runs
from tmlu_bench._protocols import PromptForm, Scoring
from tmlu_bench._question_set import FaultReason, QuestionSet, SourceFault
from tmlu_bench._report_stored import read_compared, write_report
from tmlu_bench._run import ExamRun, run_exam
from tmlu_bench._run_plan import ExamSettings
from tmlu_bench._run_stored import read_exam
from tmlu_bench._show import show_exam
from twllm_runs import open_progress
from twllm_types import ConfigError

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from exam_fakes import FakeEngine, make_set

QUESTIONS = make_set({"AST_civics": 150, "CAP_biology": 8})
LEFT = {"dtype": "float32", "truncation": "left", "max_model_len": 300}
NO_SHOTS = ExamSettings(num_shots=0)
GENERATE = ExamSettings(num_shots=0, scoring=Scoring.GENERATE)


class CuttingEngine(FakeEngine):
    """Cuts the prompts that hold a text, and counts; stops after some calls of the whole."""

    def __init__(self, *, cuts: str = "第3題", stops_after: int | None = None, **more) -> None:
        super().__init__(settings=more.pop("settings", LEFT), **more)
        self.num_cut = 5
        self.num_merged = 0
        self._cuts = cuts
        self._left = stops_after

    def _failure(self, text):
        if self._left is not None and len(self.asked) >= self._left:
            raise KeyboardInterrupt
        self.num_cut += self._cuts in text
        return super()._failure(text)


def run(
    output: Path, engine: FakeEngine, settings: ExamSettings = NO_SHOTS, questions: QuestionSet = QUESTIONS
) -> ExamRun:
    with open_progress(quiet=True) as progress:
        return run_exam(engine, questions, settings, output=output, progress=progress)


def shown(exam: ExamRun, capsys: pytest.CaptureFixture[str]) -> str:
    show_exam(Console(width=500), exam)
    return capsys.readouterr().out


def text_of(path: Path) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", path.read_text(encoding="utf-8")).split())


def faulty(*reasons: FaultReason) -> QuestionSet:
    faults = tuple(
        SourceFault(file="a.jsonl", line=at, subject="AST_civics", reason=reason, message="off")
        for at, reason in enumerate(reasons, start=1)
    )
    return replace(make_set({"AST_civics": 6}), faults=faults, ignored=("notes.txt", "a/b/c/d.jsonl"))


ROWS = "3 rows of the data could not be used: 2 answer_outside, 1 duplicate_id; see tmlu-bench validate"


def test_rows_that_could_not_be_used_are_named_wherever_the_figures_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = faulty(FaultReason.DUPLICATE_ID, FaultReason.ANSWER_OUTSIDE, FaultReason.ANSWER_OUTSIDE)
    exams = [run(tmp_path / name, FakeEngine(name=name), questions=data) for name in ("one", "two")]
    out = shown(exams[0], capsys)
    assert ROWS in out
    assert "2 files were not read, by name or depth no question file: notes.txt, a/b/c/d.jsonl" in out
    summary = json.loads((tmp_path / "one" / "summary.json").read_text(encoding="utf-8"))
    assert summary["data"]["faulty_rows"] == {"answer_outside": 2, "duplicate_id": 1}
    assert ROWS in text_of(tmp_path / "one" / "report.html")
    for runs, line in ((["one"], ROWS), (["one", "two"], f"two: {ROWS}")):
        write_report([tmp_path / name for name in runs], tmp_path / "page.html", options=CompareOptions())
        assert line in text_of(tmp_path / "page.html")


def test_run_without_faulty_rows_has_no_remark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exam = run(tmp_path / "run", FakeEngine())
    assert exam.remarks == read_exam(tmp_path / "run").remarks == ()
    assert "not read" not in shown(exam, capsys)


def test_many_files_that_were_not_read_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = replace(make_set({"AST_civics": 6}), ignored=tuple(f"{at}.txt" for at in range(14)))
    assert "9.txt and 4 more" in shown(run(tmp_path / "run", FakeEngine(), questions=data), capsys)


@pytest.mark.parametrize(("settings", "num_cut"), [(NO_SHOTS, 4 * 11), (GENERATE, 11)])
def test_cut_prompts_are_counted_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: ExamSettings, num_cut: int
) -> None:
    exam = run(tmp_path / "run", CuttingEngine(cuts="下列何者與「風」"), settings)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    line = f"{num_cut} requests were cut at the left to the length of the model (truncation: left)"
    stored = read_exam(tmp_path / "run")
    assert summary["engine_counts"] == {"num_cut": num_cut, "num_merged": 0}
    assert exam.remarks == stored.remarks == (line,)
    assert line in shown(exam, capsys)
    assert line in text_of(tmp_path / "run" / "report.html")
    assert exam.asked["truncation"] == stored.asked["truncation"] == "left at 300 tokens"


@pytest.mark.parametrize("settings", [NO_SHOTS, GENERATE])
@pytest.mark.parametrize("stops_after", [1, 140, 600])
def test_run_killed_and_continued_counts_each_request_once(
    tmp_path: Path, settings: ExamSettings, stops_after: int
) -> None:
    whole = run(tmp_path / "whole", CuttingEngine(), settings)
    num_requests = 158 if settings is GENERATE else 4 * 158
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", CuttingEngine(stops_after=min(stops_after, num_requests - 2)), settings)
    # Two lines of the interrupted call are there, and a torn line of counts.
    items = (tmp_path / "whole" / "items.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = (tmp_path / "run" / "items.jsonl").read_text(encoding="utf-8")
    done = len(kept.splitlines())
    (tmp_path / "run" / "items.jsonl").write_text(kept + "".join(items[done : done + 2]), encoding="utf-8")
    with (tmp_path / "run" / "engine_counts.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"num_cut": 9')
    continued = run(tmp_path / "run", CuttingEngine(), settings)
    assert continued.engine_counts == whole.engine_counts
    assert (continued.items, continued.summary) == (whole.items, whole.summary)


def test_run_of_an_earlier_version_without_counts_keeps_its_items(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", CuttingEngine(stops_after=600))
    (tmp_path / "run" / "engine_counts.jsonl").unlink()
    engine = CuttingEngine()
    run(tmp_path / "run", engine)
    assert len(engine.asked) == 4 * (158 - 128)


def test_borders_inside_a_token_are_counted(tmp_path: Path) -> None:
    class Merging(CuttingEngine):
        def loglikelihood(self, requests):
            self.num_merged += len(requests)
            return super().loglikelihood(requests)

    exam = run(tmp_path / "run", Merging(settings={"truncation": "refuse"}, cuts="\0"))
    assert exam.engine_counts == {"num_cut": 0, "num_merged": 4 * 158}
    assert exam.remarks == ("in 632 requests one token holds the end of the prompt and the beginning of the option",)


def test_engine_that_cuts_nothing_and_writes_texts_is_asked_in_one_call(tmp_path: Path) -> None:
    exam = run(tmp_path / "run", CuttingEngine(settings={"truncation": "refuse"}), GENERATE)
    assert exam.engine_counts == {}
    assert not (tmp_path / "run" / "engine_counts.jsonl").exists()


def test_first_tokens_of_an_engine_that_counts_are_asked_in_one_call(tmp_path: Path) -> None:
    exam = run(tmp_path / "run", CuttingEngine(likelihood=False), ExamSettings(num_shots=0, form=PromptForm.CHAT_API))
    rows = (tmp_path / "run" / "engine_counts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row)["num_lines"] for row in rows] == [0, 158]
    assert exam.engine_counts["num_cut"] == 2


def test_runs_of_which_one_was_cut_do_not_compare(tmp_path: Path) -> None:
    run(tmp_path / "cut", CuttingEngine())
    run(tmp_path / "shorter", CuttingEngine(settings={**LEFT, "max_model_len": 200}))
    run(tmp_path / "whole", FakeEngine())
    run(tmp_path / "uncut", CuttingEngine(cuts="\0"))
    with pytest.raises(ConfigError, match=r"truncation: left at 300 tokens \(cut\), none \(whole\)"):
        compare_runs(read_compared([tmp_path / "cut", tmp_path / "whole"]))
    with pytest.raises(ConfigError, match=r"left at 300 tokens \(cut\), left at 200 tokens \(shorter\)"):
        compare_runs(read_compared([tmp_path / "cut", tmp_path / "shorter"]))
    assert compare_runs(read_compared([tmp_path / "uncut", tmp_path / "whole"])).different == ()


def test_generations_of_other_lengths_do_not_compare_and_say_theirs(tmp_path: Path) -> None:
    exams = {most: run(tmp_path / f"t{most}", FakeEngine(), replace(GENERATE, max_tokens=most)) for most in (2, 12)}
    assert exams[2].asked["max tokens"] == "2"
    with pytest.raises(ConfigError, match=r"max_tokens: 2 \(t2\), 12 \(t12\)"):
        compare_runs(read_compared([tmp_path / "t2", tmp_path / "t12"]))
    assert "max tokens" not in run(tmp_path / "scored", FakeEngine()).asked
