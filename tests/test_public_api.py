"""What every package shows to the world."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob("*/*/src/*/__init__.py"))
NAMES = [path.name for path in PACKAGES]
# each with the subcommand that a newcomer calls first
COMMANDS = {
    "icda": "generate",
    "llm-eval": "judge",
    "step-kto": "sample",
    "taiwan-llm": "quickstart",
    "tmlu-bench": "run",
    "tw-corpus": "curate",
    "twllm-bench": "run",
    "twllm-engines": "probe",
}


def test_packages_are_found() -> None:
    assert {
        "icda",
        "llm_eval",
        "step_kto",
        "tmlu_bench",
        "tw_corpus",
        "twllm_engines",
        "twllm_pipeline",
        "twllm_runs",
        "twllm_types",
    } <= set(NAMES)


@pytest.mark.parametrize("package", PACKAGES, ids=NAMES)
def test_init_holds_a_docstring_imports_and_an_all_that_is_complete(package: Path) -> None:
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    imported = {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    kinds = {type(node) for node in tree.body[1:]}
    assert kinds <= {ast.Import, ast.ImportFrom, ast.Assign}
    module = importlib.import_module(package.name)
    assert set(module.__all__) == imported
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", PACKAGES, ids=NAMES)
def test_public_names_carry_docstrings(package: Path) -> None:
    module = importlib.import_module(package.name)
    public = [getattr(module, name) for name in module.__all__]
    bare = [item.__name__ for item in public if hasattr(item, "__name__") and not (item.__doc__ or "").strip()]
    assert bare == []


@pytest.mark.parametrize("package", PACKAGES, ids=NAMES)
def test_package_is_marked_as_typed(package: Path) -> None:
    assert (package / "py.typed").is_file()


@pytest.mark.parametrize(
    ("package", "heavy"),
    [
        ("icda", ("jinja2", "numpy", "sklearn", "torch")),
        ("llm_eval", ("jinja2", "numpy", "torch")),
        ("step_kto", ("accelerate", "datasets", "jinja2", "torch", "transformers")),
        ("twllm_types", ("numpy", "pydantic")),
        ("twllm_runs", ("numpy", "jinja2", "torch")),
        ("tw_corpus", ("datatrove", "pyarrow", "torch", "trafilatura", "huggingface_hub")),
        ("tmlu_bench", ("datasets", "numpy", "pyarrow", "torch")),
        ("twllm_engines", ("h11", "pydantic", "torch", "transformers", "twllm_runs", "yaml")),
        ("twllm_pipeline", ("datatrove", "pyarrow", "torch")),
    ],
)
def test_import_stays_light(package: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {package}; print([name for name in {heavy!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_command_help_shows_its_subcommands_and_an_example(command: str) -> None:
    executable = Path(sys.executable).parent / command
    shown = subprocess.run([executable, "--help"], capture_output=True, text=True, check=True).stdout
    assert "Commands" in shown
    sub = COMMANDS[command]
    assert sub in shown
    detail = subprocess.run([executable, sub, "--help"], capture_output=True, text=True, check=True).stdout
    assert f"Example: {command} {sub}" in detail
