"""Script by characters: the verdict, and the table it rests on."""

import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tw_corpus._characters import script_characters
from tw_corpus._script import Script, count_script, script_of

PACKAGE = Path(__file__).parents[1]
# OpenCC lists these as Simplified; Taiwan or Hong Kong writes them.
REGIONAL = "群峰床秘痴灶粽叁卧揾温户脱蜕税"


def test_script_table_is_what_the_tool_makes_from_opencc() -> None:
    tool = runpy.run_path(str(PACKAGE / "tools" / "build_script_table.py"))
    kept = (PACKAGE / "src" / "tw_corpus" / "tables" / "script_characters.txt").read_text(encoding="utf-8")
    assert tool["render_table"]() == kept


def test_script_table_sets_are_disjoint_and_free_of_regional_forms() -> None:
    simplified, traditional = script_characters()
    assert not simplified & traditional
    assert not simplified & set(REGIONAL)
    assert {"国", "这", "约"} <= simplified
    assert {"國", "這", "臺"} <= traditional
    assert not (simplified | traditional) & set("后里台干云")


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("國立臺灣大學位於臺北市大安區", Script.HANT),
        ("这里的学生们都会说两种语言", Script.HANS),
        ("這裡的學生們都會說兩種語言，这里的学生们都会说两种语言", Script.MIXED),
        ("山上有人", Script.UNDETERMINED),
        ("", Script.UNDETERMINED),
        ("English only, 123 😀", Script.UNDETERMINED),
        (REGIONAL, Script.UNDETERMINED),
        ("他住在约旦", Script.UNDETERMINED),
        ("并", Script.UNDETERMINED),
        ("國约", Script.HANT),
        ("这们来國", Script.HANS),
        ("長", Script.HANT),
    ],
)
def test_script_of_text_is_told(text: str, script: Script) -> None:
    assert script_of(text).script is script


def test_script_of_long_traditional_text_with_some_slips_is_hant() -> None:
    verdict = script_of("國立臺灣大學的學生們都會說這種語言，" * 20 + "庄约并国")
    assert verdict.script is Script.HANT
    assert verdict.counts.num_simplified_only == 4


def test_script_of_single_simplified_character_decides_only_when_asked() -> None:
    assert script_of("约", min_simplified_chars=1).script is Script.HANS
    assert script_of("國约", min_simplified_chars=1).script is Script.HANT


def test_count_script_counts_each_kind() -> None:
    counts = count_script("國国山A。々")
    assert (counts.num_han, counts.num_simplified_only, counts.num_traditional_only) == (4, 1, 1)


@given(st.text(st.characters(codec=None)))
def test_count_script_any_text_stays_within_bounds(text: str) -> None:
    counts = count_script(text)
    assert 0 <= counts.num_simplified_only + counts.num_traditional_only <= counts.num_han <= len(text)
