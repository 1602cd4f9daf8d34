import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from judge_fakes import FakeJudge, answer_by_hash, make_items

from llm_eval._items import JudgeItem, Turn
from llm_eval._judge import make_settings
from llm_eval._judge_run import JudgeRun, run_judge
from llm_eval._judge_settings import JudgeSettings, RetryPolicy
from llm_eval._judge_stored import read_attempts, read_judge_run
from llm_eval._judge_summary import estimate_from_json
from llm_eval._judgements import JudgementFailureKind, ScoreMethod
from llm_eval._scales import SCALE_0_5_INT
from twllm_engines import Engine, RecordingEngine, load_engine
from twllm_runs import RunState, open_progress
from twllm_types import ArtifactError, ConfigError, DataError, JsonObject, JsonValue

IMPORTABLE = Path(__file__).parent / "importable"
ITEMS = make_items(10)
NAMES = ["content", "grammar", "relevance", "appropriateness"]


def run(
    output: Path,
    engine: Engine | None = None,
    settings: JudgeSettings | None = None,
    items: Sequence[JudgeItem] = ITEMS,
    **choices: Any,
) -> JudgeRun:
    with open_progress(quiet=True) as progress:
        return run_judge(
            engine or FakeJudge(), items, settings or JudgeSettings(), output=output, progress=progress, **choices
        )


def summary_of(folder: Path) -> Any:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def test_run_writes_manifest_items_judgements_summary_and_report(tmp_path: Path) -> None:
    judged = run(tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["manifest"]
    summary = summary_of(tmp_path / "run")
    assert manifest["command"] == "llm-eval judge"
    assert manifest["parameters"]["judge"]["style"] == "paper"
    assert manifest["models"][0]["spec"] == "fake:fake"
    assert summary["reported_models"] == {"fake-served": 20}
    assert summary["all"]["overall"]["n"] == 20
    assert [row["name"] for row in summary["systems"]] == ["good", "short"]
    assert len((tmp_path / "run" / "judgements.jsonl").read_text(encoding="utf-8").splitlines()) == 20
    assert len((tmp_path / "run" / "items.jsonl").read_text(encoding="utf-8").splitlines()) == 20
    assert "夜市啊，我也很期待" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert (judged.num_asked, judged.num_faults, judged.state) == (20, 0, RunState.NEW)


def test_run_sums_up_dimensions_systems_and_paired_differences(tmp_path: Path) -> None:
    summary = run(tmp_path / "run").summary
    assert list(summary.all_items.dimensions) == NAMES
    overall = summary.all_items.overall
    assert overall is not None
    means = [estimate.mean or 0.0 for estimate in summary.all_items.dimensions.values()]
    assert overall.mean == pytest.approx(sum(means) / 4)
    assert (overall.n, overall.num_clusters) == (20, 10)
    good, short = summary.systems
    assert good.overall is not None
    assert short.overall is not None
    (difference,) = (row for row in summary.differences if row.dimension == "overall")
    assert (difference.first, difference.second, difference.difference.n) == ("good", "short", 10)
    assert difference.difference.mean == pytest.approx((good.overall.mean or 0) - (short.overall.mean or 0))
    assert difference.p_value is not None
    assert difference.p_value == difference.p_holm
    assert difference.p_value < 0.05
    assert {row.p_value for row in summary.differences if row.dimension != "overall"} == {None}
    assert len(summary.differences) == 5


def test_run_of_systems_without_shared_contexts_tests_and_corrects_only_those_that_share(tmp_path: Path) -> None:
    strangers = [
        replace(item, id=f"third-{at}", system="third", context=(Turn(speaker=None, text=f"別的話題{at}"),))
        for at, item in enumerate(ITEMS[:4])
    ]
    # One context shared with "good" and "short" is no sample.
    one = replace(ITEMS[0], id="fourth-0", system="fourth")
    run(tmp_path / "run", items=(*ITEMS, *strangers, one))
    run(tmp_path / "two")
    found = {
        (row["first"], row["second"]): row
        for row in summary_of(tmp_path / "run")["differences"]
        if row["dimension"] == "overall"
    }
    assert len(found) == 6
    tested = found.pop(("good", "short"))
    (alone,) = (row for row in summary_of(tmp_path / "two")["differences"] if row["dimension"] == "overall")
    assert tested == alone
    assert tested["p_holm"] == tested["p_value"] < 0.05
    assert {(row["p_value"], row["p_holm"]) for row in found.values()} == {(None, None)}
    assert sorted(row["difference"]["n"] for row in found.values()) == [0, 0, 0, 1, 1]


def test_run_weighs_dimensions_as_told(tmp_path: Path) -> None:
    weighted = make_settings(weights={"content": 3, "grammar": 0})
    summary = run(tmp_path / "run", settings=weighted).summary
    means = {name: estimate.mean or 0.0 for name, estimate in summary.all_items.dimensions.items()}
    assert summary.all_items.overall is not None
    expected = (3 * means["content"] + means["relevance"] + means["appropriateness"]) / 5
    assert summary.all_items.overall.mean == pytest.approx(expected)


def test_run_that_asks_for_overall_keeps_what_the_judge_said(tmp_path: Path) -> None:
    settings = make_settings(dimensions=["content", "overall"])
    engine = FakeJudge(answer=lambda _text, _seed: '{"content": 1, "overall": 5}')
    summary = run(tmp_path / "run", engine, settings).summary
    assert summary.all_items.overall is not None
    assert summary.all_items.overall.mean == 5.0
    assert list(summary.all_items.dimensions) == ["content"]


def test_run_with_failures_counts_them_and_makes_no_number_of_them(tmp_path: Path) -> None:
    engine = FakeJudge(
        fails=lambda text: "第0件事" in text,
        answer=lambda text, seed: '{"content": 9}' if "第1件事" in text else answer_by_hash(text, seed),
    )
    judged = run(tmp_path / "run", engine)
    summary = summary_of(tmp_path / "run")
    assert judged.num_faults == 4
    assert summary["all"]["failures"] == {"engine_error": 2, "missing_dimension": 2}
    assert (summary["all"]["overall"]["n"], summary["all"]["overall"]["num_unscored"]) == (16, 4)
    (difference,) = (row for row in summary["differences"] if row["dimension"] == "overall")
    assert difference["difference"]["n"] == 8


def test_run_of_samples_counts_those_that_cannot_be_read_as_faults(tmp_path: Path) -> None:
    settings = make_settings(
        dimensions=["content", "grammar"], score_method="sampled", num_samples=5, temperature=1.0, style="structured"
    )

    def answer(text: str, seed: int | None) -> str:
        return answer_by_hash(text, seed) if seed == 0 and "第0件事" not in text else "?"

    judged = run(tmp_path / "run", FakeJudge(answer=answer), settings)
    summary = summary_of(tmp_path / "run")["all"]
    # Both judgements of the first context fail; of the other 18 one sample in five is read.
    assert (summary["num_failed"], summary["num_samples"], summary["num_failed_samples"]) == (2, 90, 72)
    assert judged.num_faults == 74
    assert [group.num_failed_samples for group in judged.summary.systems] == [36, 36]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "72 of 90 samples of scored judgements could not be read" in page
    assert "4 of 5 samples could not be read" in page


def test_run_where_everything_fails_has_no_means(tmp_path: Path) -> None:
    judged = run(tmp_path / "run", FakeJudge(answer=lambda _text, _seed: ""))
    assert judged.summary.all_items.overall is None
    assert judged.summary.all_items.failures == {"no_json": 20}
    assert (tmp_path / "run" / "report.html").exists()


def test_run_of_verdicts_gives_shares(tmp_path: Path) -> None:
    settings = make_settings(dimensions=["流暢"], scale="good,bad", style="structured")
    engine = FakeJudge(answer=lambda text, _seed: json.dumps({"流暢": "bad" if "嗯。" in text else "good"}))
    summary = run(tmp_path / "run", engine, settings).summary
    assert summary.all_items.overall is None
    shares = {word: estimate.mean for word, estimate in summary.all_items.verdicts["流暢"].items()}
    assert shares == {"bad": 0.5, "good": 0.5}
    assert [
        group.verdicts["流暢"]["bad"].mean if "bad" in group.verdicts["流暢"] else None for group in summary.systems
    ] == [
        None,
        1.0,
    ]
    assert "Verdicts: 流暢" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_run_of_expected_scores_reports_the_captured_mass(tmp_path: Path) -> None:
    settings = JudgeSettings(scale=SCALE_0_5_INT, score_method=ScoreMethod.EXPECTED)
    summary = run(tmp_path / "run", settings=settings).summary
    assert summary.captured_mass["content"].mean == pytest.approx(0.9)
    assert "Captured mass" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_run_averages_the_repeats_of_an_item_before_items(tmp_path: Path) -> None:
    settings = make_settings(dimensions=["content"], repeats=2, temperature=1.0)

    def answer(text: str, seed: int | None) -> str:
        return '{"content": 5}' if seed == 0 else ("none" if "第0件事" in text else '{"content": 1}')

    summary = run(tmp_path / "run", FakeJudge(answer=answer), settings).summary
    content = summary.all_items.dimensions["content"]
    assert content.n == 20
    assert content.mean == pytest.approx((18 * 3 + 2 * 5) / 20)
    assert (summary.all_items.num_judgements, summary.all_items.num_failed) == (40, 2)


def test_run_counts_tokens_and_cost_of_all_attempts(tmp_path: Path) -> None:
    prices: JsonObject = {
        "prompt_price": 2.0,
        "completion_price": 10.0,
        "cached_prompt_price": None,
        "currency": "TWD",
    }
    judged = run(tmp_path / "run", FakeJudge(settings=prices))
    tokens = judged.tokens
    assert tokens.num_prompt_tokens > 1000
    expected = (2 * tokens.num_prompt_tokens + 10 * tokens.num_completion_tokens) / 1e6
    assert (judged.cost, judged.currency) == (pytest.approx(expected), "TWD")
    free = run(tmp_path / "free", FakeJudge(settings=prices, has_usage=False))
    assert (free.cost, free.tokens.num_without_usage) == (None, 20)
    assert "20 attempts without count" in (tmp_path / "free" / "report.html").read_text(encoding="utf-8")


def test_run_found_finished_asks_nothing(tmp_path: Path) -> None:
    first = run(tmp_path / "run")
    engine = FakeJudge()
    again = run(tmp_path / "run", engine)
    assert (again.state, again.num_asked, engine.asked) == (RunState.FINISHED, 0, [])
    assert (again.summary, again.judgements) == (first.summary, first.judgements)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (make_settings(style="structured"), "judge.style"),
        (make_settings(dimensions=["content"]), "judge.dimensions"),
        (make_settings(seed=1), "seed"),
    ],
)
def test_run_of_other_parameters_is_refused(tmp_path: Path, settings: JudgeSettings, message: str) -> None:
    run(tmp_path / "run")
    with pytest.raises(ArtifactError, match=message):
        run(tmp_path / "run", settings=settings)


def test_run_of_other_items_under_the_same_ids_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "run")
    changed = (replace(ITEMS[0], response="完全不同的回應"), *ITEMS[1:])
    with pytest.raises(ArtifactError, match="prompts_sha256"):
        run(tmp_path / "run", items=changed)


def test_run_of_another_engine_setting_that_decides_is_refused_and_of_transport_not(tmp_path: Path) -> None:
    run(tmp_path / "run", FakeJudge(settings={"dtype": "float32", "max_in_flight": 1}))
    assert run(tmp_path / "run", FakeJudge(settings={"dtype": "float32", "max_in_flight": 9})).num_asked == 0
    with pytest.raises(ArtifactError, match="dtype"):
        run(tmp_path / "run", FakeJudge(settings={"dtype": "bfloat16"}))


def test_run_into_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds files"):
        run(tmp_path)


def test_run_that_an_engine_cannot_do_is_refused_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="JSON Schema"):
        run(tmp_path / "run", FakeJudge(json_schema=False), make_settings(structured=True))
    assert not (tmp_path / "run").exists()


def test_run_with_failures_retried_equals_one_without(tmp_path: Path) -> None:
    broken = run(tmp_path / "run", FakeJudge(fails=lambda text: "第5件事" in text))
    assert broken.num_faults == 2
    assert run(tmp_path / "run").num_asked == 0
    mended = run(tmp_path / "run", retry_failures=True)
    assert (mended.num_asked, mended.num_faults) == (2, 0)
    whole = run(tmp_path / "other")
    scores = [[judgement.scores for judgement in judged.judgements] for judged in (mended, whole)]
    assert scores[0] == scores[1]
    assert mended.summary.num_retried == 2
    assert len(read_attempts(tmp_path / "run")) == 22


def test_run_retried_never_asks_again_for_an_answer_that_could_not_be_read(tmp_path: Path) -> None:
    run(tmp_path / "run", FakeJudge(answer=lambda _text, _seed: "none"))
    engine = FakeJudge()
    again = run(tmp_path / "run", engine, retry_failures=True)
    assert (again.num_asked, engine.asked, again.num_faults) == (0, [], 20)


def test_run_with_a_retry_policy_keeps_every_attempt(tmp_path: Path) -> None:
    policy = RetryPolicy(max_attempts=2, kinds=frozenset({JudgementFailureKind.NO_JSON}), temperature=1.0)

    def answer(text: str, seed: int | None) -> str:
        return "none" if seed is None and "第5件事" in text else answer_by_hash(text, seed)

    judged = run(tmp_path / "run", FakeJudge(answer=answer), make_settings(retry=policy))
    assert (judged.num_asked, judged.num_faults, judged.summary.num_retried) == (22, 0, 2)
    attempts = [row for row in read_attempts(tmp_path / "run") if row.item_id == "good-5"]
    assert [(row.num_attempts, row.failure is None) for row in attempts] == [(1, False), (2, True)]


def test_run_over_a_recording_gives_the_figures_again(tmp_path: Path) -> None:
    recording = tmp_path / "answers.jsonl"
    recorded = run(tmp_path / "recorded", RecordingEngine(FakeJudge(), recording))
    with load_engine(f"replay:{recording}") as engine:
        replayed = run(tmp_path / "replayed", engine)
    assert replayed.summary == recorded.summary
    changed = make_settings(style="structured")
    with load_engine(f"replay:{recording}") as engine, pytest.raises(ConfigError, match="has no record"):
        run(tmp_path / "changed", engine, changed)


def test_run_hashes_its_items_file(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text("{}\n", encoding="utf-8")
    run(tmp_path / "run", items_file=path)
    path.write_text("{} \n", encoding="utf-8")
    with pytest.raises(ArtifactError, match="inputs"):
        run(tmp_path / "run", items_file=path)


def test_read_judge_run_of_a_changed_file_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "run")
    stored = read_judge_run(tmp_path / "run")
    assert (stored.model, stored.dimensions, len(stored.judgements)) == ("fake:fake", tuple(NAMES), 20)
    path = tmp_path / "run" / "judgements.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match="its 19 judgements are not the 20"):
        read_judge_run(tmp_path / "run")
    path.write_text("\n".join(["{}", *lines[1:]]) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"judgements\.jsonl:1"):
        read_judge_run(tmp_path / "run")


CHANGES: dict[str, Callable[[list[str]], list[str]]] = {
    "text": lambda lines: [lines[0].replace("我也很期待", "我不期待"), *lines[1:]],
    "system": lambda lines: [lines[0].replace('"system": "good"', '"system": "best"'), *lines[1:]],
    "fewer": lambda lines: lines[:-1],
}


@pytest.mark.parametrize("change", CHANGES)
def test_run_whose_items_were_changed_is_refused_wherever_it_is_read(tmp_path: Path, change: str) -> None:
    run(tmp_path / "run", FakeJudge(fails=lambda text: "第5件事" in text))
    path = tmp_path / "run" / "items.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    changed = CHANGES[change](lines)
    assert changed != lines
    path.write_text("\n".join(changed) + "\n", encoding="utf-8")
    message = rf"items\.jsonl: its {len(changed)} items are not the 20 that summary\.json was made of; restore the file"
    with pytest.raises(ArtifactError, match=message):
        read_judge_run(tmp_path / "run")
    for retry in (False, True):
        with pytest.raises(ArtifactError, match=message):
            run(tmp_path / "run", retry_failures=retry)


def test_run_whose_items_are_gone_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "run")
    (tmp_path / "run" / "items.jsonl").unlink()
    with pytest.raises(ArtifactError, match=r"items\.jsonl: is missing; restore the file"):
        read_judge_run(tmp_path / "run")


def test_run_of_items_that_differ_in_no_prompt_is_refused(tmp_path: Path) -> None:
    others = (replace(ITEMS[0], system="other"), *ITEMS[1:])
    run(tmp_path / "run")
    with pytest.raises(ArtifactError, match="holds other items than those given"):
        run(tmp_path / "run", items=others)

    class Broken(FakeJudge):
        def stream(self, requests):
            raise KeyboardInterrupt(f"at {len(requests)} requests")

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "half", Broken())
    with pytest.raises(ArtifactError, match="holds other items than those given"):
        run(tmp_path / "half", items=others)
    assert run(tmp_path / "half").state is RunState.CONTINUED


@pytest.mark.parametrize("key", ["items", "judgements"])
@pytest.mark.parametrize("value", [None, 3, [], {}, {"num": "20", "sha256": "0"}, {"num": 20}])
def test_run_whose_summary_lost_its_hashes_is_refused(tmp_path: Path, key: str, value: JsonValue) -> None:
    run(tmp_path / "run")
    summary = summary_of(tmp_path / "run")
    (tmp_path / "run" / "summary.json").write_text(json.dumps({**summary, key: value}), encoding="utf-8")
    message = rf"summary\.json: '{key}' is not {{num, sha256}}; restore the file"
    with pytest.raises(ArtifactError, match=message):
        read_judge_run(tmp_path / "run")
    with pytest.raises(ArtifactError, match=message):
        run(tmp_path / "run")
    del summary[key]
    (tmp_path / "run" / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    with pytest.raises(ArtifactError, match=message):
        read_judge_run(tmp_path / "run")


def test_read_judge_run_of_an_unfinished_or_foreign_folder_is_refused(tmp_path: Path) -> None:
    class Broken(FakeJudge):
        def stream(self, requests):
            raise KeyboardInterrupt(f"at {len(requests)} requests")

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", Broken())
    with pytest.raises(ArtifactError, match="is not finished"):
        read_judge_run(tmp_path / "run")
    with pytest.raises(ArtifactError, match=r"run\.json"):
        read_judge_run(tmp_path)


def test_summary_estimates_come_back_as_they_were(tmp_path: Path) -> None:
    judged = run(tmp_path / "run")
    row = summary_of(tmp_path / "run")["all"]["overall"]
    assert estimate_from_json(row) == judged.summary.all_items.overall


PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from judge_fakes import FakeJudge, make_items
from llm_eval._judge_run import run_judge
from llm_eval._judge_settings import JudgeSettings
from twllm_runs import open_progress

class Slow(FakeJudge):
    def stream(self, requests):
        for answer in super().stream(requests):
            yield answer
            print("answered", flush=True)
            sys.stdin.readline()

with open_progress(quiet=True) as progress:
    run_judge(Slow(), make_items(10), JudgeSettings(), output=Path(sys.argv[1]), progress=progress)
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
    path = tmp_path / "run" / "judgements.jsonl"
    before = path.read_bytes()
    # A kill in the midst of a write leaves a torn line; the next start cuts it off.
    path.write_bytes(before + b'{"schema_version": 1, "item')
    engine = FakeJudge()
    continued = run(tmp_path / "run", engine)
    undisturbed = run(tmp_path / "other")
    assert continued.state is RunState.CONTINUED
    assert len(engine.asked) == 20 - before.count(b"\n")
    assert 0 < before.count(b"\n") < 20
    assert (continued.summary, continued.judgements) == (undisturbed.summary, undisturbed.judgements)
    summaries = [(tmp_path / name / "summary.json").read_bytes() for name in ("run", "other")]
    assert summaries[0] == summaries[1]
