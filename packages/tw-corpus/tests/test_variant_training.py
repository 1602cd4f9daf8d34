"""Training, scoring and the commands, on a tiny folder of invented sentences."""

import gzip
import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tw_corpus._variant import Variant, classify_variant, load_variant_model
from tw_corpus._variant_evaluation import evaluate_variants, held_out_samples, in_both_scripts
from tw_corpus._variant_job import classify_file, run_evaluation, run_training
from tw_corpus._variant_report import show_classification, show_evaluation
from tw_corpus._variant_training import train_variant_model
from tw_corpus._variant_training_rows import FILES, Part, read_rows, split_rows, text_key
from tw_corpus._variant_training_samples import Stream, load_converter, runs, single_sentences
from twllm_runs import RunState
from twllm_types import ArtifactError, ConfigError, DataError

IMPORTABLE = Path(__file__).parent / "importable"
PACKAGE = Path(__file__).parents[1]
sys.path.insert(0, str(IMPORTABLE))
from variant_rows import write_folder  # noqa: E402 - found through the line above


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("zh_variants"))


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.npz"
    train_variant_model(data, path, seed=1)
    return path


def test_train_tiny_model_tells_invented_sentences_apart(trained: Path) -> None:
    model = load_variant_model(trained)
    expected = {
        "我們搭捷運看影片欸。": Variant.ZH_TW,
        "市民乘搭港鐵未有受傷。": Variant.ZH_HK,
        "佢哋成日傾偈唔使返工。": Variant.YUE,
        "程序员用软件扫二维码。": Variant.ZH_CN,
    }
    assert {text: classify_variant(text, model=model).label for text in expected} == expected


def test_train_same_rows_and_seed_give_the_same_bytes(data: Path, trained: Path, tmp_path: Path) -> None:
    again = train_variant_model(data, tmp_path / "again.npz", seed=1)
    assert again.model.read_bytes() == trained.read_bytes()
    assert again.num_bytes == len(trained.read_bytes())


def test_train_card_counts_rows_of_allowed_licences_only(trained: Path) -> None:
    rows: Any = load_variant_model(trained).card["rows"]
    assert {row["licence"] for row in rows} == {
        "CC0-1.0",
        "CC-BY-4.0",
        "MIT",
        "public domain (Taiwan, Copyright Act art. 9)",
    }
    assert sum(row["train"] for row in rows if row["source"] == "allauth") <= 2


def test_train_names_of_speakers_are_no_wording(trained: Path) -> None:
    ngrams = set(load_variant_model(trained).wording.ngrams)
    assert "捷运" in ngrams
    assert not ngrams & {"甘小乙", "小乙"}


def test_split_keeps_twins_originals_articles_and_conversations_together(data: Path) -> None:
    rows = read_rows(data)
    parts = split_rows(rows)
    of_id = {row.id: part for row, part in zip(rows, parts, strict=True)}
    for row, part in zip(rows, parts, strict=True):
        for key in row.keys:
            if key in of_id and part is not None:
                assert of_id[key] in {part, None}
    by_conversation: dict[str, set[Part]] = {}
    for row, part in zip(rows, parts, strict=True):
        if row.conversation is not None and part is not None:
            by_conversation.setdefault(row.conversation, set()).add(part)
    assert all(len(found) == 1 for found in by_conversation.values())


def test_split_leaves_no_text_in_two_parts_in_either_script(data: Path) -> None:
    rows = read_rows(data)
    seen: dict[str, set[Part]] = {}
    for row, part in zip(rows, split_rows(rows), strict=True):
        if part is not None:
            seen.setdefault(text_key(row.text), set()).add(part)
    assert all(len(parts) == 1 for parts in seen.values())
    assert {part for parts in seen.values() for part in parts} == set(Part)


def test_split_puts_templates_into_training_whole(data: Path) -> None:
    rows = read_rows(data)
    parts = {part for row, part in zip(rows, split_rows(rows), strict=True) if "大風大雨" in row.text}
    assert parts == {Part.TRAIN}


def test_held_out_samples_leave_out_shared_lines_and_known_sentences(data: Path) -> None:
    rows = read_rows(data)
    samples = held_out_samples(rows, seed=0)
    texts = {sample.text for sample in samples["sentences"]}
    assert "不是啊" not in texts
    train = {text_key(r.text) for r, p in zip(rows, split_rows(rows), strict=True) if p is Part.TRAIN}
    assert not {text_key(text) for text in texts} & train


def test_both_scripts_of_a_sample_keep_its_label(data: Path) -> None:
    samples = held_out_samples(read_rows(data), seed=0)["sentences"]
    renderings = in_both_scripts(samples, load_converter())
    assert {item.sample.converted_by for item in renderings if not item.published} <= {
        None,
        "s2t",
        "s2tw",
        "s2twp",
        "s2hk",
    }
    assert sum(item.published for item in renderings) == len(samples)
    mainland = [item for item in renderings if item.sample.label is Variant.ZH_CN and not item.published]
    assert all(item.sample.converted_by is not None for item in mainland)


def test_runs_hold_whole_sentences_of_at_least_the_length() -> None:
    stream = Stream(
        sentences=("一二三四。", "五六七。", "八九十。", "甲。"),
        label=Variant.ZH_TW,
        source="s",
        cluster="c",
        joined=True,
        gold=True,
    )
    assert [(run.text, run.num_han, run.num_sentences) for run in runs(stream, 6)] == [("一二三四。\n五六七。", 7, 2)]
    assert [sample.num_han for sample in single_sentences(stream)] == [4, 3, 3, 1]


def test_evaluate_gives_figures_of_every_length_and_label(data: Path, trained: Path) -> None:
    # JSON values, whose types nest too deeply to follow
    figures: Any = evaluate_variants(data, model_path=trained)
    assert list(figures) == ["sentences", "50", "200", "1000"]
    sentences = figures["sentences"]
    assert set(sentences["labels"]) == {"zh-TW", "zh-HK", "yue", "zh-CN"}
    recall = sentences["labels"]["yue"]["recall"]
    assert recall["mean"] == pytest.approx(1.0, abs=0.2)
    assert recall["ci_low"] <= recall["mean"] <= recall["ci_high"]
    assert sentences["script"]["mean"] > 0.9
    assert sentences["converted_auroc"]["mean"] > 0.7


def test_show_evaluation_writes_a_table_for_each_length(data: Path, trained: Path, tmp_path: Path) -> None:
    from rich.console import Console

    with (tmp_path / "shown.txt").open("w", encoding="utf-8") as file:
        show_evaluation(Console(file=file, width=160), evaluate_variants(data, model_path=trained))
    shown = (tmp_path / "shown.txt").read_text(encoding="utf-8")
    assert "runs of 200 ideographs" in shown
    assert "zh-HK" in shown


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("common_voice_zh_tw.jsonl", b"{\n", r"common_voice_zh_tw\.jsonl:1: not JSON"),
        ("common_voice_zh_tw.jsonl", b"{}\n", r"common_voice_zh_tw\.jsonl:1: not a row"),
        ("udhr.jsonl", None, r"udhr\.jsonl: cannot be read"),
        ("tw_law.jsonl.gz", b"no gzip", r"tw_law\.jsonl\.gz: cannot be read"),
        ("tw_law.jsonl.gz", gzip.compress(b"{}\n" * 500, mtime=0)[:-12], r"tw_law\.jsonl\.gz: cannot be read"),
        (
            "tw_law.jsonl.gz",
            gzip.compress(b"{}\n", mtime=0)[:10] + b"\xff" * 20,
            r"tw_law\.jsonl\.gz: cannot be read",
        ),
    ],
)
def test_read_rows_damaged_file_is_named_with_its_line(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    write_folder(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_rows(tmp_path)


def test_train_without_a_variety_says_which(tmp_path: Path) -> None:
    write_folder(tmp_path)
    for name in ("hkcancor.jsonl", "cantonese_lines.jsonl", "udhr.jsonl"):
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "common_voice_zh_hk.jsonl.gz").write_bytes(gzip.compress(b""))
    (tmp_path / "zhtw_terms.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="no training row of zh-HK, yue"):
        train_variant_model(tmp_path, tmp_path / "model.npz")


def empty(folder: Path, name: str) -> None:
    (folder / name).write_bytes(gzip.compress(b"") if name.endswith(".gz") else b"")


def test_evaluate_folder_of_empty_files_is_refused(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_folder(tmp_path / "data")
    for name in FILES:
        empty(data, name)
    assert command("evaluate-variants", data, "--output", tmp_path / "out") == 2
    assert "no file of it holds a row" in capsys.readouterr().err
    assert not (tmp_path / "out" / "summary.json").exists()


def test_evaluate_without_a_row_in_the_test_part_is_refused(data: Path, tmp_path: Path) -> None:
    rows = read_rows(data)
    (chosen, *_) = [
        row
        for row, part in zip(rows, split_rows(rows), strict=True)
        if part is Part.TRAIN and row.id.startswith("common_voice/zh-TW")
    ]
    write_folder(tmp_path)
    for name in FILES:
        empty(tmp_path, name)
    line = json.dumps({"id": chosen.id, "text": chosen.text, "label": "zh-TW"})
    (tmp_path / "common_voice_zh_tw.jsonl").write_text(line, encoding="utf-8")
    assert split_rows(read_rows(tmp_path)) != [Part.TEST]
    with pytest.raises(DataError, match="no sentence falls into the test part"):
        evaluate_variants(tmp_path)


def test_commands_name_files_without_a_row(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_folder(tmp_path / "data")
    empty(data, "udhr.jsonl")
    empty(data, "tw_law.jsonl.gz")
    assert command("train-variant-model", data, "--output", tmp_path / "trained") == 0
    assert command("evaluate-variants", data, "--output", tmp_path / "figures") == 0
    printed = "".join(capsys.readouterr().out.split("\n"))
    assert printed.count("without any row: tw_law.jsonl.gz, udhr.jsonl") == 2


def test_command_classify_max_evidence_below_zero_is_refused_before_any_work(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"text": "山"}\n', encoding="utf-8")
    assert command("classify", source, "--output", output, "--max-evidence", "-3") == 2
    assert "max_evidence is -3" in capsys.readouterr().err
    assert not output.exists()


def test_classify_file_writes_a_verdict_for_each_document(tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    texts = {"甲": "我們搭捷運去立法院。", "乙": "", "丙": "我哋喺屋企食飯。"}
    lines = [json.dumps({"id": key, "text": text}, ensure_ascii=False) for key, text in texts.items()]
    source.write_text("\n".join([*lines, "no json"]) + "\n", encoding="utf-8")
    seen: list[int] = []
    counts = classify_file(source, output, max_evidence=2, on_document=seen.append)
    written = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [(row["id"], row["label"]) for row in written] == [("甲", "zh-TW"), ("乙", "other"), ("丙", "yue")]
    assert written[1]["other_reason"] == "no_han"
    assert all(len(row["evidence"]) <= 2 for row in written)
    span = written[0]["evidence"][0]
    assert texts["甲"][span["start"] : span["end"]] == span["text"]
    assert (counts.num_documents, counts.num_faults, len(seen)) == (3, 1, 3)
    assert counts.labels == {Variant.OTHER: 1, Variant.YUE: 1, Variant.ZH_TW: 1}


def test_show_classification_counts_labels_and_faults(tmp_path: Path) -> None:
    from rich.console import Console

    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "我哋喺屋企。"}\n{\n', encoding="utf-8")
    counts = classify_file(source, tmp_path / "out.jsonl")
    with (tmp_path / "shown.txt").open("w", encoding="utf-8") as file:
        show_classification(Console(file=file, width=100), counts)
    shown = (tmp_path / "shown.txt").read_text(encoding="utf-8")
    assert "yue" in shown
    assert "not read: 1 (invalid_json)" in shown


def test_classify_file_missing_or_equal_to_the_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        classify_file(tmp_path / "none.jsonl", tmp_path / "out.jsonl")
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "山"}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="is the input"):
        classify_file(source, source)


@pytest.fixture
def command() -> Callable[..., int]:
    from tw_corpus._cli_variant import register
    from twllm_runs import make_app, run_app

    app = make_app("tw-corpus", package="tw-corpus", help="test")
    register(app)
    return lambda *arguments: run_app(app, [str(argument) for argument in arguments])


def test_command_classify_ends_with_faults_where_a_line_cannot_be_read(
    command: Callable[..., int], tmp_path: Path
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "我們搭捷運去立法院。"}\n', encoding="utf-8")
    assert command("classify", source, "--output", tmp_path / "out.jsonl") == 0
    source.write_text("{\n", encoding="utf-8")
    assert command("classify", source, "--output", tmp_path / "out.jsonl") == 3


def test_commands_train_and_evaluate_write_folders_and_are_not_done_twice(
    command: Callable[..., int], data: Path, tmp_path: Path
) -> None:
    assert command("train-variant-model", data, "--output", tmp_path / "trained") == 0
    model = tmp_path / "trained" / "variant.npz"
    assert load_variant_model(model).wording.ngrams
    assert run_training(data, tmp_path / "trained").state is RunState.FINISHED
    with pytest.raises(ArtifactError):
        run_training(data, tmp_path / "trained", seed=2)
    assert command("evaluate-variants", data, "--output", tmp_path / "figures", "--model", model) == 0
    assert run_evaluation(data, tmp_path / "figures", model=model).state is RunState.FINISHED
    assert "sentences" in json.loads((tmp_path / "figures" / "summary.json").read_text(encoding="utf-8"))


def test_training_without_opencc_names_the_fix() -> None:
    code = (
        "import sys; sys.modules['opencc'] = None\n"
        "from tw_corpus._variant_training_samples import load_converter\n"
        "try:\n    load_converter()\nexcept ImportError as error:\n    print(type(error).__name__, error)\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("MissingDependencyError")
    assert "opencc" in shown


def test_fold_table_is_what_the_tool_makes_from_opencc() -> None:
    tool = runpy.run_path(str(PACKAGE / "tools" / "build_fold_table.py"))
    kept = (PACKAGE / "src" / "tw_corpus" / "tables" / "folded_characters.txt").read_text(encoding="utf-8")
    assert tool["render_table"]() == kept
