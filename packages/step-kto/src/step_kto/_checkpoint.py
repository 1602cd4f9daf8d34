"""What a checkpoint was trained on, so that it is not continued with other data or another reference."""

# pyright: standard
# transformers' callbacks are not strictly typed

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from twllm_runs import write_json_atomic
from twllm_types import ArtifactError

IDENTITY_FILE = "step_kto.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointIdentity:
    """What must agree when a run goes on.

    Attributes:
        data_hash: of the prepared training set, its pairings included.
        reference_key: of the reference's sums; None where the reference runs beside the policy.
    """

    data_hash: str
    reference_key: str | None


class RememberIdentity(TrainerCallback):
    """Writes the identity into each checkpoint."""

    def __init__(self, identity: CheckpointIdentity) -> None:
        self._identity = identity

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Write `step_kto.json` beside the weights."""
        del control, kwargs
        folder = Path(args.output_dir or ".") / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and folder.is_dir():
            write_json_atomic(folder / IDENTITY_FILE, asdict(self._identity))


def check_identity(checkpoint: Path, identity: CheckpointIdentity) -> None:
    """Refuse a checkpoint of other data or another reference; one without the file passes.

    A kill between the weights and the file leaves it out, and a checkpoint may come from another trainer.

    Raises:
        ArtifactError: it does not fit; the message says what differs.
    """
    path = checkpoint / IDENTITY_FILE
    if not path.is_file():
        return
    stored = json.loads(path.read_text(encoding="utf-8"))
    for name, value in asdict(identity).items():
        if stored.get(name) != value:
            what = "training rows or pairings" if name == "data_hash" else "reference model"
            raise ArtifactError(
                f"{path}: the checkpoint was trained with another {what}; give the data, model and settings that the "
                "run began with, or another output_dir"
            )
