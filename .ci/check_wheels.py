"""Install each wheel of the workspace alone in a clean environment, import it, and run its commands.

Usage: python .ci/check_wheels.py DIST
"""

import email
import json
import subprocess
import sys
import tempfile
import zipfile
from configparser import ConfigParser
from pathlib import Path

# a first real use of each command, beyond --help: what a missing dependency would break
FIRST_USES = {
    "icda": (
        "run",
        "icda.yaml",
        "--file",
        "seeds=seeds.csv",
        "test=test.csv",
        "pool=pool.csv",
        "--output",
        "out",
    ),
    "llm-eval": ("baselines", "ratings.jsonl", "--output", "out"),
    "step-kto": ("validate", "solutions.jsonl"),
    "taiwan-llm": ("quickstart", "--output", "out"),
    "tmlu-bench": ("validate", "exam"),
    "tw-corpus": ("curate", "page.html", "--output", "out"),
}
# commands whose first use needs more than the wheel alone
HELP_ONLY = {"twllm-bench", "twllm-engines"}
# commands that live in an extra
EXTRAS = {"twllm-engines": "cli"}
QUESTION = {
    "id": "1",
    "question": "一加一等於多少？",
    "A": "一",
    "B": "二",
    "answer": "B",
    "explanation": "一加一等於二。",
}
RATINGS = [
    {
        "id": str(number),
        "context": [["user", f"第{number}句話"]],
        "response": "好" * number,
        "references": ["好的"],
        "human": {"relevance": [number % 5, 3]},
        "scale": {"relevance": [0, 5]},
    }
    for number in range(1, 7)
]
SOLUTIONS = [
    {"prompt": "1 + 1?", "completions": ["1 + 1 = 2\n", "\\boxed{2}"], "labels": [True, True], "outcome": True},
    {"prompt": "1 + 2?", "completions": ["1 + 2 = 4\n", "\\boxed{4}"], "labels": [False, False], "outcome": False},
]
INTENTS_RECIPE = "data:\n  seeds: seeds\n  test: test\n  candidates: pool\n"
INTENTS = {
    "seeds": ("what is my balance,balance", "show my balance,balance", "where is my card,card", "my card is late,card"),
    "test": ("tell me the balance,balance", "my card is missing,card"),
    "pool": ("balance of my account,balance", "when does my card arrive,card"),
}
PAGE = "<html><head><title>測試</title></head><body><p>早上的市場很熱鬧，賣菜的阿姨一邊招呼一邊算錢。</p></body>"


def wheel_metadata(wheel: Path) -> tuple[str, list[str], list[str]]:
    """Return (distribution name, import names, console scripts) of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        info = next(name.split("/")[0] for name in names if name.split("/")[0].endswith(".dist-info"))
        metadata = email.message_from_bytes(archive.read(f"{info}/METADATA"))
        scripts = ConfigParser()
        if f"{info}/entry_points.txt" in names:
            scripts.read_string(archive.read(f"{info}/entry_points.txt").decode())
    imports = sorted({name.split("/")[0] for name in names if name.endswith("/__init__.py") and name.count("/") == 1})
    commands = list(scripts["console_scripts"]) if scripts.has_section("console_scripts") else []
    return str(metadata["Name"]), imports, commands


def check(wheel: Path, dist: Path) -> None:
    """Install one wheel with only its declared dependencies and try it."""
    name, imports, commands = wheel_metadata(wheel)
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder)
        python = environment / "bin" / "python"
        run("uv", "venv", "--quiet", "--python", sys.executable, folder)
        what = f"{name}[{EXTRAS[name]}] @ {wheel.resolve().as_uri()}" if name in EXTRAS else str(wheel)
        run("uv", "pip", "install", "--quiet", "--python", str(python), "--find-links", str(dist), what)
        run("uv", "pip", "check", "--quiet", "--python", str(python))
        for module in imports:
            run(str(python), "-I", "-c", f"import {module}; assert {module}.__all__")
        (environment / "page.html").write_text(PAGE, encoding="utf-8")
        (environment / "exam").mkdir()
        (environment / "exam" / "sums_test.jsonl").write_text(json.dumps(QUESTION) + "\n", encoding="utf-8")
        (environment / "ratings.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in RATINGS), encoding="utf-8")
        (environment / "solutions.jsonl").write_text(
            "".join(f"{json.dumps(row)}\n" for row in SOLUTIONS), encoding="utf-8"
        )
        (environment / "icda.yaml").write_text(INTENTS_RECIPE, encoding="utf-8")
        for file, rows in INTENTS.items():
            (environment / f"{file}.csv").write_text("\n".join(("text,intent", *rows, "")), encoding="utf-8")
        for command in commands:
            run(str(environment / "bin" / command), "--help")
            if command in HELP_ONLY:
                continue
            run(str(environment / "bin" / command), *FIRST_USES[command], folder=environment)
    print(f"{name}: installs alone; imports {', '.join(imports)}; runs {', '.join(commands) or 'no command'}")


def run(*command: str, folder: Path | None = None) -> None:
    """Run a command; on failure print what it wrote and stop."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        sys.exit(f"failed: {' '.join(command)}\n{done.stdout}{done.stderr}")


def main() -> None:
    """Check every wheel in the folder that the command line names."""
    dist = Path(sys.argv[1])
    wheels = sorted(dist.glob("*.whl"))
    if not wheels:
        sys.exit(f"no wheel in {dist}")
    for wheel in wheels:
        check(wheel, dist)


if __name__ == "__main__":
    main()
