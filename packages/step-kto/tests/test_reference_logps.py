import copy
import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from step_kto._collator import StepKTOCollator
from step_kto._forward import add_scoring
from step_kto._prepare import prepare_rows
from step_kto._reference_logps import ReferencePass, attach_reference, hash_weights, reference_key
from step_kto._toy_tokenizer import make_toy_tokenizer
from twllm_types import ArtifactError, DataError

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from small_runs import config, moved, small_model, solutions

COLLATOR = StepKTOCollator(pad_id=0, padding_free=False)
LORA = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")


def prepared(tmp_path, **changes):
    return prepare_rows(
        solutions(),
        tokenizer=make_toy_tokenizer(),
        config=config(tmp_path, **changes),
        name="train",
        model_max_tokens=None,
    )


def settings(folder, *, batch_size=3, rank=0, num_ranks=1, wait=lambda: None):
    return ReferencePass(
        batch_size=batch_size, folder=folder, rank=rank, num_ranks=num_ranks, wait=wait, precision="no"
    )


def reference():
    model = moved(small_model())
    add_scoring(model, logits_path="chunked")
    return model


def sums_file(folder):
    (path,) = folder.glob("*/sums-*.jsonl")
    return path


def test_sums_are_those_of_each_row_alone(tmp_path):
    rows, model = prepared(tmp_path, step_z0="sampled", num_pairings=2), reference()
    attached, _ = attach_reference(rows, model, COLLATOR, settings(tmp_path / "cache"))
    assert attached.ref_sums is not None
    for name in ("matched", "mismatched", "sampled"):
        for pairing in range(1 if name == "matched" else 2):
            view = rows.view(name, 2, pairing)
            ids = torch.tensor([view.prompt_ids + view.completion_ids])
            with torch.no_grad():
                logps = model(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None]).squeeze(-1)
            scored = logps[len(view.prompt_ids) - 1 :]
            steps = torch.tensor(view.step_ids)
            expected = [float(scored[steps == step].sum()) for step in range(view.num_steps)]
            assert attached.ref_sums[name][pairing][2] == pytest.approx(expected, rel=1e-5, abs=1e-5)
    later = attached[2 + len(rows)].ref_sums
    assert later is not None
    assert later["mismatched"] == attached.ref_sums["mismatched"][1][2]


def test_killed_computation_goes_on_and_gives_the_same_sums(tmp_path):
    rows, model = prepared(tmp_path), reference()
    whole, key = attach_reference(rows, model, COLLATOR, settings(tmp_path / "whole"))
    broken = tmp_path / "broken" / key[:32] / "sums-0.jsonl"
    broken.parent.mkdir(parents=True)
    content = sums_file(tmp_path / "whole").read_bytes()
    # the kill came within the fourth line
    cut = content.find(b"\n", content.find(b"\n", content.find(b"\n") + 1) + 1) + 20
    broken.write_bytes(content[:cut])
    again, _ = attach_reference(rows, model, COLLATOR, settings(tmp_path / "broken"))
    assert again.ref_sums == whole.ref_sums
    assert broken.read_bytes() == content


def test_finished_cache_is_read_without_a_forward(tmp_path):
    rows, model = prepared(tmp_path), reference()
    first, key = attach_reference(rows, model, COLLATOR, settings(tmp_path))
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    second, again = attach_reference(rows, model, COLLATOR, settings(tmp_path))
    assert (second.ref_sums, again, calls) == (first.ref_sums, key, [])


def test_several_processes_share_the_work(tmp_path):
    rows, model = prepared(tmp_path), reference()
    alone, _ = attach_reference(rows, model, COLLATOR, settings(tmp_path / "alone"))
    # the second does its part while the first waits at the end
    waits = []

    def wait():
        waits.append(1)
        if len(waits) == 3:
            with pytest.raises(ArtifactError, match="are missing; give all processes one folder"):
                attach_reference(
                    rows, copy.deepcopy(model), COLLATOR, settings(tmp_path / "alone2", rank=1, num_ranks=2)
                )
            source = sums_file(tmp_path / "alone2")
            target = tmp_path / "both" / source.parent.name / source.name
            target.write_bytes(source.read_bytes())

    both, _ = attach_reference(rows, model, COLLATOR, settings(tmp_path / "both", num_ranks=2, wait=wait))
    assert both.ref_sums == alone.ref_sums
    assert len(list((tmp_path / "both").glob("*/sums-*.jsonl"))) == 2


def test_key_follows_weights_rows_and_way_of_computing(tmp_path):
    rows, model = prepared(tmp_path), reference()
    plain = reference_key(rows, model, settings(tmp_path))
    assert reference_key(rows, copy.deepcopy(model), settings(tmp_path / "elsewhere")) == plain
    assert reference_key(rows, moved(small_model(), by=0.051), settings(tmp_path)) != plain
    assert reference_key(rows, model, settings(tmp_path, batch_size=4)) != plain
    assert reference_key(prepared(tmp_path, pairing_seed=9), model, settings(tmp_path)) != plain


def test_weights_of_adapters_do_not_change_the_hash():
    base = moved(small_model())
    plain = hash_weights(base)
    adapted = get_peft_model(base, LORA)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.fill_(0.7)
    assert hash_weights(adapted) == plain
    assert hash_weights(moved(small_model(), by=0.06)) != plain


def test_hash_tells_precisions_apart():
    assert hash_weights(small_model()) != hash_weights(small_model().bfloat16())


def test_cache_of_something_else_is_refused(tmp_path):
    rows, model = prepared(tmp_path), reference()
    attach_reference(rows, model, COLLATOR, settings(tmp_path))
    path = sums_file(tmp_path)
    path.write_text('{"batch": 0, "sums": [[1.0]]}\n', encoding="utf-8")
    with pytest.raises(ArtifactError, match="batch 0 does not fit"):
        attach_reference(rows, model, COLLATOR, settings(tmp_path))


def test_infinite_log_probability_names_its_row(tmp_path):
    model = reference()
    with torch.no_grad():
        model.model.norm.weight.fill_(float("inf"))
    with pytest.raises(DataError, match=r"train row \d+: the reference's log-probabilities"):
        attach_reference(prepared(tmp_path), model, COLLATOR, settings(tmp_path))
