"""Training runs of the distributed tests: as one process when called, as several when torch.distributed.run starts it.

Arguments: output folder, and a JSON object from the name of each run to its settings.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from small_runs import small_model, solutions, trainer

from twllm_types import StepwiseSolution


def chosen_rows(name: str) -> list[StepwiseSolution]:
    rows = solutions()
    if name == "mixed":
        return rows
    if name == "remainder":
        return rows[:11]
    # batches of two rows in turn: with two processes one sees right answers only, the other wrong ones only
    right = [row for row in rows if row.outcome is True]
    wrong = [row for row in rows if row.outcome is False]
    return [row for at in (0, 2) for row in (*right[at : at + 2], *wrong[at : at + 2])]


def run(output: Path, name: str, **settings: Any) -> tuple[Any, dict[str, Any]]:
    """Evaluate and train; every row in its order, and plain descent, which does not blow up the last digit."""
    made = trainer(
        output,
        rows=chosen_rows(name),
        model=small_model(),
        eval_dataset=solutions()[:5],
        max_steps=-1,
        num_train_epochs=2,
        optim="sgd",
        learning_rate=0.05,
        step_reduction="response",
        train_sampling_strategy="sequential",
        **settings,
    )
    metrics = made.evaluate()
    made.train()
    return made, {"history": made.state.log_history, "evaluation": metrics}


def main() -> None:
    output, runs = Path(sys.argv[1]), json.loads(sys.argv[2])
    for name, settings in runs.items():
        made, logs = run(output / name, name, ddp_backend="gloo", **settings)
        if made.is_world_process_zero():
            model = made.accelerator.unwrap_model(made.model_wrapped)
            torch.save(model.state_dict(), output / name / "weights.pt")
            (output / name / "logs.json").write_text(json.dumps(logs), encoding="utf-8")


if __name__ == "__main__":
    main()
