import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from judge_fakes import FakeJudge, make_items

from llm_eval._cli import app
from llm_eval._items import item_to_json
from llm_eval._judge import make_settings
from llm_eval._judge_run import run_judge
from llm_eval._judge_settings import JudgeSettings
from llm_eval._load_answers import load_answers
from llm_eval._load_items import load_items
from llm_eval._meta_run import MetaInputs, MetaSettings, run_meta_evaluation
from llm_eval._pairwise_run import PairwiseSettings, run_pairwise
from twllm_engines import RecordingEngine
from twllm_runs import open_progress, run_app
from twllm_types import ConfigError

Command = Callable[..., tuple[int, str, str]]
ITEMS = make_items(8)


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    def run(*words: object) -> tuple[int, str, str]:
        # What a test ran before is not what the command says.
        capfd.readouterr()
        code = run_app(app, ["--quiet", *map(str, words)])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def write_rows(path: Path, rows: Any) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def items(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "items.jsonl", map(item_to_json, ITEMS))


def record(items: Path, folder: Path, engine: FakeJudge | None = None, settings: JudgeSettings | None = None) -> Path:
    """Record all answers of a run, so that the command can replay them."""
    folder.mkdir(exist_ok=True)
    path = folder / "answers.jsonl"
    with open_progress(quiet=True) as progress:
        run_judge(
            RecordingEngine(engine or FakeJudge(), path),
            load_items(items),
            settings or make_settings(),
            output=folder / "run",
            progress=progress,
        )
    return path


def test_judge_of_a_recording_prints_scores_systems_and_where_to_look(
    items: Path, tmp_path: Path, command: Command
) -> None:
    recording = record(items, tmp_path / "recorded")
    words = ("judge", items, "--engine", f"replay:{recording}", "--output", tmp_path / "run")
    code, out, err = command(*words)
    assert code == 0, err
    assert "16 items, 16 judgements, 0 failed" in out
    assert "\noverall: " in out
    assert "\ncontent: " in out
    assert "  good, overall: " in out
    assert "summary.json, judgements.jsonl, report.html" in out
    again = command(*words)
    assert (again[0], again[1]) == (0, out)


def test_judge_options_reach_the_judge(items: Path, tmp_path: Path, command: Command) -> None:
    path = tmp_path / "dimensions.json"
    path.write_text(json.dumps([{"name": "流暢", "definition": "讀起來順"}, "有趣"]), encoding="utf-8")
    settings = make_settings(
        dimensions=["流暢"], scale="0-5-int", style="zh-TW", structured=True, weights={"流暢": 2}, seed=4
    )
    recording = record(items, tmp_path / "recorded", settings=settings)
    code, out, err = command(
        *("judge", items, "--engine", f"replay:{recording}", "--output", tmp_path / "run", "--dimensions", "流暢"),
        *("--scale", "0-5-int", "--style", "zh-TW", "--structured", "--weight", "流暢=2", "--seed", 4),
    )
    assert code == 0, err
    assert "流暢: " in out
    code, _, err = command(
        *("judge", items, "--engine", f"replay:{recording}", "--output", tmp_path / "other"),
        *("--dimensions-file", path, "--style", "zh-TW"),
    )
    assert (code, "has no record of the request" in err) == (2, True)


def test_judge_with_failures_ends_with_faults_and_names_their_kinds(
    items: Path, tmp_path: Path, command: Command
) -> None:
    engine = FakeJudge(answer=lambda text, _seed: "?" if "第3件事" in text else '{"content": 3}')
    recording = record(items, tmp_path / "recorded", engine, make_settings(dimensions=["content"]))
    code, out, _ = command(
        *("judge", items, "--engine", f"replay:{recording}", "--output", tmp_path / "run", "--dimensions", "content")
    )
    assert code == 3
    assert "failed, no_json: 2" in out
    assert "content: 3.00 [3.00, 3.00], n = 14 in 7 clusters, 2 unscored" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--retry-kinds", "boredom"), "--retry-kinds 'boredom' is no failure"),
        (("--weight", "content"), "--weight 'content' is not NAME=NUMBER"),
        (("--weight", "content=nan"), "is not NAME=NUMBER"),
        (("--weight", "content=1", "content=2"), "names 'content' twice"),
        (("--scale", "tall"), "scale 'tall' is unknown"),
        (("--score-method", "expected"), "this scale is continuous"),
        (("--dimensions", "a", "--dimensions-file", "x.json"), "are both given"),
        (("--dimensions-file", "missing.json"), "missing.json: is not JSON that can be read"),
        (("--engine", "magic:x"), "magic"),
    ],
)
def test_judge_of_wrong_usage_is_one_line(
    items: Path, tmp_path: Path, command: Command, words: tuple[str, ...], message: str
) -> None:
    engine = () if "--engine" in words else ("--engine", "replay:none.jsonl")
    code, _, err = command("judge", items, *engine, "--output", tmp_path / "run", *words)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_judge_of_dimensions_that_are_no_list_is_refused(items: Path, tmp_path: Path, command: Command) -> None:
    path = tmp_path / "dimensions.json"
    path.write_text('{"name": "x"}', encoding="utf-8")
    words = ("judge", items, "--engine", "replay:x", "--output", tmp_path / "run", "--dimensions-file", path)
    code, _, err = command(*words)
    assert (code, "holds no list" in err) == (2, True)
    path.write_text("[" * 100_000, encoding="utf-8")
    code, _, err = command(*words)
    assert (code, "is nested too deep" in err, err.count("\n")) == (2, True, 1)
    path.write_text('[{"name": "a", "levels": {"1": "bad", "1": "good"}}]', encoding="utf-8")
    code, _, err = command(*words)
    assert (code, "the key '1' comes twice in one object" in err, err.count("\n")) == (2, True, 1)


def test_judge_prints_control_and_format_characters_of_names_as_escapes(tmp_path: Path, command: Command) -> None:
    name = "a\x1b[31m\u202eb\u2028c\nd[red]臺"
    items = write_rows(tmp_path / "items.jsonl", [item_to_json(replace(ITEMS[0], system=name))])
    answers = record(items, tmp_path / "recorded")
    code, out, _ = command("judge", items, "--engine", f"replay:{answers}", "--output", tmp_path / "run")
    assert code == 0
    assert r"  a\x1b[31m\u202eb\u2028c\nd[red]臺, overall: " in out
    assert not {"\x1b", "\u202e", "\u2028"} & set(out)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "holds no item"),
        ([{"id": "1", "response": "嗨"}], "items.jsonl:1: item '1': context is NoneType"),
        ([{"id": "1", "context": "你好"}], "items.jsonl:1: item '1': has no response"),
        ([item_to_json(ITEMS[0]), item_to_json(ITEMS[0])], "items.jsonl:2: id 'good-0' is that of line 1"),
    ],
)
def test_judge_of_bad_items_names_file_and_line(tmp_path: Path, command: Command, rows: Any, message: str) -> None:
    path = write_rows(tmp_path / "items.jsonl", rows)
    code, _, err = command("judge", path, "--engine", "replay:x", "--output", tmp_path / "run")
    assert code == 2
    assert message in err


def test_judge_of_samples_that_cannot_be_read_ends_with_faults(items: Path, tmp_path: Path, command: Command) -> None:
    settings = make_settings(dimensions=["content"], score_method="sampled", num_samples=2, temperature=1.0)
    engine = FakeJudge(answer=lambda _text, seed: '{"content": 3}' if seed == 0 else "?")
    recording = record(items, tmp_path / "recorded", engine, settings)
    code, out, _ = command(
        *("judge", items, "--engine", f"replay:{recording}", "--output", tmp_path / "run"),
        *("--dimensions", "content", "--score-method", "sampled", "--num-samples", 2, "--temperature", 1),
    )
    assert code == 3
    assert "16 judgements, 0 failed" in out
    assert "16 of 32 samples of scored judgements could not be read" in out


def test_pairwise_of_a_recording_prints_outcomes_and_bias(tmp_path: Path, command: Command) -> None:
    paths = [
        write_rows(tmp_path / f"{name}.jsonl", (item_to_json(item) for item in ITEMS if item.system == name))
        for name in ("good", "short")
    ]
    recording = tmp_path / "answers.jsonl"
    questions, files = load_answers(paths)
    engine = RecordingEngine(FakeJudge(answer=lambda _text, _seed: '{"winner": "A"}'), recording)
    with open_progress(quiet=True) as progress:
        run_pairwise(engine, questions, files, PairwiseSettings(), output=tmp_path / "recorded", progress=progress)
    code, out, err = command("pairwise", *paths, "--engine", f"replay:{recording}", "--output", tmp_path / "run")
    assert code == 0, err
    assert "good (a), short (b): 0 a_wins, 0 b_wins, 0 tie, 0 half_tie, 8 flipped, 0 unscored" in out
    assert "winner changes with the order: 100.0 %" in out
    assert "first place wins, 50 % without bias: 100.0 %" in out


def test_prefer_prints_rows_and_reasons(items: Path, tmp_path: Path, command: Command) -> None:
    record(items, tmp_path / "recorded")
    code, out, err = command(
        *("prefer", items, "--judgements", tmp_path / "recorded" / "run", "--output", tmp_path / "out"),
        *("--margin", 0.5, "--good-from", 3, "--bad-to", 1),
    )
    assert code == 0, err
    assert " pairs, " in out
    assert "no label, between: " in out
    assert (tmp_path / "out" / "dpo.jsonl").exists()


def test_check_passes_or_ends_with_code_4_and_one_table(items: Path, tmp_path: Path, command: Command) -> None:
    record(items, tmp_path / "recorded")
    run = tmp_path / "recorded" / "run"
    code, out, err = command(
        "check", run, "--min", "overall=0.1", "content=0", "--baseline", run, "--margin", "overall=0"
    )
    assert (code, err) == (0, "")
    assert out.endswith("compared on 16 shared items\npassed\n")
    code, out, _ = command("check", run, "--min", "overall=4.9")
    assert code == 4
    assert [line.split()[0] for line in out.splitlines()] == ["ok", "FAIL", "failed"]


def rated(folder: Path, rating: Callable[[int, str], list[object]]) -> Path:
    """The items with human ratings beside them."""
    rows = [
        {
            **item_to_json(item),
            "human": {"content": rating(at // 2, item.system or "")},
            "scale": {"content": [1, 5]},
        }
        for at, item in enumerate(ITEMS)
    ]
    return write_rows(folder / "ratings.jsonl", rows)


def by_system(number: int, system: str) -> list[object]:
    return [4 - number % 2, 5 - number % 3] if system == "good" else [1 + number % 2, 2]


def test_meta_eval_prints_judge_baselines_rater_and_ceiling(items: Path, tmp_path: Path, command: Command) -> None:
    record(items, tmp_path / "recorded")
    words = (
        *("meta-eval", "--judgements", tmp_path / "recorded" / "run", "--ratings", rated(tmp_path, by_system)),
        *("--output", tmp_path / "meta", "--text-unit", "characters", "--draws", 50),
    )
    code, out, err = command(*words)
    assert code == 0, err
    assert "run: 0 judgements failed, 0 rated items unjudged, 0 judgements of no item" in out
    assert "  content (content):" in out
    for name in ("judge: pearson ", "length: pearson ", "BLEU-4: pearson ", "one rater: ", "ceiling: "):
        assert f"    {name}" in out
    assert "n = 16 in 8 clusters" in out
    page = (tmp_path / "meta" / "report.html").read_text(encoding="utf-8")
    assert "run: ceiling" in page
    assert command(*words)[:2] == (0, out)


def test_meta_eval_of_overall_and_of_files_of_scores_compares_judges(
    items: Path, tmp_path: Path, command: Command
) -> None:
    record(items, tmp_path / "recorded")
    plain = write_rows(
        tmp_path / "plain.jsonl", [{"id": item.id, "scores": {"overall": len(item.response or "")}} for item in ITEMS]
    )
    code, out, err = command(
        *("meta-eval", "--judgements", tmp_path / "recorded" / "run" / "judgements.jsonl", plain),
        *("--ratings", rated(tmp_path, by_system), "--dimension", "overall=content"),
        *("--output", tmp_path / "meta", "--draws", 50),
    )
    assert code == 0, err
    assert "  overall (content):" in out
    assert "plain: 0 judgements failed" in out
    assert "Differences between judges" in (tmp_path / "meta" / "report.html").read_text(encoding="utf-8")


def test_meta_eval_counts_ratings_that_are_none_and_judgements_of_no_item(
    items: Path, tmp_path: Path, command: Command
) -> None:
    def broken(number: int, system: str) -> list[object]:
        return ["N/A (not rated)"] if number == 0 else [9] if number == 1 else by_system(number, system)

    scores = [{"id": item.id, "scores": {"content": at % 5}} for at, item in enumerate(ITEMS)]
    path = write_rows(tmp_path / "scores.jsonl", [*scores, {"id": "nobody", "scores": {"content": 1}}])
    code, out, err = command(
        *("meta-eval", "--judgements", path, "--ratings", rated(tmp_path, broken), "--output", tmp_path / "meta"),
        *("--draws", 50),
    )
    assert code == 3, err
    assert "1 judgements of no item" in out
    assert "ratings left out, not_a_number: 2" in out
    assert "ratings left out, out_of_scale: 2" in out


def test_meta_eval_of_constant_ratings_says_why_nothing_is_known(items: Path, tmp_path: Path, command: Command) -> None:
    record(items, tmp_path / "recorded")
    code, out, err = command(
        *("meta-eval", "--judgements", tmp_path / "recorded" / "run", "--output", tmp_path / "meta", "--draws", 50),
        *("--ratings", rated(tmp_path, lambda _number, _system: [3, 3])),
    )
    assert code == 0, err
    assert "judge: pearson undefined (" in out
    assert "one rater: undefined" in out
    assert "ceiling: constant_ratings" in out


def test_meta_eval_of_verdicts_reports_agreement(tmp_path: Path, command: Command) -> None:
    words = ("good", "fair", "bad")
    ratings = [
        {"id": str(at), "dimension": "tone", "rater": rater, "rating": words[(at + (rater == "b" and at % 4 == 0)) % 3]}
        for at in range(12)
        for rater in ("a", "b")
    ]
    scores = [{"id": str(at), "scores": {"tone": words[at % 3]}} for at in range(12)]
    code, out, err = command(
        *("meta-eval", "--judgements", write_rows(tmp_path / "s.jsonl", scores), "--draws", 50),
        *("--ratings", write_rows(tmp_path / "r.jsonl", ratings), "--verdicts", "tone=good,fair,bad"),
        *("--output", tmp_path / "meta"),
    )
    assert code == 0, err
    assert "  tone (tone):" in out
    assert "Agreement on verdicts" in (tmp_path / "meta" / "report.html").read_text(encoding="utf-8")


def test_meta_eval_of_one_judge_given_twice_or_of_words_that_are_no_pair_is_refused(
    items: Path, tmp_path: Path, command: Command
) -> None:
    record(items, tmp_path / "recorded")
    run, ratings = tmp_path / "recorded" / "run", rated(tmp_path, by_system)
    code, _, err = command("meta-eval", "--judgements", run, run, "--ratings", ratings, "--output", tmp_path / "m")
    assert (code, "is given twice" in err) == (2, True)
    code, _, err = command(
        *("meta-eval", "--judgements", run, "--ratings", ratings, "--output", tmp_path / "m", "--dimension", "content")
    )
    assert (code, "is not NAME=WORD" in err) == (2, True)


def test_meta_eval_takes_items_of_their_own_where_ratings_hold_no_texts(
    items: Path, tmp_path: Path, command: Command
) -> None:
    record(items, tmp_path / "recorded")
    rows = [
        {"id": item.id, "dimension": "content", "rater": rater, "rating": (at + len(rater)) % 5}
        for at, item in enumerate(ITEMS)
        for rater in ("a", "bb")
    ]
    code, out, err = command(
        *("meta-eval", "--judgements", tmp_path / "recorded" / "run", "--items", items, "--draws", 50),
        *("--ratings", write_rows(tmp_path / "r.jsonl", rows), "--output", tmp_path / "meta"),
    )
    assert code == 0, err
    assert "    length: pearson " in out
    with pytest.raises(ConfigError, match="no judgements are given"):
        run_meta_evaluation(MetaInputs(ratings=items), MetaSettings(), output=tmp_path / "none")


def rows_of_ratings(folder: Path, items: Any = ITEMS) -> Path:
    """One line per rating, which names nothing but the item."""
    return write_rows(
        folder / "rows.jsonl",
        [
            {"id": item.id, "dimension": "content", "rater": rater, "rating": (at + len(rater)) % 5}
            for at, item in enumerate(items)
            for rater in ("a", "bb")
        ],
    )


def test_meta_eval_of_a_run_takes_texts_and_clusters_from_it(items: Path, tmp_path: Path, command: Command) -> None:
    record(items, tmp_path / "recorded")
    run, others = tmp_path / "recorded" / "run", make_items(9)[-2:]
    words = ("meta-eval", "--draws", 50, "--ratings", rows_of_ratings(tmp_path, (*ITEMS, *others)))
    code, out, err = command(*words, "--judgements", run, "--output", tmp_path / "folder")
    assert code == 0, err
    for name in ("judge: pearson ", "length: pearson ", "BLEU-4: pearson "):
        assert f"    {name}" in out
    assert "n = 16 in 8 clusters" in out
    assert "0 rated items unjudged" in out
    assert "rated items left out, none of the items: 2" in out
    # A file alone holds no texts, but its judgements name system and cluster.
    code, out, err = command(*words, "--judgements", run / "judgements.jsonl", "--output", tmp_path / "file")
    assert code == 0, err
    assert "length: " not in out
    assert "n = 16 in 8 clusters" in out
    assert "2 rated items unjudged" in out
    summary = json.loads((tmp_path / "file" / "summary.json").read_text(encoding="utf-8"))
    assert {row["system"] for row in summary["judges"][0]["systems"]} == {"good", "short"}


def test_meta_eval_of_runs_that_judged_other_texts_is_refused(items: Path, tmp_path: Path, command: Command) -> None:
    record(items, tmp_path / "one")
    changed = [{**item_to_json(item), "response": f"{item.response}。"} for item in ITEMS]
    record(write_rows(tmp_path / "changed.jsonl", changed), tmp_path / "two")
    words = (
        *("meta-eval", "--judgements", tmp_path / "one" / "run", tmp_path / "two" / "run", "--draws", 50),
        *("--ratings", rows_of_ratings(tmp_path)),
    )
    code, _, err = command(*words, "--output", tmp_path / "meta")
    assert (code, "item 'good-0' is another in" in err) == (2, True)
    assert command(*words, "--output", tmp_path / "given", "--items", items)[0] == 0


def test_meta_eval_with_judgements_that_failed_ends_with_faults(items: Path, tmp_path: Path, command: Command) -> None:
    engine = FakeJudge(answer=lambda text, _seed: "?" if "第3件事" in text else '{"content": 3}')
    record(items, tmp_path / "some", engine, make_settings(dimensions=["content"]))
    record(items, tmp_path / "all", FakeJudge(answer=lambda _text, _seed: "?"), make_settings(dimensions=["content"]))
    some, all_failed = (tmp_path / name / "run" for name in ("some", "all"))
    words = ("meta-eval", "--ratings", rated(tmp_path, by_system), "--draws", 50)
    code, out, err = command(*words, "--judgements", some, "--output", tmp_path / "one")
    assert (code, "run: 2 judgements failed, 2 rated items unjudged" in out) == (3, True), err
    code, out, err = command(*words, "--judgements", some, all_failed, "--output", tmp_path / "both")
    assert code == 3, err
    assert "some/run: 2 judgements failed" in out
    assert "all/run: 16 judgements failed, 16 rated items unjudged, 0 judgements of no item" in out
    page = (tmp_path / "both" / "report.html").read_text(encoding="utf-8")
    assert "failed judgements: no_json" in page
    code, out, err = command(*words, "--judgements", all_failed, "--output", tmp_path / "none")
    assert (code, "judge: pearson undefined (too_few_items)" in out) == (3, True), err


def test_baselines_prints_their_coefficients(tmp_path: Path, command: Command) -> None:
    ratings = rated(tmp_path, by_system)
    words = ("baselines", ratings, "--text-unit", "characters", "--draws", 50)
    code, out, err = command(*words, "--output", tmp_path / "all")
    assert code == 0, err
    assert "\nROUGE-L: 0 judgements failed" in out
    code, out, _ = command(*words, "--output", tmp_path / "less", "--leave-out-system", "short")
    assert code == 0
    assert "n = 8" in out


def test_baselines_of_ratings_without_texts_are_refused(tmp_path: Path, command: Command) -> None:
    rows = [{"id": str(at), "dimension": "tone", "rater": "a", "rating": at} for at in range(5)]
    code, _, err = command("baselines", write_rows(tmp_path / "r.jsonl", rows), "--output", tmp_path / "out")
    assert (code, "the ratings hold no texts" in err) == (2, True)


def test_report_of_one_run_of_several_and_of_evaluations_is_written(
    items: Path, tmp_path: Path, command: Command
) -> None:
    record(items, tmp_path / "one")
    record(items, tmp_path / "two", FakeJudge(name="two"))
    ratings = rated(tmp_path, by_system)
    one, two, meta = tmp_path / "one" / "run", tmp_path / "two" / "run", tmp_path / "meta"
    command("meta-eval", "--judgements", one, "--ratings", ratings, "--output", meta, "--draws", 50)
    for name, runs in (("one.html", (one,)), ("all.html", (one, two, meta))):
        code, out, err = command("report", *runs, "--output", tmp_path / name)
        assert (code, err) == (0, ""), err
        assert name in out
    assert (tmp_path / "one.html").read_text(encoding="utf-8") == (one / "report.html").read_text(encoding="utf-8")
    page = (tmp_path / "all.html").read_text(encoding="utf-8")
    for text in ("Paired differences", "Correlation with people", "one/run", "two/run: fake:two", "one/run: length"):
        assert text in page or text.split(": ")[0] in page
    code, _, err = command("report", tmp_path, "--output", tmp_path / "x.html")
    assert (code, "run.json" in err) == (2, True)
    code, _, err = command("report", one, one, "--output", tmp_path / "x.html")
    assert (code, "is given twice" in err) == (2, True)
    prefer = ("prefer", items, "--judgements", one, "--output", tmp_path / "pref")
    assert command(*prefer)[0] == 0
    code, _, err = command("report", tmp_path / "pref", "--output", tmp_path / "x.html")
    assert (code, "holds no finished run of llm-eval judge" in err) == (2, True)


def test_help_of_every_command_shows_an_example(command: Command) -> None:
    for name in ("judge", "pairwise", "prefer", "meta-eval", "baselines", "report", "check"):
        code, out, _ = command(name, "--help")
        assert code == 0
        assert f"Example: llm-eval {name}" in " ".join(out.split())


def test_help_imports_no_heavy_library() -> None:
    program = (
        "import sys; from llm_eval._cli import app; from twllm_runs import run_app; run_app(app, ['judge', '--help']); "
        "sys.exit(sorted({'numpy', 'jinja2', 'torch', 'transformers'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
