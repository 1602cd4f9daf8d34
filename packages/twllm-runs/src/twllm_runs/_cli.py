"""The shell of every command: global flags, exit codes, errors as one line, stops that leave a run to continue."""

import os
import select
import signal
import sys
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO, cast
from unicodedata import category

from twllm_types import ArtifactError, ConfigError, DataError, MissingDependencyError, TwllmError

if TYPE_CHECKING:
    from types import FrameType

    from cyclopts import App

_CONTINUES = "stopped; the same command continues"
# Controls, format characters (a reversed direction among them), halves of surrogate pairs, line separators.
_UNPRINTED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_USAGE_ERRORS = (ConfigError, DataError, ArtifactError, MissingDependencyError)


class ExitCode(IntEnum):
    """What a command ended with; stops by signal give 130 (SIGINT), 143 (SIGTERM) and 141 (closed pipe)."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    FAULTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CliContext:
    """The global flags of the running command, which asks for them by `current_cli()`.

    Attributes:
        quiet: no progress but a closing line; pass it to `open_progress`.
        debug: errors show their traceback.
    """

    quiet: bool = False
    debug: bool = False


# A context variable, not a module global: a second command in the same process (tests, services) has its own.
# The shared default is frozen, so nobody can change it for others.
_context: ContextVar[CliContext] = ContextVar("twllm_cli", default=CliContext())  # noqa: B039


def current_cli() -> CliContext:
    """Return the flags of the command that `run_app` is running; all off outside of one."""
    return _context.get()


# `help` is the word that cyclopts and every command line use for it.
def make_app(name: str, *, package: str, help: str, examples: Sequence[str] = ()) -> "App":  # noqa: A002
    """Make the app of one console script, with --version and the global flags --debug, --quiet and --config.

    Register commands by `@app.command` (or one `@app.default`); a command is a typed function that returns an
    `ExitCode`, or None for DONE. Run the app by `run_app` only: called by itself it knows no global flag.

    Args:
        name: of the script.
        package: the distribution whose version --version prints.
        help: what the script is for, one or two sentences.
        examples: command lines shown below every help page.
    """
    from cyclopts import App, Group, Parameter
    from cyclopts.config import Dict

    flags = Group("Global options", sort_key=1)
    app = App(
        name=name,
        help=help,
        help_epilogue="\n".join(("Examples:", *(f"  {line}" for line in examples))) if examples else None,
        help_format="plaintext",
        version=lambda: _version(package),
        default_parameter=Parameter(negative_iterable=()),
        result_action="return_value",
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
    )

    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        debug: Annotated[bool, Parameter(negative="", group=flags, help="Show the traceback of an error.")] = False,
        quiet: Annotated[bool, Parameter(negative="", group=flags, help="For logs: no progress.")] = False,
        config: Annotated[
            Path | None, Parameter(group=flags, help="YAML file with defaults for options, by command.")
        ] = None,
    ) -> object:
        _context.set(CliContext(quiet=quiet, debug=debug))
        app.config = () if config is None else (Dict(_read_config(config, app), source=str(config)),)
        return cast("object", app(tokens))

    app.meta.default(launch)
    # The meta app inherits the other choices, not this one; without it cyclopts exits before `run_app` can speak.
    app.meta.suppress_keyboard_interrupt = False
    return app


def run_app(app: "App", argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; the body of a console script's `main`.

    Errors become one line on stderr, `error: ...` (ConfigErrors of a recipe one line per problem), made printable:
    wrong usage, ConfigError, DataError, ArtifactError and MissingDependencyError give 2; every other TwllmError and
    OSError give 1; any other exception gives 1 and says that it is a bug. SIGINT and SIGTERM unwind the command, so
    that files are closed, and give 130 and 143; a second SIGTERM kills. A reader that closes stdout early
    (`... | head`) ends the command quietly with 141, also where rich writes to it.

    Args:
        app: made by `make_app`.
        argv: the words after the script's name; None for those of the process.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    token = _context.set(CliContext())
    # A library may swallow what the handler raises and raise a plain KeyboardInterrupt (Ray's calls into C++ do).
    was_terminated = Event()
    try:
        with _sigterm_unwinds(was_terminated):
            result = cast("object", app.meta(words))
            sys.stdout.flush()
            return _code_of(result)
    # The boundary of the process: every way out becomes an exit code here.
    except BaseException as error:  # noqa: BLE001
        return _report(error, current_cli(), was_terminated=was_terminated.is_set())
    finally:
        _context.reset(token)


def printable_line(line: str) -> str:
    r"""Return a line for a terminal: control and format characters become escapes such as `\x1b`, all others stay.

    Names come from files of others: one of them could move the cursor, colour the terminal or turn a line around.
    """
    if line.isprintable():
        return line
    return "".join(
        character.encode("unicode_escape").decode("ascii") if category(character) in _UNPRINTED else character
        for character in line
    )


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


def _read_config(path: Path, app: "App") -> dict[str, Any]:
    """Read defaults for options, by the rules of recipes; cyclopts ignores sections of unknown commands, we do not."""
    from twllm_runs._recipe import read_text
    from twllm_runs._yaml import parse_yaml

    tree = parse_yaml(read_text(path), source=str(path))
    value = {} if tree.value is None else tree.value
    if not isinstance(value, dict):
        raise ConfigError(f"{path}:1: is no mapping; write 'command:' and below it 'option: value'")
    known = [name for name in app if not name.startswith("-")]
    for key in value if app.default_command is None else ():
        if key not in known:
            close = get_close_matches(key, known, n=1)
            fix = f"did you mean {close[0]!r}?" if close else f"commands are {', '.join(known)}"
            raise ConfigError(f"{path}:{tree.lines[(key,)]}: {key!r} is not a command; {fix}")
    return value


def _code_of(result: object) -> int:
    if result is None:
        return ExitCode.DONE
    if isinstance(result, int):
        return int(result)
    raise TypeError(f"a command returned {type(result).__name__}; it returns an ExitCode or None")


def _report(error: BaseException, context: CliContext, *, was_terminated: bool) -> int:
    """Say on stderr what ended the command and return its exit code."""
    from cyclopts.exceptions import CycloptsError

    if _is_rich_broken_pipe(error):
        return 128 + signal.SIGPIPE
    if isinstance(error, SystemExit):
        return _system_exit_code(error)
    if isinstance(error, BrokenPipeError) and _is_broken(sys.stdout):
        _discard(sys.stdout)
        return 128 + signal.SIGPIPE
    if context.debug:
        _say("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, KeyboardInterrupt):
        _say(_CONTINUES)
        return 128 + (signal.SIGTERM if was_terminated else signal.SIGINT)
    if isinstance(error, CycloptsError | TwllmError | OSError):
        _say("\n".join(f"error: {line}" for line in _message(error).split("\n")))
        return ExitCode.USAGE if isinstance(error, (CycloptsError, *_USAGE_ERRORS)) else ExitCode.FAILED
    _say(f"error: {type(error).__name__}: {_message(error)}; this is a bug; run again with --debug")
    return ExitCode.FAILED


def _is_rich_broken_pipe(error: BaseException) -> bool:
    """Tell whether a console of rich found its reader gone.

    `Console.on_broken_pipe` then discards stdout and raises SystemExit(1) while it handles the BrokenPipeError. That
    is undone here and not in a console of ours, so that every console of every library ends a command alike.
    """
    return isinstance(error, SystemExit) and error.code == 1 and isinstance(error.__context__, BrokenPipeError)


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and not isinstance(error, TwllmError):
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error).strip() or type(error).__name__


def _system_exit_code(error: SystemExit) -> int:
    if isinstance(error.code, str):
        _say(error.code)
        return ExitCode.FAILED
    return ExitCode.DONE if error.code is None else error.code


def _say(text: str) -> None:
    shown = "\n".join(printable_line(line) for line in text.split("\n"))
    # Nobody reads a closed stderr; the exit code still speaks.
    with suppress(OSError):
        # This is the command line's own voice, not a forgotten trace.
        print(shown, file=sys.stderr, flush=True)  # noqa: T201


def _is_broken(stream: TextIO) -> bool:
    """Tell whether the reader of `stream` has gone: a broken pipe elsewhere is an error like others."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):
        return False


def _discard(stream: TextIO) -> None:
    """Let what is still buffered go nowhere, so that the interpreter's last flush does not complain."""
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, stream.fileno())
    os.close(null)


@contextmanager
def _sigterm_unwinds(was_terminated: Event) -> Generator[None]:
    """Turn SIGTERM into the keyboard's interrupt inside the block, and note it; only the main thread can."""
    owner = os.getpid()

    def unwind(_number: int, _frame: "FrameType | None") -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getpid() != owner:
            # A forked worker has no command to unwind; it ends as its pool expects.
            os.kill(os.getpid(), signal.SIGTERM)
        was_terminated.set()
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, unwind)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
