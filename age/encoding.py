"""Canonical base64 without padding (c2sp.org/age, "Conventions used in this document")."""

import base64
import binascii


def encode(data: bytes) -> bytes:
    """Encode to unpadded base64."""
    return base64.b64encode(data).rstrip(b"=")


def decode(text: bytes) -> bytes:
    """Decode unpadded base64; ValueError unless `text` is exactly what `encode` would give."""
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        data = b""
    if encode(data) != text:
        raise ValueError("not canonical base64")
    return data
