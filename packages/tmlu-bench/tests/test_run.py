import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from math import exp
from pathlib import Path

import pytest

from tmlu_bench._outcomes import Outcome
from tmlu_bench._protocols import PromptForm, Scoring
from tmlu_bench._run import ExamRun, run_exam
from tmlu_bench._run_plan import ExamSettings
from tmlu_bench._run_stored import read_exam, read_items
from twllm_runs import RunState, open_progress
from twllm_types import ArtifactError, ConfigError, DataError, FinishReason

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from exam_fakes import FakeEngine, make_set

IMPORTABLE = Path(__file__).parent / "importable"
QUESTIONS = make_set({"AST_civics": 12, "CAP_biology": 8})
GENERATE = ExamSettings(scoring=Scoring.GENERATE, num_shots=0)


def run(
    output: Path,
    engine: FakeEngine | None = None,
    settings: ExamSettings | None = None,
    **choices: bool,
) -> ExamRun:
    with open_progress(quiet=True) as progress:
        return run_exam(
            engine or FakeEngine(), QUESTIONS, settings or ExamSettings(), output=output, progress=progress, **choices
        )


def figures(exam: ExamRun) -> object:
    return exam.summary


def test_run_by_likelihood_chooses_the_likeliest_letter_and_keeps_all(tmp_path: Path) -> None:
    exam = run(tmp_path / "run")
    assert len(exam.items) == 20
    for item in exam.items:
        assert item.logprobs is not None
        assert item.choice == max(item.logprobs.items(), key=lambda pair: pair[1])[0]
        assert item.captured_mass == pytest.approx(sum(exp(value) for value in item.logprobs.values()))
        assert (item.num_shots, item.response) == (5, None)


def test_run_writes_manifest_items_summary_and_report(tmp_path: Path) -> None:
    run(tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["manifest"]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert manifest["parameters"]["exam"]["protocol"] == "tmlu-direct"
    assert manifest["parameters"]["exam"]["protocol_version"] == "1"
    assert manifest["parameters"]["data_sha256"] == QUESTIONS.sha256
    assert manifest["models"][0]["spec"] == "fake:fake"
    assert summary["overall"]["micro"]["n"] == 20
    assert [row["group"] for row in summary["groups"]] == ["social_sciences", "stem"]
    assert summary["sample"]["description"] == "20 of 20 questions, all"
    assert "第3題" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_run_of_a_sample_says_so(tmp_path: Path) -> None:
    exam = run(tmp_path / "run", settings=ExamSettings(limit=5, seed=3))
    sample = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))["sample"]
    assert len(exam.items) == 5
    assert sample["description"] == "5 of 20 questions, stratified by subject, seed 3"
    assert "5 of 20 questions, stratified by subject, seed 3" in (tmp_path / "run" / "report.html").read_text("utf-8")


def test_run_found_finished_asks_nothing(tmp_path: Path) -> None:
    first = run(tmp_path / "run")
    engine = FakeEngine()
    again = run(tmp_path / "run", engine)
    assert (again.state, again.num_asked, engine.asked) == (RunState.FINISHED, 0, [])
    assert figures(again) == figures(first)


def test_run_of_other_parameters_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "run")
    with pytest.raises(ArtifactError, match="num_shots = 5, asked is 0"):
        run(tmp_path / "run", settings=ExamSettings(num_shots=0))


def test_run_of_another_engine_setting_that_decides_is_refused_and_of_speed_not(tmp_path: Path) -> None:
    run(tmp_path / "run", FakeEngine(settings={"dtype": "float32", "batch_tokens": 1}))
    assert run(tmp_path / "run", FakeEngine(settings={"dtype": "float32", "batch_tokens": 9})).num_asked == 0
    with pytest.raises(ArtifactError, match="dtype"):
        run(tmp_path / "run", FakeEngine(settings={"dtype": "bfloat16"}))


def test_run_with_failures_has_no_headline_and_counts_faults(tmp_path: Path) -> None:
    exam = run(tmp_path / "run", FakeEngine(fails=lambda text: text.endswith("正確答案：(")))
    assert exam.num_faults == 20
    assert exam.summary.overall.micro is None
    assert exam.items[0].failure is not None
    assert exam.items[0].failure.kind == "context_length"
    assert exam.items[0].failure.message == "the prompt has 9,000 tokens of 4,096"
    assert exam.items[0].prompt_sha256 is not None


def is_fifth(text: str) -> bool:
    return text.rfind("問題：第5題") > max(text.rfind("問題：第4題"), text.rfind("問題：第100"))


def test_run_with_failures_retried_equals_one_without(tmp_path: Path) -> None:
    broken = run(tmp_path / "run", FakeEngine(fails=is_fifth))
    assert broken.summary.overall.counts[Outcome.ERROR] == 2
    mended = run(tmp_path / "run", retry_errors=True)
    assert (mended.num_asked, mended.num_faults) == (2, 0)
    assert figures(mended) == figures(run(tmp_path / "other"))
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["overall"]["micro"]["n"] == 20


def test_run_with_failures_asked_again_without_retry_stays_withheld(tmp_path: Path) -> None:
    run(tmp_path / "run", FakeEngine(fails=is_fifth))
    again = run(tmp_path / "run")
    assert (again.num_asked, again.summary.overall.micro) == (0, None)


def test_run_with_failures_left_out_by_choice_later_says_so(tmp_path: Path) -> None:
    run(tmp_path / "run", FakeEngine(fails=is_fifth))
    exam = run(tmp_path / "run", exclude_errors=True)
    assert exam.summary.overall.micro is not None
    assert (exam.summary.overall.micro.n, exam.summary.overall.num_excluded, exam.num_asked) == (18, 2, 0)
    assert run(tmp_path / "run", exclude_errors=True).state is RunState.FINISHED


def test_run_generating_reads_letters_off_texts(tmp_path: Path) -> None:
    exam = run(tmp_path / "run", settings=GENERATE)
    assert exam.summary.overall.counts[Outcome.UNPARSED] == 0
    assert all(item.choice == re.findall("[A-D]", item.response or "")[0] for item in exam.items)
    assert {item.extraction for item in exam.items} == {"found"}
    assert exam.items[0].num_prompt_tokens is not None
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["reported_models"] == {"fake-served": 20}


def test_run_of_a_model_that_emits_nothing_is_unparsed_and_wrong(tmp_path: Path) -> None:
    exam = run(tmp_path / "run", FakeEngine(answer=lambda _text: ""), GENERATE)
    assert exam.summary.overall.counts[Outcome.UNPARSED] == 20
    assert exam.summary.overall.micro is not None
    assert (exam.summary.overall.micro.mean, exam.summary.overall.micro.n) == (0.0, 20)


@pytest.mark.parametrize("ended", [FinishReason.CONTENT_FILTER, FinishReason.TOOL_CALL])
@pytest.mark.parametrize("answer", ["", "正確答案：(B)"])
def test_run_of_answers_that_the_server_ended_is_an_error_and_never_a_wrong_answer(
    tmp_path: Path, ended: FinishReason, answer: str
) -> None:
    exam = run(tmp_path / "run", FakeEngine(answer=lambda _text: answer, finish=ended), GENERATE)
    assert exam.summary.overall.counts[Outcome.ERROR] == 20
    assert (exam.summary.overall.micro, exam.summary.overall.failures) == (None, {ended.value: 20})
    item = exam.items[0]
    assert (item.finish_reason, item.response, item.model) == (ended.value, answer, "fake-served")


def test_run_keeps_why_each_generation_ended(tmp_path: Path) -> None:
    run(tmp_path / "generated", settings=GENERATE)
    run(tmp_path / "scored")
    rows = [
        [json.loads(line) for line in (tmp_path / name / "items.jsonl").read_text(encoding="utf-8").splitlines()]
        for name in ("generated", "scored")
    ]
    assert [{row["finish_reason"] for row in part} for part in rows] == [{"stop"}, {None}]


def test_run_of_answers_cut_off_before_a_letter_is_truncated(tmp_path: Path) -> None:
    engine = FakeEngine(answer=lambda _text: "首先我們考慮", finish=FinishReason.LENGTH)
    assert run(tmp_path / "run", engine, GENERATE).summary.overall.counts[Outcome.TRUNCATED] == 20


def test_run_of_answers_cut_off_behind_a_letter_is_decided(tmp_path: Path) -> None:
    engine = FakeEngine(answer=lambda _text: "正確答案：(B)\n問", finish=FinishReason.LENGTH)
    counts = run(tmp_path / "run", engine, GENERATE).summary.overall.counts
    assert counts[Outcome.CORRECT] + counts[Outcome.WRONG] == 20


def test_run_of_rendered_chat_scores_behind_the_template(tmp_path: Path) -> None:
    engine = FakeEngine()
    run(tmp_path / "run", engine, ExamSettings(form=PromptForm.CHAT, num_shots=0))
    assert engine.asked[0].startswith("<user>以下選擇題")
    assert engine.asked[0].endswith("</user><assistant>\n正確答案：(")


def test_run_permuted_keeps_original_letters(tmp_path: Path) -> None:
    always_first = FakeEngine(answer=lambda _text: "(A)")
    settings = ExamSettings(scoring=Scoring.GENERATE, num_shots=0, permute=7)
    exam = run(tmp_path / "run", always_first, settings)
    assert {item.choice for item in exam.items} == set("ABCD")
    assert all(item.shown_position(item.choice or "") == 0 for item in exam.items)
    assert exam.summary.position_bias.rows[0].num_chosen == 20


def test_run_circular_of_a_model_that_knows_nothing_is_never_right_in_all(tmp_path: Path) -> None:
    settings = ExamSettings(scoring=Scoring.GENERATE, num_shots=0, circular=True)
    overall = run(tmp_path / "run", FakeEngine(answer=lambda _text: "(A)"), settings).summary.overall
    assert overall.all_variants is not None
    assert overall.micro is not None
    assert (overall.all_variants.mean, overall.micro.mean, overall.num_variants) == (0.0, pytest.approx(0.25), 4)


@pytest.mark.parametrize(
    ("engine", "settings", "message"),
    [
        (FakeEngine(likelihood=False, max_top_logprobs=None), ExamSettings(), "gives no log-probabilities"),
        (
            FakeEngine(renders_chat=False),
            ExamSettings(form=PromptForm.CHAT),
            "has no chat template .*; use --form chat-api",
        ),
        (
            FakeEngine(renders_chat=False, chat=False),
            ExamSettings(form=PromptForm.CHAT),
            "has no chat template .*; set chat_template to a Jinja file in a YAML engine file, or use --form raw",
        ),
        (FakeEngine(chat=False), ExamSettings(form=PromptForm.CHAT_API), "answers no conversations"),
        (FakeEngine(raw_prompts=False, likelihood=False), ExamSettings(), "continues no raw text"),
    ],
)
def test_run_that_an_engine_cannot_do_is_refused_before_it_starts(
    tmp_path: Path, engine: FakeEngine, settings: ExamSettings, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(tmp_path / "run", engine, settings)
    assert not (tmp_path / "run").exists()


def test_run_of_a_question_that_cannot_be_put_is_an_error_with_the_reason(tmp_path: Path) -> None:
    subject = QUESTIONS.subjects[0]
    leaky = replace(QUESTIONS, subjects=(replace(subject, dev=(subject.test[3],)),))
    with open_progress(quiet=True) as progress:
        exam = run_exam(FakeEngine(), leaky, ExamSettings(num_shots=1), output=tmp_path / "run", progress=progress)
    (failed,) = (item for item in exam.items if item.outcome is Outcome.ERROR)
    assert failed.failure is not None
    assert (failed.failure.kind, failed.prompt_sha256) == ("prompt", None)
    assert "is its own worked example" in failed.failure.message


def test_read_items_of_a_damaged_line_names_it(tmp_path: Path) -> None:
    run(tmp_path / "run")
    path = tmp_path / "run" / "items.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:3], '{"schema_version": 1}', *lines[3:]]) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"items\.jsonl:4: is no item"):
        read_items(tmp_path / "run")


def without_last_line(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:-1])


def with_another_response(text: str) -> str:
    return text.replace('"response":"', '"response":"x', 1).replace('"response": "', '"response": "x', 1)


@pytest.mark.parametrize(
    ("change", "num_items"), [(without_last_line, 19), (with_another_response, 20), (lambda _text: "", 0)]
)
def test_finished_run_whose_items_were_changed_is_refused(
    tmp_path: Path, change: Callable[[str], str], num_items: int
) -> None:
    run(tmp_path / "run", settings=GENERATE)
    path = tmp_path / "run" / "items.jsonl"
    before = path.read_text(encoding="utf-8")
    path.write_text(change(before), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != before
    message = rf"items\.jsonl: its {num_items} items are not the 20 .*; restore the file, or run the exam again"
    with pytest.raises(ArtifactError, match=message):
        read_exam(tmp_path / "run")
    with pytest.raises(ArtifactError, match=message):
        run(tmp_path / "run", settings=GENERATE)


def test_finished_run_whose_items_were_written_in_another_order_is_read(tmp_path: Path) -> None:
    exam = run(tmp_path / "run")
    path = tmp_path / "run" / "items.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([lines[3], *reversed(lines)]), encoding="utf-8")
    assert read_exam(tmp_path / "run").items == exam.items


def test_finished_run_without_count_of_items_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "run")
    path = tmp_path / "run" / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    del summary["items"]
    path.write_text(json.dumps(summary), encoding="utf-8")
    with pytest.raises(ArtifactError, match="is of an earlier tmlu-bench; run the exam again in a new folder"):
        read_exam(tmp_path / "run")


def test_stored_run_says_what_was_asked_as_the_run_did(tmp_path: Path) -> None:
    exam = run(tmp_path / "run", settings=ExamSettings(limit=5, seed=3, permute=7, subjects=("AST_civics",)))
    assert read_exam(tmp_path / "run").asked == exam.asked
    assert exam.asked == {
        "protocol": "tmlu-direct@1",
        "scoring": "logprob by likelihood",
        "shots": "5",
        "form": "raw",
        "order of options": "permuted, seed 7",
        "subjects": "AST_civics",
        "sample": "5 of 12 questions, stratified by subject, seed 3",
        "data": "invented",
        "data sha256": QUESTIONS.sha256[:12],
    }


def test_read_exam_of_an_unfinished_folder_is_refused(tmp_path: Path) -> None:
    class Broken(FakeEngine):
        def loglikelihood(self, requests):
            raise KeyboardInterrupt(f"at {len(requests)} requests")

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", Broken())
    with pytest.raises(ArtifactError, match="is not finished"):
        read_exam(tmp_path / "run")


PROGRAM = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from exam_fakes import FakeEngine, make_set
from tmlu_bench._protocols import Scoring
from tmlu_bench._run import run_exam
from tmlu_bench._run_plan import ExamSettings
from twllm_runs import open_progress

class Slow(FakeEngine):
    def stream(self, requests):
        for answer in super().stream(requests):
            yield answer
            print("answered", flush=True)
            sys.stdin.readline()

with open_progress(quiet=True) as progress:
    settings = ExamSettings(scoring=Scoring.GENERATE, num_shots=0)
    questions = make_set({"AST_civics": 12, "CAP_biology": 8})
    run_exam(Slow(), questions, settings, output=Path(sys.argv[1]), progress=progress)
"""


@pytest.mark.parametrize("num_answers", [1, 7])
def test_run_killed_and_continued_equals_an_undisturbed_one(tmp_path: Path, num_answers: int) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "run"), str(IMPORTABLE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for _ in range(num_answers):
            child.stdout.readline()
            child.stdin.write("\n")
            child.stdin.flush()
        child.stdout.readline()
        child.send_signal(signal.SIGKILL)
    before = (tmp_path / "run" / "items.jsonl").read_bytes()
    # A kill in the midst of a write leaves a torn line; the next start cuts it off.
    (tmp_path / "run" / "items.jsonl").write_bytes(before + b'{"schema_version": 1, "subj')
    engine = FakeEngine()
    continued = run(tmp_path / "run", engine, GENERATE)
    undisturbed = run(tmp_path / "other", FakeEngine(), GENERATE)
    assert continued.state is RunState.CONTINUED
    assert len(engine.asked) == 20 - before.count(b"\n")
    assert 0 < before.count(b"\n") < 20
    assert (figures(continued), continued.items) == (figures(undisturbed), undisturbed.items)
    reports = [(tmp_path / name / "summary.json").read_bytes() for name in ("run", "other")]
    assert reports[0] == reports[1]
