"""The command `twllm-engines`."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from twllm_types import ConfigError

if TYPE_CHECKING:
    from cyclopts import App

    from twllm_engines._ledger import UsageLedger
    from twllm_engines._probe import Finding

_SECONDS_PER_DAY = 86_400.0
_MISSING_CLI = "error: the command needs the extra cli; pip install 'twllm-engines[cli,openai]'"
_MISSING_OPENAI = "the command needs the extra openai; pip install 'twllm-engines[openai]'"
_USAGE = 2


def main() -> int:
    """Run the command line of this process and return its exit code."""
    try:
        from twllm_runs import run_app
    except ImportError:
        sys.stderr.write(f"{_MISSING_CLI}\n")
        return _USAGE
    return run_app(make_engines_app())


def make_engines_app() -> "App":
    """Return the app of the console script."""
    from cyclopts import App

    from twllm_runs import make_app

    app = make_app(
        "twllm-engines",
        package="twllm-engines",
        help="Ask what a model's server really does; look after its cache.",
    )
    cache = App(name="cache", help="Look after a cache of answers.")
    app.command(cache)
    app.command(_probe, name="probe")
    cache.command(_show, name="show")
    cache.command(_purge, name="purge")
    return app


def _probe(spec: str) -> int:
    """Ask a server what it can and print a table.

    Exits with 3 where the spec states something else than what was found; the last column says what to write.

    Example: twllm-engines probe openai:my-model@http://localhost:8000/v1

    Args:
        spec: openai:MODEL@URL, or a YAML file with engine: openai.
    """
    from twllm_engines._settings_openai import OpenAISettings
    from twllm_engines._spec import parse_spec
    from twllm_runs import ExitCode

    settings = parse_spec(spec)
    if not isinstance(settings, OpenAISettings):
        raise ConfigError(f"{spec}: probe asks servers; give openai:MODEL@URL, or a YAML file with engine: openai")
    _need_openai()
    from twllm_engines._probe import probe

    findings = probe(settings)
    _print_findings(findings, title=f"{settings.model} at {settings.base_url}")
    return ExitCode.FAULTS if any(finding.setting for finding in findings) else ExitCode.DONE


def _show(file: Path) -> None:
    """Print what a cache holds, and what its answers took.

    Example: twllm-engines cache show answers.sqlite

    Args:
        file: the cache, as the setting `cache` names it.
    """
    _need_openai()
    from twllm_engines._openai._cache import AnswerCache

    with AnswerCache(file, must_exist=True) as answers:
        summary = answers.summary()
    _say(f"{summary.num_answers} answers, {summary.num_with_request} with their request")
    for ledger in summary.ledgers:
        _print_ledger(ledger)


def _purge(file: Path, *, older_than_days: float | None = None) -> None:
    """Remove answers from a cache; the totals of tokens and cost stay.

    Example: twllm-engines cache purge answers.sqlite --older-than-days 30

    Args:
        file: the cache, as the setting `cache` names it.
        older_than_days: age of the answers that go; all without it.
    """
    if older_than_days is not None and not older_than_days >= 0:
        raise ConfigError(f"--older-than-days is {older_than_days}; give a number >= 0")
    _need_openai()
    from twllm_engines._openai._cache import AnswerCache

    before = None if older_than_days is None else time.time() - older_than_days * _SECONDS_PER_DAY
    with AnswerCache(file, must_exist=True) as answers:
        num_removed = answers.purge(before=before)
    _say(f"{num_removed} answers removed")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _need_openai() -> None:
    """Refuse to go on without the engine's library.

    Raises:
        MissingDependencyError: the extra is not installed.
    """
    from importlib.util import find_spec

    from twllm_types import MissingDependencyError

    if find_spec("h11") is None:
        raise MissingDependencyError(_MISSING_OPENAI)


def _print_findings(findings: "list[Finding]", *, title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in ("ability", "found", "detail", "write in the spec"):
        table.add_column(name, overflow="fold")
    for finding in findings:
        table.add_row(finding.name, finding.verdict.value, finding.detail, finding.setting or "")
    Console(soft_wrap=False, markup=False, highlight=False).print(table)


def _print_ledger(ledger: "UsageLedger") -> None:
    for model in ledger.models:
        cost = "no price" if model.cost is None else f"{model.cost:.4f} {ledger.currency}"
        refused = f" ({model.num_refused} of no use)" if model.num_refused else ""
        _say(
            f"{model.model}: {model.num_answers} answers{refused}, {model.num_prompt_tokens} tokens read, "
            f"{model.num_completion_tokens} written, {cost}"
        )
