"""Build the recorded generations of the quickstart from completions that were written by hand.

`intents_source/completions.jsonl` holds one completion for each request that `icda` makes of the seeds in
`sample/intents`, as a chat model would answer it, faults included. No model wrote them. This tool puts each beside its
request, as `replay:` serves it.

Run: python services/pipeline/tools/build_intents_sample.py
"""

import argparse
import json
from pathlib import Path

from icda.jobs import load_run_data, plan_request
from twllm_engines import record_answers
from twllm_pipeline._intents_sample import intents_recipe
from twllm_types import Completion, FinishReason, GenerationRequest

_HERE = Path(__file__).resolve().parent
SOURCE = _HERE / "intents_source" / "completions.jsonl"
OUTPUT = _HERE.parent / "src" / "twllm_pipeline" / "sample" / "intents"


def build(output: Path) -> Path:
    """Write `recorded.jsonl` into `output` and return its path."""
    recipe = intents_recipe(OUTPUT)
    data = load_run_data(recipe.data)
    rows = [json.loads(line) for line in SOURCE.read_text(encoding="utf-8").splitlines()]
    by_request = {(row["intent"], row["number"]): row for row in rows}

    def pair(intent: str, number: int) -> tuple[GenerationRequest, Completion]:
        row = by_request.pop((intent, number))
        completion = Completion(
            texts=("\n".join(row["lines"]),),
            finish_reasons=(FinishReason(row["finish_reason"]),),
            model="written by hand",
        )
        planned = plan_request(intent, number, data.seeds_of(intent), recipe.generate, seed=recipe.seed)
        return planned.request, completion

    numbers = range(recipe.generate.max_requests_per_intent)
    answers = [pair(intent, number) for intent in data.intents for number in numbers]
    if by_request:
        raise ValueError(f"{SOURCE}: completions that nobody asks for: {sorted(by_request)}; remove them")
    recorded = output / "recorded.jsonl"
    recorded.unlink(missing_ok=True)
    record_answers(recorded, answers)
    recorded.chmod(0o644)
    return recorded


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    print(build(parser.parse_args().output))
