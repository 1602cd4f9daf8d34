"""Near-duplicates: comparable form, signatures, clusters, and datatrove's stages between them."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datatrove.data import Document
from hypothesis import given
from hypothesis import strategies as st

from tw_corpus._clusters import LAST_CHOICE, agreement, first_of_clusters
from tw_corpus._comparable import comparable_codes, comparable_codes_with_positions, shingle_hashes
from tw_corpus._minhash import MinHasher, MinHashOptions, jaccard
from tw_corpus.blocks._near import NearClusters, NearSignature, near_filter, near_search
from twllm_types import ConfigError

OPTIONS = MinHashOptions()
STORY = (
    "從前有一條小河流過村子，河上有一座木橋，橋頭住著一位修理雨傘的老人。下雨天，他把工具搬到屋簷下，一邊聽雨一邊把壞掉的傘骨換新。"
    "孩子們放學經過，總會停下來看他做事，有時候還幫忙撿起掉在地上的螺絲。老人說，傘跟人一樣，淋過雨才知道哪裡需要照顧。"
    "後來橋改成水泥的，老人搬去跟兒子住，可是村裡的人到現在下雨時還會想起他。"
)


def as_text(text: str) -> str:
    return "".join(map(chr, comparable_codes(text).tolist()))


def test_comparable_form_ignores_script_width_case_punctuation_and_blanks() -> None:
    assert as_text("臺灣，ＡＢＣ 的 雞！") == as_text("台湾abc的鸡") == "台湾abc的鸡"


def test_comparable_form_keeps_letters_of_other_scripts_and_rare_ideographs() -> None:
    assert as_text("ㄅㄆ かな 한글 𠊎") == "ㄅㄆかな한글𠊎"


@pytest.mark.parametrize("text", ["", "，。！", " \n\t", "🎉🎉", "\ud800"])
def test_comparable_form_of_text_without_letters_is_empty(text: str) -> None:
    assert len(comparable_codes(text)) == 0


@given(st.text())
def test_comparable_form_is_idempotent_and_positions_point_into_the_text(text: str) -> None:
    codes, positions = comparable_codes_with_positions(text)
    assert codes.tolist() == comparable_codes(text).tolist()
    assert all(0 <= position < len(text) for position in positions.tolist())
    folded = "".join(map(chr, codes.tolist()))
    assert as_text(folded) == folded


@given(st.text(), st.integers(1, 8))
def test_shingles_are_one_per_run(text: str, size: int) -> None:
    codes = comparable_codes(text)
    assert len(shingle_hashes(codes, size)) == max(0, len(codes) - size + 1)


def test_equal_runs_have_equal_hashes_and_different_runs_different_ones() -> None:
    hashes = shingle_hashes(comparable_codes("一二三四五一二三四五"), 5)
    assert hashes[0] == hashes[5]
    assert len(set(hashes.tolist())) == 5


@given(st.permutations(list(range(60))))
def test_signature_does_not_depend_on_the_order_of_shingles(order: list[int]) -> None:
    hasher = MinHasher(OPTIONS)
    shingles = shingle_hashes(comparable_codes(STORY), 5)[:60]
    assert hasher.signature_of(shingles[order]).tolist() == hasher.signature_of(shingles).tolist()


def test_signature_of_a_long_text_equals_that_of_its_blocks_combined() -> None:
    hasher = MinHasher(OPTIONS)
    shingles = np.random.default_rng(3).integers(0, 2**63, size=5_000, dtype=np.uint64)
    parts = [hasher.signature_of(shingles[start : start + 700]) for start in range(0, 5_000, 700)]
    assert hasher.signature_of(shingles).tolist() == np.min(parts, axis=0).tolist()


def test_signatures_agree_as_often_as_the_texts_are_similar() -> None:
    hasher, chance = MinHasher(OPTIONS), random.Random(7)
    errors: list[float] = []
    for num_changes in range(40):
        changed = list(STORY * 2)
        for _ in range(num_changes):
            changed[chance.randrange(len(changed))] = chr(0x4E00 + chance.randrange(2_000))
        one, other = hasher.signature(STORY * 2), hasher.signature("".join(changed))
        assert one is not None
        assert other is not None
        errors.append(float((one == other).mean()) - jaccard(STORY * 2, "".join(changed)))
    # 112 hashes: standard error of one estimate at most sqrt(0.25 / 112) = 0.047, of the mean of 40 about 0.008
    assert abs(np.mean(errors)) < 0.03
    assert np.std(errors) < 0.08


def test_jaccard_of_a_script_mirror_is_one_and_of_nothing_is_zero() -> None:
    assert jaccard("這裡的麵條很好吃，頭髮要紮起來", "这里的面条很好吃，头发要扎起来") == 1.0
    assert jaccard("", "，") == 0.0


@pytest.mark.parametrize("name", ["shingle_chars", "num_buckets", "hashes_per_bucket", "min_shingles"])
def test_options_below_one_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        MinHashOptions(**{name: 0})


def test_text_with_too_few_shingles_has_no_signature() -> None:
    assert MinHasher(OPTIONS).signature("短短的一句話") is None


pairs_of_documents = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 3), st.integers(0, 6)), max_size=25
)


@given(pairs_of_documents)
def test_clusters_are_the_connected_components_and_the_first_stays(pairs: list[tuple[int, int, int, int]]) -> None:
    found = first_of_clusters(np.array(pairs, dtype=np.uint32).reshape(-1, 4))
    groups: list[set[tuple[int, int]]] = []
    for task, number, other_task, other_number in pairs:
        joined = {(task, number), (other_task, other_number)}
        for group in [group for group in groups if group & joined]:
            joined |= group
            groups.remove(group)
        groups.append(joined)
    expected = sorted(
        (task, number, len(group), int((task, number) == min(group))) for group in groups for task, number in group
    )
    assert [tuple(row) for row in found.tolist()] == expected


@given(pairs_of_documents, st.sets(st.tuples(st.integers(0, 3), st.integers(0, 6))))
def test_clusters_keep_a_last_choice_only_where_there_is_no_other(
    pairs: list[tuple[int, int, int, int]], last: set[tuple[int, int]]
) -> None:
    def number_of(task: int, number: int) -> int:
        return number | LAST_CHOICE if (task, number) in last else number

    marked = [(a, number_of(a, b), c, number_of(c, d)) for a, b, c, d in pairs]
    plain = first_of_clusters(np.array(pairs, dtype=np.uint32).reshape(-1, 4))
    found = first_of_clusters(np.array(marked, dtype=np.uint32).reshape(-1, 4))
    assert found[:, :3].tolist() == plain[:, :3].tolist()
    assert found[:, 3].sum() == plain[:, 3].sum()
    stay = {(task, number) for task, number, _, stays in found.tolist() if stays}
    for a, b, c, d in pairs:
        assert not ((a, b) in stay and (a, b) in last and (c, d) not in last)
        assert not ((c, d) in stay and (c, d) in last and (a, b) not in last)


def run_stages(folder: Path, tasks: Sequence[Sequence[str]], options: MinHashOptions = OPTIONS) -> list[list[Document]]:
    """Near-deduplicate texts given by task, through all four stages."""
    documents = [
        [Document(id=f"{task}-{number}", text=text) for number, text in enumerate(texts)]
        for task, texts in enumerate(tasks)
    ]
    for task, rows in enumerate(documents):
        assert list(NearSignature(folder / "sig", options).run(rows, task, len(tasks))) == []
    for bucket in range(options.num_buckets):
        (search,) = near_search(folder / "sig", folder / "pairs", options)
        search.run(None, bucket, options.num_buckets)
    clusters = NearClusters(
        folder / "pairs", folder / "clusters", options, signatures=folder / "sig", num_tasks=len(tasks)
    )
    list(clusters.run())
    return [
        list(near_filter(folder / "clusters", None).run(iter(rows), task, len(tasks)))
        for task, rows in enumerate(documents)
    ]


def test_near_duplicates_across_tasks_leave_the_first_with_the_size_of_its_cluster(tmp_path: Path) -> None:
    other = (
        "山上的茶園今年收成很好，採茶的人一早就出門，中午在樹下吃飯糰配青菜湯，下午把茶葉攤在竹篩上等它慢慢失去水分。"
    )
    kept = run_stages(tmp_path, [[other, STORY], [STORY.replace("老人", "老翁", 1), "短"], [STORY + "完。"]])
    assert [[row.id for row in rows] for rows in kept] == [["0-0", "0-1"], ["1-1"], []]
    assert [row.metadata["minhash_cluster_size"] for row in kept[0]] == [1, 3]


MIRROR = STORY.translate(
    str.maketrans(
        "從條過後來還會雨傘裡頭邊聽壞換孩們學經總時掉絲說樣淋過才現兒現橋著簷幫撿顧",
        "从条过后来还会雨伞里头边听坏换孩们学经总时掉丝说样淋过才现儿现桥着檐帮捡顾",
    )
)


def test_near_duplicates_see_a_simplified_mirror(tmp_path: Path) -> None:
    kept = run_stages(tmp_path, [[STORY], [MIRROR]])
    assert [len(rows) for rows in kept] == [1, 0]


def test_near_duplicates_keep_the_traditional_source_of_an_earlier_mirror(tmp_path: Path) -> None:
    kept = run_stages(tmp_path, [[MIRROR, MIRROR + "完。"], ["短", STORY, STORY + "完。"]])
    assert [[row.id for row in rows] for rows in kept] == [[], ["1-0", "1-1"]]
    assert kept[1][1].metadata["minhash_cluster_size"] == 4


def test_near_duplicates_all_simplified_keep_the_first(tmp_path: Path) -> None:
    kept = run_stages(tmp_path, [["短"], [MIRROR, MIRROR + "完。"]])
    assert [[row.id for row in rows] for rows in kept] == [["0-0"], ["1-0"]]


def test_near_duplicates_that_share_a_bucket_by_chance_both_stay(tmp_path: Path) -> None:
    # half of the shingles are shared, and one hash is enough for a bucket
    half = STORY[: len(STORY) // 2] + "今天的市場很熱鬧，賣菜的阿姨一邊招呼一邊算錢，魚攤前面排了很長的隊伍。"
    assert 0.2 < jaccard(STORY, half) < 0.6
    loose = MinHashOptions(num_buckets=32, hashes_per_bucket=1)
    assert [len(rows) for rows in run_stages(tmp_path / "a", [[STORY], [half]], loose)] == [1, 1]
    unverified = replace(loose, min_agreement=None)
    assert [len(rows) for rows in run_stages(tmp_path / "b", [[STORY], [half]], unverified)] == [1, 0]


@given(st.data())
def test_agreement_is_the_share_of_equal_hashes(data: st.DataObject) -> None:
    shape = (data.draw(st.integers(1, 6)), data.draw(st.integers(1, 9)))
    values = data.draw(st.lists(st.integers(0, 2), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    rows = np.array(values, dtype=np.uint16).reshape(shape)
    edges = [(one, other) for one in range(shape[0]) for other in range(shape[0])]
    expected = [sum(a == b for a, b in zip(rows[one], rows[other], strict=True)) / shape[1] for one, other in edges]
    assert agreement(rows, np.array(edges), edges_at_once=2).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_agreement_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="min_agreement"):
        MinHashOptions(min_agreement=share)


def test_near_duplicates_of_nothing_keep_everything(tmp_path: Path) -> None:
    assert [[row.id for row in rows] for rows in run_stages(tmp_path, [["短"], []])] == [["0-0"], []]
