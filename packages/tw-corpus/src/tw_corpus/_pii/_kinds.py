"""What personal data is called, what counts as evidence for it, and what `redact` returns. Values only."""

from dataclasses import dataclass, field
from enum import StrEnum


class PiiKind(StrEnum):
    """Kinds of Taiwanese personal and business identifiers. The strings are stable: reports rely on them."""

    NATIONAL_ID = "national_id"  # 國民身分證統一編號
    ARC_NEW = "arc_new"  # 新式外來人口統一證號 (2021)
    ARC_OLD = "arc_old"  # 舊式統一證號
    UBN = "ubn"  # 營利事業統一編號
    CITIZEN_CERTIFICATE = "citizen_certificate"  # 自然人憑證
    EINVOICE_BARCODE = "einvoice_barcode"  # 電子發票手機條碼載具
    EINVOICE_DONATION = "einvoice_donation"  # 捐贈碼, 愛心碼
    MOBILE = "mobile"
    LANDLINE = "landline"  # with its area code and extension
    EMAIL = "email"
    CARD = "card"  # payment card
    ADDRESS = "address"
    NHI_CARD = "nhi_card"  # 健保卡號
    PASSPORT = "passport"


class Policy(StrEnum):
    """What is needed before a shape is taken for personal data."""

    SHAPE = "shape"  # the form and its boundaries are enough
    CHECK_DIGIT = "check_digit"  # the check digit must hold; the surroundings can veto, context words lift a veto
    CONTEXT = "context"  # nothing is found without a context word on the left


POLICIES: dict[PiiKind, Policy] = {
    PiiKind.NATIONAL_ID: Policy.CHECK_DIGIT,
    PiiKind.ARC_NEW: Policy.CHECK_DIGIT,
    PiiKind.ARC_OLD: Policy.CHECK_DIGIT,
    PiiKind.UBN: Policy.CHECK_DIGIT,
    PiiKind.CITIZEN_CERTIFICATE: Policy.SHAPE,
    PiiKind.EINVOICE_BARCODE: Policy.CONTEXT,
    PiiKind.EINVOICE_DONATION: Policy.CONTEXT,
    PiiKind.MOBILE: Policy.SHAPE,
    PiiKind.LANDLINE: Policy.SHAPE,
    PiiKind.EMAIL: Policy.SHAPE,
    PiiKind.CARD: Policy.CHECK_DIGIT,
    PiiKind.ADDRESS: Policy.SHAPE,
    PiiKind.NHI_CARD: Policy.CONTEXT,
    PiiKind.PASSPORT: Policy.CONTEXT,
}


class RedactMode(StrEnum):
    """What `redact` does with a finding."""

    MASK = "mask"  # puts the placeholder of its kind
    PSEUDONYMISE = "pseudonymise"  # puts another value of the same form, the same one each time under one key
    TAG = "tag"  # leaves the text as it is; the findings say where


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Where personal data stands. It holds no value, so that it can be logged and stored.

    Attributes:
        kind: of what.
        start: first character, counted from 0 in the original text.
        end: one past the last character.
    """

    kind: PiiKind
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """A text after `redact`.

    Attributes:
        text: the text; with mode `tag` the original one. Left out of the repr.
        findings: in order, without overlap; their offsets count in the original text.
    """

    text: str = field(repr=False)
    findings: tuple[Finding, ...]


PLACEHOLDER_MARK = "[遮蔽:"
PLACEHOLDERS: dict[PiiKind, str] = {
    kind: f"{PLACEHOLDER_MARK}{name}]"
    for kind, name in {
        PiiKind.NATIONAL_ID: "身分證字號",
        PiiKind.ARC_NEW: "居留證號",
        PiiKind.ARC_OLD: "舊式居留證號",
        PiiKind.UBN: "統一編號",
        PiiKind.CITIZEN_CERTIFICATE: "自然人憑證",
        PiiKind.EINVOICE_BARCODE: "手機條碼",
        PiiKind.EINVOICE_DONATION: "捐贈碼",
        PiiKind.MOBILE: "手機號碼",
        PiiKind.LANDLINE: "電話號碼",
        PiiKind.EMAIL: "電子郵件",
        PiiKind.CARD: "卡號",
        PiiKind.ADDRESS: "地址",
        PiiKind.NHI_CARD: "健保卡號",
        PiiKind.PASSPORT: "護照號碼",
    }.items()
}
