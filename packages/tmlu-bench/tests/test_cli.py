import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from exam_fakes import FakeEngine, make_set

from tmlu_bench._cli import app
from tmlu_bench._contamination_run import ContaminationInputs, ContaminationSettings, run_contamination
from tmlu_bench._question_set import QuestionSet
from tmlu_bench._run import run_exam
from tmlu_bench._run_plan import ExamSettings
from tmlu_bench._sources import load_questions
from twllm_engines import RecordingEngine
from twllm_runs import open_progress, run_app

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    def run(*words: object) -> tuple[int, str, str]:
        code = run_app(app, ["--quiet", *map(str, words)])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def write_set(folder: Path, questions: QuestionSet) -> Path:
    folder.mkdir()
    for subject in questions.subjects:
        for split, rows in (("test", subject.test), ("dev", subject.dev)):
            lines = [
                {"id": row.id, "question": row.question, "answer": row.answer, "explanation": row.explanation}
                | dict(zip("ABCD", row.options, strict=True))
                for row in rows
            ]
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            (folder / f"{subject.id}_{split}.jsonl").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_set(tmp_path / "data", make_set({"AST_civics": 12, "CAP_biology": 8}))


def record(data: Path, folder: Path, engine: FakeEngine, settings: ExamSettings | None = None) -> Path:
    """Record all answers of a run, so that the command can replay them."""
    path = folder / f"{engine.name}.jsonl"
    with open_progress(quiet=True) as progress:
        run_exam(
            RecordingEngine(engine, path),
            load_questions(str(data)),
            settings or ExamSettings(),
            output=folder / f"recorded-{engine.name}",
            progress=progress,
        )
    return path


def test_run_of_a_recording_gives_the_figures_again(data: Path, tmp_path: Path, command: Command) -> None:
    recording = record(data, tmp_path, FakeEngine())
    code, out, err = command(
        "run",
        "--engine",
        f"replay:{recording}",
        "--data",
        data,
        "--output",
        tmp_path / "run",
        "--protocol",
        "tmlu-direct",
    )
    assert code == 0, err
    assert "asked: protocol tmlu-direct@1; scoring logprob by likelihood; shots 5; form raw;" in out
    assert "sample: 20 of 20 questions, all\n" in out
    assert "20 questions, 20 items" in out
    assert "expected of random answers: 25.0 %" in out
    figures = [
        json.loads((tmp_path / name / "summary.json").read_text(encoding="utf-8"))["overall"]
        for name in ("run", "recorded-fake")
    ]
    assert figures[0] == figures[1]


def test_run_with_errors_ends_with_faults_and_says_what_to_do(data: Path, tmp_path: Path, command: Command) -> None:
    recording = record(data, tmp_path, FakeEngine(fails=lambda text: "第3題：" in text.rsplit("問題：", 1)[-1]))
    words = ("run", "--engine", f"replay:{recording}", "--data", data, "--output", tmp_path / "run")
    code, out, _ = command(*words)
    assert code == 3
    assert "no headline: 2 of 20 items ended in error; run them again with --retry-errors" in out
    assert "errors: 2 context_length" in out
    code, out, _ = command(*words, "--exclude-errors")
    assert code == 3
    assert "2 questions with errors are left out by --exclude-errors" in out


def test_run_of_a_protocol_that_is_none_is_one_line(data: Path, tmp_path: Path, command: Command) -> None:
    code, _, err = command(
        "run", "--engine", "replay:none", "--data", data, "--output", tmp_path / "r", "--protocol", "x"
    )
    assert code == 2
    assert err.startswith("error: no protocol is named 'x'")
    assert err.count("\n") == 1


@pytest.fixture
def two_runs(data: Path, tmp_path: Path) -> tuple[Path, Path]:
    record(data, tmp_path, FakeEngine(name="one"))
    record(data, tmp_path, FakeEngine(name="two"))
    return tmp_path / "recorded-one", tmp_path / "recorded-two"


def test_compare_prints_pairs_and_writes_json(two_runs: tuple[Path, Path], tmp_path: Path, command: Command) -> None:
    code, out, err = command("compare", *two_runs, "--output", tmp_path / "compared.json")
    assert code == 0, err
    assert "20 questions in common; left out: 0 of recorded-one, 0 of recorded-two" in out
    assert "mcnemar, exact binomial" in out
    row = json.loads((tmp_path / "compared.json").read_text(encoding="utf-8"))
    assert row["pairs"][0]["micro"]["n"] == 20


def test_compare_of_other_protocols_is_refused_or_printed(
    data: Path, two_runs: tuple[Path, Path], tmp_path: Path, command: Command
) -> None:
    record(data, tmp_path, FakeEngine(name="zero"), ExamSettings(num_shots=0))
    words = ("compare", two_runs[0], tmp_path / "recorded-zero")
    code, _, err = command(*words)
    assert code == 2
    assert "num_shots: 5 (recorded-one), 0 (recorded-zero)" in err
    code, out, _ = command(*words, "--allow-different")
    assert code == 0
    assert "different: num_shots: 5 (recorded-one), 0 (recorded-zero)" in out


def test_report_of_one_run_and_of_several_is_written(
    two_runs: tuple[Path, Path], tmp_path: Path, command: Command
) -> None:
    for name, runs in (("one.html", two_runs[:1]), ("all.html", two_runs)):
        code, out, err = command("report", *runs, "--output", tmp_path / name)
        assert (code, err) == (0, "")
        assert name in out
    assert "fake:one" in (tmp_path / "one.html").read_text(encoding="utf-8")
    page = (tmp_path / "all.html").read_text(encoding="utf-8")
    assert "Leaderboard" in page
    assert "Paired differences" in page


def test_report_of_runs_asked_otherwise_says_so_on_the_page_and_on_the_console(
    data: Path, two_runs: tuple[Path, Path], tmp_path: Path, command: Command
) -> None:
    record(data, tmp_path, FakeEngine(name="few"), ExamSettings(num_shots=0, limit=6))
    words = ("report", two_runs[0], tmp_path / "recorded-few", "--output", tmp_path / "x.html")
    assert command(*words)[0] == 2
    code, out, err = command(*words, "--allow-different")
    assert (code, err) == (0, "")
    lines = (
        "sample: 20 of 20 questions, all (recorded-one), 6 of 20 questions, stratified by subject, seed 0 (recorded-",
        "shots: 5 (recorded-one), 0 (recorded-few)",
    )
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    for line in ("The runs were not asked alike: their scores are no ranking", *lines):
        assert line in out
        assert line in page
    assert out.startswith("asked: protocol tmlu-direct@1;")


def test_compare_of_runs_of_which_one_has_errors_only_is_one_line(
    data: Path, two_runs: tuple[Path, Path], tmp_path: Path, command: Command
) -> None:
    record(data, tmp_path, FakeEngine(name="down", fails=lambda _text: True))
    code, out, err = command("compare", two_runs[0], tmp_path / "recorded-down", "--exclude-errors")
    assert (code, out) == (2, "")
    line = err.splitlines()[-1]
    assert line.startswith("error: each of 20 common questions ended in error in some run: 0 (recorded-one), 20 (")
    assert line.endswith("so nothing is left to compare; run again with --retry-errors")


def test_compare_of_a_run_whose_items_were_shortened_is_refused(two_runs: tuple[Path, Path], command: Command) -> None:
    path = two_runs[1] / "items.jsonl"
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:7]), encoding="utf-8")
    code, _, err = command("compare", *two_runs)
    assert code == 2
    assert "items.jsonl: its 7 items are not the 20 that summary.json was made of; restore the file" in err


def test_run_takes_defaults_of_its_options_from_a_file(data: Path, tmp_path: Path, command: Command) -> None:
    config = tmp_path / "defaults.yaml"
    config.write_text("run:\n  num-shots: 2\n  subjects: [AST_civics]\n", encoding="utf-8")
    settings = ExamSettings(num_shots=2, subjects=("AST_civics",))
    recording = record(data, tmp_path, FakeEngine(), settings)
    words = ("--engine", f"replay:{recording}", "--data", data, "--output", tmp_path / "run")
    code, out, err = command("--config", config, "run", *words)
    assert code == 0, err
    assert "shots 2; form raw; order of options as given; subjects AST_civics;" in out


def test_report_of_runs_of_one_name_keeps_them_apart(data: Path, tmp_path: Path, command: Command) -> None:
    folders: list[Path] = []
    for place in ("x", "y"):
        (tmp_path / place).mkdir()
        record(data, tmp_path / place, FakeEngine())
        folders.append(tmp_path / place / "recorded-fake")
    code, out, _ = command("compare", *folders)
    assert code == 0
    assert "x/recorded-fake - y/recorded-fake: 0.0 pp, no interval" in out
    code, _, err = command("compare", folders[0], folders[0])
    assert code == 2
    assert "is given twice" in err


def test_report_of_something_else_is_refused(tmp_path: Path, command: Command) -> None:
    code, _, err = command("report", tmp_path, "--output", tmp_path / "x.html")
    assert code == 2
    assert "run.json" in err


def test_validate_counts_what_it_finds(data: Path, command: Command) -> None:
    path = data / "AST_civics_test.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines, lines[0].replace('"answer": "A"', '"answer": "E"')]) + "\n", encoding="utf-8")
    code, out, _ = command("validate", data)
    assert code == 3
    assert "AST_civics_test.jsonl:13" in out
    assert "20 questions in 2 subjects" in out


def test_validate_prints_as_many_as_asked(data: Path, command: Command) -> None:
    _, out, _ = command("validate", data, "--limit", "1")
    assert "more; see them by --limit" in out


def test_contamination_of_a_corpus_prints_no_verdict(data: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text("毫不相干的文字", encoding="utf-8")
    code, out, err = command(
        "contamination", "--data", data, "--corpus", tmp_path / "corpus", "--output", tmp_path / "seen"
    )
    assert code == 0, err
    assert "no figure is a verdict" in out
    assert "any n-gram 0.0 %" in out


def test_contamination_of_a_model_prints_every_score_beside_the_control(
    data: Path, tmp_path: Path, command: Command
) -> None:
    control = write_set(tmp_path / "control", make_set({"new": 5}))
    found = tmp_path / "contamination.jsonl"
    found.write_text('{"schema_version": 1, "benchmark": "tmlu", "item": "1", "outcome": "found"}\n', encoding="utf-8")
    engine = FakeEngine(fails=lambda text: text.startswith("第3題"))
    recording = tmp_path / "texts.jsonl"
    with open_progress(quiet=True) as progress:
        run_contamination(
            ContaminationInputs(
                questions=load_questions(str(data)),
                control=load_questions(str(control)),
                engine=RecordingEngine(engine, recording),
            ),
            ContaminationSettings(num_orders=2),
            output=tmp_path / "recorded",
            progress=progress,
        )
    code, out, err = command(
        *("contamination", "--data", data, "--control", control, "--engine", f"replay:{recording}"),
        *("--output", tmp_path / "seen", "--num-orders", 2, "--tw-corpus", found),
    )
    assert code == 3, err
    assert "min_k_20: " in out
    assert "; control " in out
    assert "; AUC " in out
    assert "order of options, questions: own order likeliest" in out
    assert "tw-corpus, tmlu: 0 clean, 1 found, 0 too_short" in out
    assert "9 texts could not be scored" in out


def test_help_of_every_command_shows_an_example(command: Command) -> None:
    for name in ("run", "validate", "compare", "report", "contamination"):
        code, out, _ = command(name, "--help")
        assert code == 0
        assert f"Example: tmlu-bench {name}" in " ".join(out.split())
