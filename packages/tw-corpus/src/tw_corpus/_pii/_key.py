"""Which key a run was made under, without the key."""

import hashlib
import hmac


def key_fingerprint(key: bytes) -> str:
    """Return what tells two keys apart: HMAC-SHA256 of a constant under the key, hexadecimal."""
    return hmac.new(key, b"tw-corpus: which key is this", hashlib.sha256).hexdigest()
