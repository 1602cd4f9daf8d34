"""The reference's log-probabilities of each step, computed once and kept on disk.

The reference does not change while a policy trains, and the mismatched pairs are drawn before, so that both are known
once. They are kept in a folder named by content: tokens, pairings, the reference's weights and how it was run. A killed
computation goes on where it stopped; batches are a function of the set alone, so the same sums come out.
"""

# pyright: standard
# transformers' models and PEFT's layers are not strictly typed

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from step_kto._collator import StepKTOCollator
from step_kto._forward import score_view, scoring_mode
from step_kto._loss import step_sums
from step_kto._prepare import PreparedSet, RefSums
from step_kto._views import View, ViewName
from twllm_runs import JsonlAppender, read_jsonl
from twllm_types import ArtifactError, DataError

_SCHEMA = 1
# Where PEFT puts the layer that it wraps.
_PEFT_WRAPPERS = ("base_layer", "original_module")
_RUN_SETTINGS = ("_attn_implementation", "dtype")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePass:
    """How reference sums are computed; what changes them, or the order of sums, is part of the key.

    Attributes:
        batch_size: sequences of a forward.
        folder: of the cache; every process sees it.
        rank: this process, 0 <= rank < num_ranks.
        num_ranks: processes that share the work.
        wait: returns when all processes have called it.
        precision: what the forward runs in, such as "bf16" under autocast; part of the key.
    """

    batch_size: int
    folder: Path
    rank: int
    num_ranks: int
    wait: Callable[[], None]
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """One sequence: where its sums belong."""

    name: ViewName
    pairing: int
    row: int


def hash_weights(model: nn.Module) -> str:
    """SHA-256 of a model's weights by name, type and bits; weights of PEFT adapters are left out.

    So the reference of a model with adapters, which is the model with its adapters off, has the key of the base model.
    """
    digest = hashlib.sha256()
    adapters = _adapter_names(model)
    for name, tensor in sorted(model.state_dict().items()):
        parts = [part for part in name.removeprefix("base_model.model.").split(".") if part not in _PEFT_WRAPPERS]
        if adapters.intersection(parts):
            continue
        digest.update(f"{'.'.join(parts)} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def reference_key(prepared: PreparedSet, model: nn.Module, settings: ReferencePass) -> str:
    """Name of the cache: of what is scored, by which weights, and how."""
    run_with = {name: str(getattr(model.config, name, None)) for name in _RUN_SETTINGS}
    content = [_SCHEMA, prepared.content_hash, hash_weights(model), run_with, settings.batch_size, settings.precision]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def attach_reference(
    prepared: PreparedSet, model: nn.Module, collator: StepKTOCollator, settings: ReferencePass
) -> tuple[PreparedSet, str]:
    """Read the reference's sums from the cache, compute what is missing, and attach them.

    Args:
        prepared: the set.
        model: the reference, extended by `add_scoring`, on the device where it shall run, adapters off.
        collator: of the trainer.
        settings: see `ReferencePass`.

    Returns:
        The set with its sums, and their key.

    Raises:
        DataError: a log-probability is NaN or infinite; the message names the row.
        ArtifactError: the cache holds something else.
    """
    key = reference_key(prepared, model, settings)
    folder = settings.folder / key[:32]
    folder.mkdir(parents=True, exist_ok=True)
    batches = _batches(prepared, settings.batch_size)
    if settings.rank == 0:
        _repair(folder)
    settings.wait()
    done = _read(folder, batches)
    # Everybody has read before anybody writes, so that all share out the same rest.
    settings.wait()
    missing = [number for number in range(len(batches)) if number not in done]
    with JsonlAppender(folder / f"sums-{settings.rank}.jsonl") as file, scoring_mode(model):
        for number in missing[settings.rank :: settings.num_ranks]:
            items = batches[number]
            sums = _score(prepared, items, model, collator)
            _check_finite(prepared, items, sums)
            file.append({"batch": number, "sums": cast("Any", sums)})
    settings.wait()
    return prepared.with_reference(_arranged(prepared, batches, _read(folder, batches), folder)), key


def view_sums(model: nn.Module, view: dict[str, Tensor]) -> Tensor:
    """Log-probability of each step of a collated view, (B, H), nats."""
    return step_sums(score_view(model, view), view["step_ids_BC"], num_steps=view["present_BH"].shape[1])


def _batches(prepared: PreparedSet, batch_size: int) -> list[list[_Item]]:
    """All sequences, longest first so that memory runs out at once if it does, in batches of like length."""
    items = [
        _Item(name=name, pairing=pairing, row=row)
        for name in prepared.view_names
        for pairing in range(1 if name == "matched" else prepared.num_pairings)
        for row in range(len(prepared))
    ]
    items.sort(key=lambda item: -prepared.view(item.name, item.row, item.pairing).num_tokens)
    return [items[start : start + batch_size] for start in range(0, len(items), batch_size)]


def _score(
    prepared: PreparedSet, items: Sequence[_Item], model: nn.Module, collator: StepKTOCollator
) -> list[list[float]]:
    views: list[View] = [prepared.view(item.name, item.row, item.pairing) for item in items]
    device = next(model.parameters()).device
    batch = {name: tensor.to(device) for name, tensor in collator.view_batch(views).items()}
    sums = view_sums(model, batch).float().cpu().tolist()
    return [row[: view.num_steps] for row, view in zip(sums, views, strict=True)]


def _check_finite(prepared: PreparedSet, items: Sequence[_Item], sums: Sequence[Sequence[float]]) -> None:
    for item, row_sums in zip(items, sums, strict=True):
        if not torch.tensor(row_sums).isfinite().all():
            raise DataError(
                f"{prepared.rows[item.row].name}: the reference's log-probabilities ({item.name}) are not finite; "
                "check the model's weights and precision"
            )


def _read(folder: Path, batches: Sequence[Sequence[_Item]]) -> dict[int, list[list[float]]]:
    """Batches that are done."""
    done: dict[int, list[list[float]]] = {}
    for path in sorted(folder.glob("sums-*.jsonl")):
        for record in read_jsonl(path):
            number, sums = cast("int", record["batch"]), cast("list[list[float]]", record["sums"])
            if not 0 <= number < len(batches) or len(sums) != len(batches[number]):
                raise ArtifactError(f"{path}: batch {number} does not fit the set; delete {folder}")
            done[number] = sums
    return done


def _repair(folder: Path) -> None:
    """Cut off a last line that a kill left incomplete: its batch counts as not done."""
    for path in sorted(folder.glob("sums-*.jsonl")):
        with JsonlAppender(path):
            pass


def _arranged(
    prepared: PreparedSet, batches: Sequence[Sequence[_Item]], done: dict[int, list[list[float]]], folder: Path
) -> RefSums:
    missing = len(batches) - len(done)
    if missing:
        raise ArtifactError(f"{folder}: {missing} of {len(batches)} batches are missing; give all processes one folder")
    arranged: dict[ViewName, list[list[tuple[float, ...]]]] = {
        name: [[()] * len(prepared) for _ in range(1 if name == "matched" else prepared.num_pairings)]
        for name in prepared.view_names
    }
    for number, items in enumerate(batches):
        for item, sums in zip(items, done[number], strict=True):
            arranged[item.name][item.pairing][item.row] = tuple(sums)
    return {name: tuple(tuple(rows) for rows in pairings) for name, pairings in arranged.items()}


def _adapter_names(model: nn.Module) -> set[str]:
    """Attribute names under which PEFT's layers keep adapter weights, such as lora_A."""
    names = {"modules_to_save"}
    for module in model.modules():
        names.update(getattr(module, "adapter_layer_names", ()))
    return names
