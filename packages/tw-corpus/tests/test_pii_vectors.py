"""The shared vectors of pii_taiwan, each under its own rule, alone and in running text with context words."""

import json

import pytest

from tw_corpus._pii import UbnRule, find_pii, is_ubn

FRAMES = {
    "ubn": "本公司統一編號 {}，歡迎洽詢。",
    "national_id": "申請人身分證字號：{}，請核對。",
    "arc_new": "外籍人士居留證統一證號{}，請核對。",
    "arc_old": "外籍人士居留證統一證號{}，請核對。",
    "Default options tests": "證件號碼 {} 請核對。",
    "citizen_digital_certificate": "自然人憑證卡號「{}」已登錄。",
    "einvoice_mobile_barcode": "手機條碼載具是 {} 沒錯",
    "einvoice_donate_code": "愛心碼請填 {}，謝謝。",
}
KINDS = {
    "Default options tests": {"national_id", "arc_new"},
    "citizen_digital_certificate": {"citizen_certificate"},
    "einvoice_mobile_barcode": {"einvoice_barcode"},
    "einvoice_donate_code": {"einvoice_donation"},
}


@pytest.fixture
def vectors(shared_data) -> list[dict]:
    with shared_data("pii_taiwan/taiwan_id_vectors.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def is_found(row: dict, text: str) -> bool:
    kinds = KINDS.get(row["kind"], {row["kind"]})
    value = row["value"].strip()
    return any(each.kind in kinds and text[each.start : each.end] == value for each in find_pii(text))


def expected(row: dict) -> bool:
    """`redact` knows one company number rule, the wider one: rows of the older rule count as valid where that fits."""
    return is_ubn(row["value"]) if row["note"].startswith("rule=old") else row["valid"]


def test_vectors_in_running_text_are_found_when_valid(vectors) -> None:
    wrong = [row["id"] for row in vectors if is_found(row, FRAMES[row["kind"]].format(row["value"])) != expected(row)]
    assert wrong == []
    assert len(vectors) > 100


def test_vectors_alone_are_found_when_valid_unless_they_need_context(vectors) -> None:
    needs_context = {"einvoice_mobile_barcode", "einvoice_donate_code"}
    separated = {row["id"] for row in vectors if "-" in row["value"]}
    rows = [row for row in vectors if row["kind"] not in needs_context and row["id"] not in separated]
    assert [row["id"] for row in rows if is_found(row, row["value"]) != expected(row)] == []


def test_vectors_of_company_numbers_fit_their_own_rule(vectors) -> None:
    rows = [row for row in vectors if row["kind"] == "ubn"]
    wrong = [
        row["id"]
        for row in rows
        if is_ubn(
            row["value"].replace("-", "").strip(),
            UbnRule.BEFORE_2023 if row["note"].startswith("rule=old") else UbnRule.SINCE_2023,
        )
        != row["valid"]
    ]
    assert wrong == []
    assert len(rows) > 50
