"""Build the recorded judgements of the quickstart from answers that were written by hand.

`judge_source/answers.jsonl` holds one answer to each item of `sample/judge/items.jsonl`, as a judge would give it. No
model wrote them. This tool puts each beside the request that `llm-eval` makes of the item, as `replay:` serves it.

Run: python services/pipeline/tools/build_judge_sample.py
"""

import argparse
import json
from pathlib import Path

from llm_eval import answer_schema, build_prompt, load_items
from twllm_engines import record_answers
from twllm_pipeline._judge_sample import judge_settings
from twllm_types import Completion, Conversation, FinishReason, GenerationRequest, Message, Role, SamplingParams

_HERE = Path(__file__).resolve().parent
SOURCE = _HERE / "judge_source" / "answers.jsonl"
OUTPUT = _HERE.parent / "src" / "twllm_pipeline" / "sample" / "judge"


def build(output: Path) -> Path:
    """Write `recorded.jsonl` into `output` and return its path."""
    lines = SOURCE.read_text(encoding="utf-8").splitlines()
    answers = {row["id"]: json.dumps(row["answer"], ensure_ascii=False) for row in map(json.loads, lines)}
    recorded = output / "recorded.jsonl"
    recorded.unlink(missing_ok=True)
    settings = judge_settings()
    params = SamplingParams(
        max_tokens=settings.max_tokens,
        temperature=0.0,
        seed=settings.seed,
        json_schema=answer_schema(settings.dimensions, settings.scale, with_reason=settings.with_reason),
    )

    def pair(prompt: str, answer: str) -> tuple[GenerationRequest, Completion]:
        conversation = Conversation(messages=(Message(role=Role.USER, content=prompt),))
        completion = Completion(texts=(answer,), finish_reasons=(FinishReason.STOP,), model="written by hand")
        return GenerationRequest(prompt=conversation, params=params), completion

    items = load_items(OUTPUT / "items.jsonl")
    prompts = [
        build_prompt(item, settings.dimensions, settings.scale, settings.style, with_reason=settings.with_reason)
        for item in items
    ]
    record_answers(recorded, [pair(prompt, answers[item.id]) for item, prompt in zip(items, prompts, strict=True)])
    recorded.chmod(0o644)
    return recorded


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    print(build(parser.parse_args().output))
