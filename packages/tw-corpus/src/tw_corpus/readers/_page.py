"""From the bytes of one page or text to an outcome; shared by the HTML, text and WARC readers. No input or output."""

from collections.abc import Mapping

from tw_corpus._decode import Decoded, decode
from tw_corpus._extract import extract_html
from tw_corpus._ptt import extract_ptt
from tw_corpus._records import Fault, FaultReason, Record, position_id
from tw_corpus.readers._options import ReadOptions
from twllm_types import JsonValue

_EXTRACTED = ("title", "board")
_MAX_DETAIL_CHARS = 200


def page_outcome(
    payload: bytes,
    options: ReadOptions,
    *,
    name: str,
    position: str,
    metadata: Mapping[str, JsonValue],
    content_type: str | None = None,
) -> Record | Fault:
    """Decode a page and extract its text: a PTT article by `extract_ptt`, any other page by `extract_html`."""
    decoded = decode(payload, content_type=content_type)
    if (fault := undecodable(decoded, options, name=name, position=position)) is not None:
        return fault
    try:
        text, found = _extract(decoded.text, options)
    # Whatever the parser of a foreign page raises is the fault of that page, not the end of the run.
    except Exception as error:  # noqa: BLE001
        detail = f"{type(error).__name__}: {error}"[:_MAX_DETAIL_CHARS]
        return Fault(path=name, position=position, reason=FaultReason.EXTRACTION_FAILED, detail=detail)
    return Record(
        id=position_id(name, position),
        text=text,
        source=name,
        metadata={**metadata, "position": position, **encoding_metadata(decoded), **found},
    )


def extracted_fields(metadata: Mapping[str, object]) -> dict[str, str]:
    """Return the texts of a record's metadata that were taken from the page itself, not from fields of the input."""
    names = _EXTRACTED if "extractor" in metadata else ()
    return {name: value for name in names if isinstance(value := metadata.get(name), str)}


def undecodable(decoded: Decoded, options: ReadOptions, *, name: str, position: str) -> Fault | None:
    """Turn a text with too many replacement characters into a fault; `None` where it is good enough."""
    if decoded.num_replaced <= options.max_replaced_share * len(decoded.text):
        return None
    detail = (
        f"{decoded.num_replaced} places do not decode in {decoded.encoding}, which fits best, "
        f"of {len(decoded.text)} characters"
    )
    return Fault(path=name, position=position, reason=FaultReason.UNDECODABLE, detail=detail)


def encoding_metadata(decoded: Decoded) -> dict[str, JsonValue]:
    """Say how a text was decoded; counts of zero and an empty list are left out."""
    counts = {"num_replaced": decoded.num_replaced, "num_private_use": decoded.num_private_use}
    metadata: dict[str, JsonValue] = {"encoding": decoded.encoding, "encoding_evidence": str(decoded.evidence)}
    metadata.update({key: count for key, count in counts.items() if count})
    if decoded.rejected:
        metadata["encoding_rejected"] = list(decoded.rejected)
    return metadata


def _extract(html: str, options: ReadOptions) -> tuple[str, dict[str, JsonValue]]:
    if (article := extract_ptt(html)) is not None:
        return article.text, {"extractor": "ptt", "title": article.title, "board": article.board}
    extracted = extract_html(html, mode=options.extraction)
    return extracted.text, {"extractor": extracted.extractor, "title": extracted.title}
