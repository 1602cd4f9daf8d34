from pathlib import Path

import numpy as np
import pytest
from datatrove.data import Document
from hypothesis import given
from hypothesis import strategies as st

from tw_corpus._paragraphs import ParagraphOptions, paragraph_hashes, remove_repeated, repeated_hashes
from tw_corpus._tally import Tally
from tw_corpus.blocks._paragraphs import ONLY_REPEATED, CollectParagraphs, CountParagraphs, RemoveParagraphs
from twllm_types import ConfigError

OPTIONS = ParagraphOptions(min_documents=3, min_chars=8)
FOOTER = "本站文章歡迎分享，轉載請註明出處與作者姓名。"


def repeated_in(texts: list[str]) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    return repeated_hashes([paragraph_hashes(text, OPTIONS) for text in texts], OPTIONS)


def test_paragraph_in_enough_documents_goes_from_all_of_them() -> None:
    texts = [f"第{number}篇文章自己的內容\n{FOOTER}" for number in "一二三"]
    repeated = repeated_in(texts)
    assert [remove_repeated(text, repeated, OPTIONS).text for text in texts] == [
        f"第{number}篇文章自己的內容" for number in "一二三"
    ]


def test_paragraph_repeated_within_one_document_counts_once() -> None:
    assert len(repeated_in(["\n".join([FOOTER] * 5), FOOTER])) == 0


def test_short_paragraphs_stay_however_often_they_occur() -> None:
    assert len(repeated_in(["謝謝大家"] * 10)) == 0


def test_paragraph_of_a_simplified_mirror_counts_as_the_same() -> None:
    assert len(repeated_in([FOOTER, FOOTER, "本站文章欢迎分享,转载请注明出处与作者姓名"])) == 1


def test_nothing_repeated_changes_nothing() -> None:
    empty = repeated_hashes([], OPTIONS)
    assert remove_repeated("甲\n\n乙", empty, OPTIONS).text == "甲\n\n乙"


@given(st.lists(st.text(alphabet="甲乙丙丁戊己庚辛壬癸\n", max_size=40), max_size=8))
def test_removal_keeps_the_other_lines_in_order_and_twice_is_once(texts: list[str]) -> None:
    repeated = repeated_in(texts)
    for text in texts:
        once = remove_repeated(text, repeated, OPTIONS)
        assert remove_repeated(once.text, repeated, OPTIONS).num_removed == 0
        kept = iter(text.split("\n"))
        assert all(line in kept for line in once.text.split("\n") if line)


@pytest.mark.parametrize(
    ("changes", "named"), [({"min_documents": 1}, "min_documents"), ({"min_chars": 0}, "min_chars")]
)
def test_options_out_of_range_are_refused(changes: dict[str, int], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        ParagraphOptions(**changes)


def test_blocks_remove_across_tasks_and_drop_documents_with_nothing_left(tmp_path: Path) -> None:
    tasks = [[f"甲村的故事很長很長說不完\n{FOOTER}", FOOTER], [f"乙村的故事也是一樣說不完\n{FOOTER}"], []]
    for rank, texts in enumerate(tasks):
        rows = [Document(id=str(number), text=text) for number, text in enumerate(texts)]
        assert list(CollectParagraphs(tmp_path / "all", OPTIONS, num_buckets=2).run(rows, rank, 3)) == []
    for bucket in range(2):
        list(CountParagraphs(tmp_path / "all", tmp_path / "repeated", OPTIONS).run(None, bucket, 2))
    tally = Tally()
    rows = [Document(id=str(number), text=text) for number, text in enumerate(tasks[0])]
    kept = list(RemoveParagraphs(tmp_path / "repeated", OPTIONS, tally=tally).run(iter(rows), 0, 3))
    assert [row.text for row in kept] == ["甲村的故事很長很長說不完"]
    assert tally.boilerplate == {"repeated_across_documents": 1}
    assert [sample.id for sample in tally.samples[ONLY_REPEATED]] == ["1"]
