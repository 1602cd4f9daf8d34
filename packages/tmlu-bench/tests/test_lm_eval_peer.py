"""Peer check: the protocol lm-eval-tmlu against lm-eval itself, on the same model and the same invented questions."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from exam_fakes import make_set

from tmlu_bench._compare import compare_runs, compared_run
from tmlu_bench._lm_eval_logs import find_lm_eval_logs, read_lm_eval_run
from tmlu_bench._question_set import QuestionSet
from tmlu_bench._run import ExamRun, run_exam
from tmlu_bench._run_plan import ExamSettings
from tmlu_bench._run_stored import read_exam
from tmlu_bench._sources import load_questions
from twllm_engines import load_engine
from twllm_runs import open_progress
from twllm_types import ChoiceQuestion

NUM_QUESTIONS, NUM_SHOTS = 24, 3
SUBJECT = "AST_civics"
needs_lm_eval = pytest.mark.skipif(importlib.util.find_spec("lm_eval") is None, reason="lm-eval is not installed")


def write_model(folder: Path) -> Path:
    """Save a tiny Llama with random weights and a tokenizer of bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: number for number, letter in enumerate([*letters, "<s>", "</s>"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocab),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=0.3,
        bos_token_id=vocab["<s>"],
        eos_token_id=vocab["</s>"],
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def to_line(row: ChoiceQuestion) -> str:
    options = dict(zip("ABCD", row.options, strict=True)) | {"E": None, "F": None}
    fields = {"id": row.id, "question": row.question, "answer": row.answer, "explanation": row.explanation} | options
    return json.dumps(fields, ensure_ascii=False) + "\n"


def write_data(folder: Path, questions: QuestionSet) -> Path:
    folder.mkdir()
    subject = questions.subjects[0]
    for split, rows in (("test", subject.test), ("dev", subject.dev)):
        (folder / f"{SUBJECT}_{split}.jsonl").write_text("".join(map(to_line, rows)), encoding="utf-8")
    return folder


def run_lm_eval(model: Path, data: Path, output: Path, tasks: Path) -> Path:
    """Run lm-eval's own task file on local questions and return the folder of its logs."""
    spec = importlib.util.find_spec("lm_eval")
    assert spec is not None
    assert spec.origin is not None
    shipped = Path(spec.origin).parent / "tasks" / "tmlu" / "default" / f"tmlu_{SUBJECT}.yaml"
    tasks.mkdir()
    (tasks / "local.yaml").write_text(
        f"include: {shipped}\ntask: tmlu_{SUBJECT}\ndataset_path: json\ndataset_name: null\n"
        "dataset_kwargs:\n  data_files:\n"
        f"    test: {data / f'{SUBJECT}_test.jsonl'}\n    dev: {data / f'{SUBJECT}_dev.jsonl'}\n",
        encoding="utf-8",
    )
    command = [
        *(sys.executable, "-m", "lm_eval", "run", "--model", "hf"),
        *("--model_args", f"pretrained={model},dtype=float32,add_bos_token=False"),
        *(
            "--tasks",
            str(tasks / "local.yaml"),
            "--num_fewshot",
            str(NUM_SHOTS),
            "--device",
            "cpu",
            "--batch_size",
            "4",
        ),
        *("--output_path", str(output), "--log_samples"),
    ]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(output.parent / "hf"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=output.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    return output


def run_ours(model: Path, data: Path, output: Path) -> ExamRun:
    settings = ExamSettings(protocol="lm-eval-tmlu", num_shots=NUM_SHOTS)
    with load_engine(f"hf:{model}") as engine, open_progress(quiet=True) as progress:
        return run_exam(engine, load_questions(str(data)), settings, output=output, progress=progress)


@needs_lm_eval
def test_lm_eval_tmlu_protocol_gives_lm_evals_choices(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    model = write_model(tmp_path / "model")
    data = write_data(tmp_path / "data", make_set({SUBJECT: NUM_QUESTIONS}))
    logs = run_lm_eval(model, data, tmp_path / "out", tmp_path / "tasks")
    ours = run_ours(model, data, tmp_path / "run")

    (log,) = find_lm_eval_logs(logs)
    rows: list[dict] = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    theirs = {row["doc"]["id"]: [float(pair[0]) for pair in row["filtered_resps"]] for row in rows}
    assert len(ours.items) == NUM_QUESTIONS
    for item in ours.items:
        expected = theirs[item.question_id]
        assert item.logprobs is not None
        assert [item.logprobs[letter] for letter in "ABCD"] == pytest.approx(expected, abs=1e-3)
        assert item.choice == "ABCD"[expected.index(max(expected))]
    assert len({item.choice for item in ours.items}) > 1

    exam = read_exam(tmp_path / "run")
    comparison = compare_runs([compared_run("ours", exam.items, exam.setting), read_lm_eval_run(logs, name="theirs")])
    assert comparison.different == ()
    assert comparison.pairs[0].micro.mean == 0.0
