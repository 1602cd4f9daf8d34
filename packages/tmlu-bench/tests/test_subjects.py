from collections import Counter

import pytest

from tmlu_bench import find_subject, load_subjects
from twllm_types import ConfigError


def test_tmlu_table_holds_the_published_counts() -> None:
    subjects = load_subjects("tmlu").values()
    assert len(subjects) == 37
    assert sum(subject.num_questions or 0 for subject in subjects) == 2981
    per_group = Counter[str]()
    for subject in subjects:
        per_group[subject.group] += subject.num_questions or 0
    assert per_group == {
        "social_sciences": 589,
        "stem": 468,
        "humanities": 1009,
        "taiwan_specific": 557,
        "other": 358,
    }
    assert Counter(subject.group for subject in subjects) == {
        "social_sciences": 8,
        "stem": 14,
        "humanities": 9,
        "taiwan_specific": 3,
        "other": 3,
    }


def test_tmlu_table_knows_five_options_levels_and_families() -> None:
    subjects = load_subjects("tmlu")
    five = {key for key, subject in subjects.items() if subject.num_options == 5}
    assert five == {
        *("AST_chemistry", "AST_mathematics", "AST_physics"),
        *("GSAT_biology", "GSAT_chemistry", "GSAT_earth_science", "GSAT_mathematics", "GSAT_physics"),
    }
    assert (subjects["CAP_biology"].level, subjects["AST_biology"].level) == ("middle_school", "high_school")
    assert (subjects["accountant"].level, subjects["accountant"].family) == ("professional", "MOEX")
    assert (subjects["driving_rule"].level, subjects["driving_rule"].family) == ("general", "HB")


def test_tmmluplus_table_has_four_groups() -> None:
    subjects = load_subjects("tmmluplus")
    assert {subject.group for subject in subjects.values()} == {"stem", "humanities", "social_sciences", "other"}
    assert subjects["economics"].name == "經濟學"
    assert subjects["economics"].num_questions is None


def test_find_subject_looks_in_both_tables_or_one() -> None:
    assert (found := find_subject("tour_guide")) is not None
    assert found.name == "導遊"
    assert find_subject("economics") is not None
    assert find_subject("economics", "tmlu") is None
    assert find_subject("no_such_subject") is None


def test_load_subjects_unknown_exam_names_the_tables() -> None:
    with pytest.raises(ConfigError, match="tmlu, tmmluplus"):
        load_subjects("gaokao")
