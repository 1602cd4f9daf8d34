"""Masking, replacing or only reporting personal data in a text."""

from collections.abc import Collection

from tw_corpus._pii._find import find_pii
from tw_corpus._pii._kinds import PLACEHOLDERS, Finding, PiiKind, Redaction, RedactMode
from tw_corpus._pii._pseudonyms import Pseudonymiser
from twllm_types import ConfigError

ALL_KINDS: frozenset[PiiKind] = frozenset(PiiKind)


def redact(
    text: str,
    mode: RedactMode | str = RedactMode.MASK,
    *,
    key: bytes | None = None,
    kinds: Collection[PiiKind | str] = ALL_KINDS,
) -> Redaction:
    """Find personal data and treat it as `mode` says.

    - ``mask``: each finding becomes the placeholder of its kind, such as ``[遮蔽:手機號碼]``. Masking twice changes
      nothing more.
    - ``pseudonymise``: each finding becomes another value of the same form, with valid check digits, the same one each
      time under one key. Mobile numbers, land lines and mailboxes are unassigned ones; of an address county and
      district stay.
    - ``tag``: the text stays as it is; the findings say where.

    Args:
        text: any string.
        mode: see above.
        key: secret of at least 16 bytes, for `pseudonymise`; left unused otherwise.
        kinds: only these are treated and reported; others are still recognised, so that none is taken for another.

    Returns:
        The text and the findings; their offsets count in the given text. A text without findings comes back as it is.

    Raises:
        ConfigError: unknown mode or kind, or no usable key for `pseudonymise`. No message holds a part of the text.
    """
    chosen = check_mode(mode)
    wanted = check_kinds(kinds)
    pseudonymiser = pseudonymiser_of(chosen, key)
    findings = tuple(finding for finding in find_pii(text) if finding.kind in wanted)
    if chosen is RedactMode.TAG or not findings:
        return Redaction(text=text, findings=findings)
    return Redaction(text=_rewrite(text, findings, pseudonymiser), findings=findings)


def check_mode(mode: RedactMode | str) -> RedactMode:
    """Return the mode of that name.

    Raises:
        ConfigError: there is none.
    """
    try:
        return RedactMode(mode)
    except ValueError as error:
        raise ConfigError(f"mode {mode!r} is unknown; give one of {', '.join(RedactMode)}") from error


def check_kinds(kinds: Collection[PiiKind | str]) -> frozenset[PiiKind]:
    """Return the kinds of those names.

    Raises:
        ConfigError: a name is unknown, or there is none.
    """
    unknown = sorted({str(kind) for kind in kinds} - set(PiiKind))
    if unknown or not kinds:
        raise ConfigError(f"kinds {unknown} are unknown; give some of {', '.join(PiiKind)}")
    return frozenset(map(PiiKind, kinds))


def pseudonymiser_of(mode: RedactMode, key: bytes | None) -> Pseudonymiser | None:
    """Return what replaces values in this mode; `None` where nothing does.

    Raises:
        ConfigError: mode `pseudonymise` without a usable key.
    """
    if mode is not RedactMode.PSEUDONYMISE:
        return None
    if key is None:
        raise ConfigError("mode 'pseudonymise' needs a key; give at least 16 random bytes, the same ones in each run")
    return Pseudonymiser(key)


def _rewrite(text: str, findings: tuple[Finding, ...], pseudonymiser: Pseudonymiser | None) -> str:
    pieces: list[str] = []
    end = 0
    for finding in findings:
        pieces.append(text[end : finding.start])
        if pseudonymiser is None:
            pieces.append(PLACEHOLDERS[finding.kind])
        else:
            pieces.append(pseudonymiser.replace(finding.kind, text[finding.start : finding.end]))
        end = finding.end
    pieces.append(text[end:])
    return "".join(pieces)
