"""The measures that ship, against values computed by hand."""

import json
import math
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tw_corpus._plugins import Unmeasured, measure_text
from tw_corpus.measures import FastTextProbability, KenlmPerplexity, spaced_characters
from twllm_types import ConfigError

IMPORTABLE = Path(__file__).parent / "importable"
sys.path.insert(0, str(IMPORTABLE))
from plugin_runs import documents, rows, run, write_inputs, write_recipe  # noqa: E402 - found through the line above


def test_spaced_characters_keeps_lines_and_drops_blanks() -> None:
    assert spaced_characters("天氣 好\n\n \u3000\nA b") == "天 氣 好\nA b"
    assert spaced_characters(" \n") == ""


@given(st.text())
def test_spaced_characters_of_spaced_characters_changes_nothing(text: str) -> None:
    assert spaced_characters(spaced_characters(text)) == spaced_characters(text)


ARPA = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.3
-1.0\t</s>
-0.5\t天\t-0.2
-0.7\t氣\t-0.1

\\2-grams:
-0.2\t<s> 天
-0.1\t天 氣
-0.3\t氣 </s>

\\end\\
"""


def fasttext_model(path: Path, *, version: int = 12, supervised: bool = True, end: str = "</s>") -> str:
    """Write a fastText model by hand, as its FastText::saveModel does.

    It has one dimension, the words </s> (0), 好 (2) and 彩 (-2), and the labels good (1) and bad (-1). Training one
    here would not give the same file twice.
    """
    words = [(end, 0), ("好", 0), ("彩", 0), ("__label__good", 1), ("__label__bad", 1)]
    # in the order of Args::save, from the dimension to the rate of updates; 3 is softmax, then supervised or cbow
    arguments = (1, 5, 5, 1, 5, 1, 3, 3 if supervised else 1, 0, 0, 0, 100)
    content = struct.pack("<ii12id", 793712314, version, *arguments, 1e-4)
    content += struct.pack("<iiiqq", len(words), 3, 2, 100, -1)
    content += b"".join(word.encode() + struct.pack("<xqb", 10, kind) for word, kind in words)
    for matrix in ((0.0, 2.0, -2.0), (1.0, -1.0)):
        content += struct.pack(f"<?qq{len(matrix)}f", False, len(matrix), 1, *matrix)
    path.write_bytes(content)
    return str(path)


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    return write_inputs(tmp_path / "inputs")


@pytest.fixture
def arpa(tmp_path: Path) -> str:
    pytest.importorskip("kenlm", reason="kenlm is not installed: it has no wheels and needs a C++ compiler")
    (tmp_path / "zh.arpa").write_text(ARPA, encoding="utf-8")
    return str(tmp_path / "zh.arpa")


@pytest.mark.parametrize(
    ("text", "log10_probability", "num_tokens"),
    [
        ("天氣", -0.2 - 0.1 - 0.3, 3),
        # two lines are two sentences; blanks and empty lines are nothing
        ("天 氣\n\n天氣", 2 * (-0.2 - 0.1 - 0.3), 6),
        # <s> gives way to the single character, then </s> likewise
        ("氣", -0.3 - 0.7 - 0.3, 2),
        ("", -0.3 - 1.0, 1),
        (" \n", -0.3 - 1.0, 1),
    ],
)
def test_kenlm_perplexity_is_that_of_the_model_by_hand(
    arpa: str, text: str, log10_probability: float, num_tokens: int
) -> None:
    assert KenlmPerplexity(model=arpa)(text) == pytest.approx(10 ** (-log10_probability / num_tokens), rel=1e-6)


def test_kenlm_wonders_at_an_unknown_script(arpa: str) -> None:
    measure = KenlmPerplexity(model=arpa)
    assert measure("天气") > measure("天氣")


def test_kenlm_file_that_is_no_model_is_refused(arpa: str, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"nonsense")
    with pytest.raises(ConfigError, match="no model that KenLM reads"):
        KenlmPerplexity(model=str(tmp_path / "bad"))


def test_kenlm_in_a_curation(arpa: str, inputs: Path, tmp_path: Path) -> None:
    recipe = write_recipe(
        tmp_path, {"name": "perplexity", "factory": "kenlm", "options": {"model": arpa}, "maximum": 5}
    )
    done = run("curate", inputs, "--output", tmp_path / "out", "--recipe", recipe)
    assert done.returncode == 0, done.stderr
    assert {row["reason"] for row in rows(tmp_path / "out" / "rejected" / "plugin")} == {"max_perplexity"}


@pytest.mark.parametrize(
    ("text", "hidden"),
    [("好", 1.0), ("好好", 4 / 3), ("彩\n彩", -4 / 3), ("好彩", 0.0), ("", 0.0), ("沒見過", 0.0)],
)
def test_fasttext_probability_is_the_softmax_by_hand(tmp_path: Path, text: str, hidden: float) -> None:
    pytest.importorskip("fasttext", reason="fasttext is not installed")
    model = fasttext_model(tmp_path / "m.bin")
    expected = 1 / (1 + math.exp(-2 * hidden))
    assert FastTextProbability(model=model, label="good")(text) == pytest.approx(expected, abs=5e-5)
    assert FastTextProbability(model=model, label="__label__bad")(text) == pytest.approx(1 - expected, abs=5e-5)


def test_fasttext_that_knows_nothing_of_a_text_has_no_opinion(tmp_path: Path) -> None:
    pytest.importorskip("fasttext", reason="fasttext is not installed")
    measure = FastTextProbability(model=fasttext_model(tmp_path / "m.bin", end="另"), label="good")
    assert measure("好") == pytest.approx(1 / (1 + math.exp(-4)), abs=5e-5)
    assert measure_text(measure, "沒見過") == Unmeasured(
        error="DataError: the model gives __label__good no probability; it knows nothing of the text"
    )


def test_fasttext_reads_a_text_as_it_stands_where_told_so(tmp_path: Path) -> None:
    pytest.importorskip("fasttext", reason="fasttext is not installed")
    measure = FastTextProbability(model=fasttext_model(tmp_path / "m.bin"), label="good", spaced=False)
    assert measure("好好") == pytest.approx(0.5, abs=5e-5)
    assert measure("好\n好") > 0.9


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("nonsense", "no supervised fastText model"),
        ("unsupervised", "no supervised fastText model"),
        ("version", "no supervised fastText model"),
        ("label", "knows no label __label__ugly; give one of __label__bad, __label__good"),
    ],
)
def test_fasttext_file_that_does_not_serve_is_refused(tmp_path: Path, kind: str, problem: str) -> None:
    pytest.importorskip("fasttext", reason="fasttext is not installed")
    path = tmp_path / "m.bin"
    fasttext_model(path, version=99 if kind == "version" else 12, supervised=kind != "unsupervised")
    if kind == "nonsense":
        path.write_bytes(b"nonsense")
    with pytest.raises(ConfigError, match=problem):
        FastTextProbability(model=str(path), label="ugly" if kind == "label" else "good")


def test_fasttext_in_a_curation(inputs: Path, tmp_path: Path) -> None:
    pytest.importorskip("fasttext", reason="fasttext is not installed")
    options = {"model": fasttext_model(tmp_path / "m.bin"), "label": "good"}
    recipe = write_recipe(tmp_path, {"name": "good", "factory": "fasttext", "options": options, "minimum": 0.5001})
    done = run("curate", inputs, "--output", tmp_path / "out", "--recipe", recipe)
    assert done.returncode == 0, done.stderr
    assert sorted(documents(tmp_path / "out")) == ["near"]
    manifest = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["manifest"]
    assert [model["spec"] for model in manifest["models"]] == [options["model"]]
    assert list(manifest["parameters"]["plugins"]["good"]["distributions"]) == ["fasttext-numpy2-wheel"]
