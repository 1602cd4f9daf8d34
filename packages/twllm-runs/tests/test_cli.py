import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from threading import Thread

import pytest
from cyclopts import App
from hypothesis import given
from hypothesis import strategies as st

from twllm_runs import CliContext, ExitCode, current_cli, make_app, printable_line, run_app
from twllm_types import ArtifactError, ConfigError, DataError, EngineError, MissingDependencyError, RunError

PROGRAM = """
import os, signal, sys
from pathlib import Path
from twllm_runs import ExitCode, current_cli, make_app, open_run, run_app
from twllm_types import ConfigError, RunError

# a test run in the background of a shell ignores SIGINT, and so would this process
signal.signal(signal.SIGINT, signal.default_int_handler)
app = make_app("demo", package="twllm-runs", help="A demonstration.", examples=["demo count --workers 2"])

@app.command
def count(*, workers: int = 1) -> ExitCode:
    '''Count.'''
    print(workers, current_cli().quiet)
    return ExitCode.FAULTS if workers == 3 else ExitCode.DONE

@app.command
def wait(*, output: Path) -> None:
    '''Wait for a signal.'''
    with open_run(output, command="demo wait", parameters={}):
        print("ready", flush=True)
        signal.pause()

@app.command
def fork() -> None:
    '''End a forked worker by SIGTERM.'''
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

@app.command
def flood() -> None:
    '''Print until nobody listens.'''
    while True:
        print("x" * 1000)

@app.command
def table(*, stderr: bool = False) -> None:
    '''Print through rich until nobody listens.'''
    from rich.console import Console
    console = Console(stderr=stderr)
    while True:
        console.print("x" * 1000)

@app.command
def fail(kind: str) -> None:
    '''Fail.'''
    raise {"config": ConfigError, "run": RunError, "bug": ZeroDivisionError}[kind]("what to do")

sys.exit(run_app(app))
"""


def demo(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], check=False, capture_output=True, text=True, timeout=60
    )


def app_of(command: Callable[..., object]) -> App:
    app = make_app("demo", package="twllm-runs", help="A demonstration.")
    app.command(command, name="go")
    return app


def raising(error: BaseException) -> App:
    def go() -> None:
        raise error

    return app_of(go)


def test_demo_in_a_real_process_gives_the_promised_exit_codes() -> None:
    outcomes = {
        ("count",): (0, "1 False\n", ""),
        ("count", "--workers", "3", "--quiet"): (3, "3 True\n", ""),
        ("fail", "config"): (2, "", "error: what to do\n"),
        ("fail", "run"): (1, "", "error: what to do\n"),
        ("fail", "bug"): (
            1,
            "",
            "error: ZeroDivisionError: what to do; this is a bug; run again with --debug\n",
        ),
        ("fork",): (0, f"{-signal.SIGTERM}\n", ""),
    }
    for words, expected in outcomes.items():
        done = demo(*words)
        assert (done.returncode, done.stdout, done.stderr) == expected, words


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_demo_signal_unwinds_and_the_same_command_continues(tmp_path: Path, number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-c", PROGRAM, "wait", "--output", str(tmp_path)]
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            _, stderr = process.communicate(timeout=60)
        assert process.returncode == code
        assert stderr == "stopped; the same command continues\n"
    assert '"state": "running"' in (tmp_path / "run.json").read_text(encoding="utf-8")


# rich turns a broken pipe into SystemExit(1); print does not.
@pytest.mark.parametrize("command", ["flood", "table"])
def test_demo_reader_that_leaves_ends_the_command_quietly(command: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_demo_reader_that_leaves_stderr_to_rich_ends_the_command() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "table", "--stderr"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.stderr.close()
    assert process.returncode == 141


def test_run_app_exit_with_a_code_of_its_own_after_a_broken_pipe_keeps_it() -> None:
    def go() -> None:
        reader, writer = os.pipe()
        os.close(reader)
        try:
            os.write(writer, b"x")
        except BrokenPipeError:
            sys.exit(3)
        finally:
            os.close(writer)

    assert run_app(app_of(go), ["go"]) == 3


def test_demo_help_imports_nothing_heavy() -> None:
    program = PROGRAM.replace(
        "sys.exit(run_app(app))",
        "run_app(app)\nprint(sorted({'numpy', 'pydantic', 'yaml', 'jinja2', 'asyncio'} & sys.modules.keys()))",
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "count", "--help"], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("a.yaml:1: bad\na.yaml:2: worse"), 2, "error: a.yaml:1: bad\nerror: a.yaml:2: worse"),
        (DataError("x"), 2, "error: x"),
        (ArtifactError("x"), 2, "error: x"),
        (MissingDependencyError("x"), 2, "error: x"),
        (RunError("x"), 1, "error: x"),
        (EngineError("x"), 1, "error: x"),
        (FileNotFoundError(2, "No such file or directory", "a.txt"), 1, "error: a.txt: No such file or directory"),
        (OSError(5, "Input/output error"), 1, "error: Input/output error"),
        (OSError("plain"), 1, "error: plain"),
        (BrokenPipeError(32, "Broken pipe"), 1, "error: Broken pipe"),
        (KeyError(), 1, "error: KeyError: KeyError; this is a bug; run again with --debug"),
        (SystemExit(), 0, ""),
        (SystemExit(7), 7, ""),
        (SystemExit("bye"), 1, "bye"),
        (KeyboardInterrupt(), 130, "stopped; the same command continues"),
    ],
)
def test_run_app_error_becomes_code_and_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str
) -> None:
    assert run_app(raising(error), ["go"]) == code
    assert capsys.readouterr().err.rstrip("\n") == line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DataError("item \x1b[31m臺灣\x07: bad"), r"error: item \x1b[31m臺灣\x07: bad"),
        (ConfigError("a\x9b2J\u202eb\u2028c\r\nd\te"), "error: a\\x9b2J\\u202eb\\u2028c\\r\nerror: d\\te"),
        (FileNotFoundError(2, "No such file", "\x1b]0;夜市\x07.txt"), r"error: \x1b]0;夜市\x07.txt: No such file"),
        (RunError("half \ud800 of a pair"), r"error: half \ud800 of a pair"),
        (SystemExit("by\x1be"), r"by\x1be"),
    ],
    ids=["data", "config", "system", "surrogate", "exit"],
)
@pytest.mark.parametrize("flags", [[], ["--debug"]], ids=["plain", "debug"])
def test_run_app_error_with_control_characters_prints_them_as_escapes(
    capsys: pytest.CaptureFixture[str], error: BaseException, line: str, flags: list[str]
) -> None:
    assert run_app(raising(error), ["go", *flags]) != 0
    err = capsys.readouterr().err
    assert err.rstrip("\n").endswith(line)
    assert all(character.isprintable() for character in err.replace("\n", ""))


def test_run_app_wrong_usage_with_control_characters_prints_them_as_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app_of(lambda: None), ["g\x1b[2J夜"]) == ExitCode.USAGE
    assert r"g\x1b[2J夜" in capsys.readouterr().err


@given(text=st.text(alphabet=st.characters() | st.sampled_from("\x1b\x07\u202e\u2028")))
def test_printable_line_shows_what_is_printable_and_escapes_the_rest(text: str) -> None:
    shown = printable_line(text)
    assert not {"\x1b", "\x07", "\u202e", "\u2028", "\n", "\r"} & set(shown)
    kept = "".join(character for character in text if character.isprintable())
    assert printable_line(kept) == kept
    wide = [[one for one in line if one.isprintable() and not one.isascii()] for line in (text, shown)]
    assert wide[0] == wide[1]


def test_run_app_debug_shows_the_traceback_before_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(raising(RunError("what to do")), ["go", "--debug"]) == ExitCode.FAILED
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "error: what to do"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["og"], "error: Unknown command"),
        (["go", "--workrs", "2"], "Did you mean --workers?"),
        (["go", "--workers", "two"], 'unable to convert "two" into int'),
        (["go", "--config"], "--config"),
    ],
)
def test_run_app_wrong_usage_is_two(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    seen: list[int] = []

    def go(*, workers: int = 1) -> None:
        seen.append(workers)

    assert run_app(app_of(go), words) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
    assert seen == []


def test_run_app_flags_reach_the_command_and_end_with_it() -> None:
    seen: list[CliContext] = []

    def go() -> None:
        seen.append(current_cli())

    app = app_of(go)
    assert run_app(app, ["--quiet", "go", "--debug"]) == ExitCode.DONE
    assert run_app(app, ["go"]) == ExitCode.DONE
    assert seen == [CliContext(quiet=True, debug=True), CliContext()]
    assert current_cli() == CliContext()


def test_run_app_takes_the_words_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["demo", "go"])
    assert run_app(app_of(lambda: ExitCode.FAULTS)) == ExitCode.FAULTS


def test_run_app_command_that_returns_something_else_is_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app_of(lambda: "text"), ["go"]) == ExitCode.FAILED
    assert "a command returned str; it returns an ExitCode or None; this is a bug" in capsys.readouterr().err


def test_run_app_outside_of_the_main_thread_works() -> None:
    codes: list[int] = []
    thread = Thread(target=lambda: codes.append(run_app(app_of(lambda: None), ["go"])))
    thread.start()
    thread.join()
    assert codes == [0]


def test_run_app_puts_the_sigterm_handler_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    inside: list[object] = []
    assert run_app(app_of(lambda: inside.append(signal.getsignal(signal.SIGTERM))), ["go"]) == 0
    assert inside != [before]
    assert signal.getsignal(signal.SIGTERM) == before


def test_run_app_sigterm_in_process_gives_143(capsys: pytest.CaptureFixture[str]) -> None:
    def go() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    assert run_app(app_of(go), ["go"]) == 143
    assert capsys.readouterr().err == "stopped; the same command continues\n"


def test_run_app_config_gives_defaults_that_the_command_line_overrides(
    tmp_path: Path,
) -> None:
    seen: list[tuple[int, float]] = []

    def go(*, workers: int = 1, rate: float = 0.5) -> None:
        seen.append((workers, rate))

    config = tmp_path / "c.yaml"
    config.write_text("go: {workers: 4, rate: 1e-3}\n", encoding="utf-8")
    app = app_of(go)
    assert run_app(app, ["go", "--config", str(config)]) == 0
    assert run_app(app, ["go", "--config", str(config), "--workers", "5"]) == 0
    config.write_text("", encoding="utf-8")
    assert run_app(app, ["go", "--config", str(config)]) == 0
    assert run_app(app, ["go"]) == 0
    assert seen == [(4, 0.001), (5, 0.001), (1, 0.5), (1, 0.5)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("go: {workrs: 4}", 'Unknown option: "[workrs]"'),
        ("a: 1", "c.yaml:1: 'a' is not a command; commands are go"),
        ("\ngoo: {workers: 4}", "c.yaml:2: 'goo' is not a command; did you mean 'go'?"),
        ("[1]", "c.yaml:1: is no mapping"),
        ("go: {a: 1, a: 2}", "c.yaml:1: key 'a' stands twice"),
        ("go: 3", "must be a mapping"),
    ],
)
def test_run_app_bad_config_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    seen: list[int] = []

    def go(*, workers: int = 1) -> None:
        seen.append(workers)

    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    assert run_app(app_of(go), ["go", "--config", str(tmp_path / "c.yaml")]) == ExitCode.USAGE
    assert message in capsys.readouterr().err
    assert seen == []


def test_run_app_config_of_an_app_without_commands_holds_options(
    tmp_path: Path,
) -> None:
    seen: list[int] = []
    app = make_app("demo", package="twllm-runs", help="A demonstration.")

    def only(*, workers: int = 1) -> None:
        seen.append(workers)

    app.default(only)
    (tmp_path / "c.yaml").write_text("workers: 6", encoding="utf-8")
    assert run_app(app, ["--config", str(tmp_path / "c.yaml")]) == 0
    assert seen == [6]


def test_run_app_version_and_help_show_version_flags_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    app = make_app("demo", package="twllm-runs", help="A demonstration.", examples=["demo go a/*.gz b/*.gz"])
    app.command(lambda: None, name="go")
    assert run_app(app, ["--version"]) == 0
    assert capsys.readouterr().out == f"{version('twllm-runs')}\n"
    for words in (["--help"], ["go", "--help"], []):
        assert run_app(app, words) == 0
        shown = capsys.readouterr().out
        for part in ("--debug", "--quiet", "--config", "Examples:", "demo go a/*.gz b/*.gz"):
            assert part in shown


def test_run_app_sigterm_swallowed_by_a_library_gives_143(capsys: pytest.CaptureFixture[str]) -> None:
    def go() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            # as calls into C++ do that only learn that they were interrupted
            raise KeyboardInterrupt from None

    assert run_app(app_of(go), ["go"]) == 143
    assert capsys.readouterr().err == "stopped; the same command continues\n"
