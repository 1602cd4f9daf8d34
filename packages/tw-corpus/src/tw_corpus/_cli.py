"""The command `tw-corpus`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from tw_corpus import _cli_prefetch, _cli_variant
from twllm_runs import ExitCode, make_app, run_app

app = make_app("tw-corpus", package="tw-corpus", help="Curate Taiwanese Mandarin (Traditional Chinese) text.")


@app.command
def curate(
    inputs: list[Path],
    *,
    output: Path,
    recipe: str = "web",
    workers: int = 1,
    decontaminate: Annotated[list[Path] | None, Parameter(consume_multiple=(1, None))] = None,
    executor: Literal["local", "ray", "slurm"] = "local",
) -> ExitCode:
    """Curate files and folders into shards.

    Reads JSONL, Parquet, plain text, HTML and WARC. Killed at any moment, the same command goes on.

    Example: tw-corpus curate pages/*.warc.gz --output clean --recipe web

    Args:
        inputs: files and folders to read.
        output: folder to write; a finished run of other parameters is never overwritten.
        recipe: name of a shipped recipe (web, forum, law, news, book) or a YAML file.
        workers: most tasks at once; they change the speed, never the result.
        decontaminate: benchmark files or folders; documents that hold one of their questions are left out. It takes
            all words up to the next option, so inputs stand before it, or behind `--`.
        executor: where tasks run: processes here, a Ray cluster, or array jobs of Slurm; settings stand in the recipe.
    """
    from rich.console import Console

    from tw_corpus.curation import ExecutorName, curate, load_curation_recipe, show_curation
    from twllm_runs import current_cli, open_progress

    chosen = load_curation_recipe(recipe)
    with open_progress(quiet=current_cli().quiet) as progress:
        curation = curate(
            inputs,
            output=output,
            recipe=chosen,
            workers=workers,
            progress=progress,
            decontaminate=decontaminate or (),
            executor=ExecutorName(executor),
        )
    show_curation(Console(), curation)
    return ExitCode.FAULTS if curation.num_faults else ExitCode.DONE


@app.command
def inspect(output: Path, *, reason: str | None = None, limit: int = 10, max_chars: int = 400) -> None:
    """Show rejected documents and what decided; without a reason also how many there are of each.

    Example: tw-corpus inspect clean --reason min_han_chars

    Args:
        output: folder that `tw-corpus curate` wrote.
        reason: only documents rejected for this reason.
        limit: most documents to show.
        max_chars: most characters of each text.
    """
    from rich.console import Console

    from tw_corpus.curation import show_rejected

    show_rejected(Console(), output, reason=reason, limit=limit, max_chars=max_chars)


@app.command
def redact(
    file: Path,
    *,
    output: Path,
    mode: Literal["mask", "pseudonymise", "tag"] = "mask",
    key_file: Path | None = None,
    text_fields: Annotated[list[str] | None, Parameter(consume_multiple=(1, None))] = None,
) -> ExitCode:
    """Mask, replace or tag Taiwanese personal data in a file of JSON lines or text.

    Example: tw-corpus redact letters.jsonl --output clean.jsonl

    Args:
        file: .jsonl, .ndjson or .txt, also .gz and .zst.
        output: file to write; plain, complete or not there.
        mode: mask puts placeholders; pseudonymise puts invented values, the same for the same value under one key; tag
            leaves the text and adds a field `pii`.
        key_file: file of at least 16 random bytes, for pseudonymise.
        text_fields: fields that hold text; `text` where none is given.
    """
    from rich.console import Console

    from tw_corpus.curation import read_key, redact_file, show_redaction

    key = read_key(key_file) if key_file else None
    counts = redact_file(file, output, mode=mode, key=key, text_fields=tuple(text_fields or ("text",)))
    show_redaction(Console(), counts)
    return ExitCode.FAULTS if counts.num_faults else ExitCode.DONE


_cli_prefetch.register(app)
_cli_variant.register(app)


def main() -> None:
    """Run the command line."""
    sys.exit(run_app(app))
