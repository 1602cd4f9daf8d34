"""Brotli bodies, decompressed in bounded steps."""
# brotli has no types
# pyright: basic

from collections.abc import Iterator

import brotli

from tw_corpus._records import FaultReason
from tw_corpus.readers._streams import StreamFault

_OUTPUT_BYTES = 1024 * 1024


def unbrotli(body: bytes) -> Iterator[bytes]:
    """Decompress `body`, about 1 MiB at a time (RFC 7932).

    Raises:
        StreamFault: damaged, or the end is missing.
    """
    decoder = brotli.Decompressor()
    data = body
    while not decoder.is_finished():
        try:
            out: bytes = decoder.process(data, output_buffer_limit=_OUTPUT_BYTES)
        except brotli.error as error:
            raise StreamFault(FaultReason.CORRUPT_ARCHIVE, f"compressed data is damaged: {error}") from error
        if not out and not data:
            raise StreamFault(FaultReason.TRUNCATED_ARCHIVE, "the compressed data ends before its end mark")
        data = b""
        if out:
            yield out
