"""How a run is kept and shown: folders, locks, atomic writes, manifests, recipes, command line, progress.

Reports and statistics are subpackages, `twllm_runs.report` and `twllm_runs.statistics`: they need jinja2 and numpy,
which the --help of a command does not.
"""

from twllm_runs._atomic import open_atomic, remove_temporaries, write_json_atomic, write_text_atomic
from twllm_runs._cli import CliContext, ExitCode, current_cli, make_app, printable_line, run_app
from twllm_runs._folder import Run, RunState, open_run
from twllm_runs._items import ItemFile, blocks, check_sha256, to_ask, write_jsonl
from twllm_runs._jsonl import JsonlAppender, parse_json_line, read_jsonl, unique_keys
from twllm_runs._lock import run_lock
from twllm_runs._manifest import (
    describe_inputs,
    git_state,
    hardware,
    hash_file,
    installed_versions,
    manifest_from_json,
    manifest_to_json,
)
from twllm_runs._progress import Progress, ProgressTask, open_progress
from twllm_runs._recipe import load_recipe, parse_recipe, recipe_to_json
from twllm_runs._stored import RUN_SCHEMA_VERSION, StoredRun, StoredState, read_run

__all__ = [
    "RUN_SCHEMA_VERSION",
    "CliContext",
    "ExitCode",
    "ItemFile",
    "JsonlAppender",
    "Progress",
    "ProgressTask",
    "Run",
    "RunState",
    "StoredRun",
    "StoredState",
    "blocks",
    "check_sha256",
    "current_cli",
    "describe_inputs",
    "git_state",
    "hardware",
    "hash_file",
    "installed_versions",
    "load_recipe",
    "make_app",
    "manifest_from_json",
    "manifest_to_json",
    "open_atomic",
    "open_progress",
    "open_run",
    "parse_json_line",
    "parse_recipe",
    "printable_line",
    "read_jsonl",
    "read_run",
    "recipe_to_json",
    "remove_temporaries",
    "run_app",
    "run_lock",
    "to_ask",
    "unique_keys",
    "write_json_atomic",
    "write_jsonl",
    "write_text_atomic",
]
