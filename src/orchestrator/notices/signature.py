"""Signatures of webhooks as standardwebhooks.com has them: HMAC-SHA256 of the id, the time and the body."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Final

_PREFIX: Final = "whsec_"


def standard_signature(secret: str, id: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a delivery in base64, without its version."""
    signed = f"{id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()


def _key(secret: str) -> bytes:
    """Return the key of a secret: one of Standard Webhooks is base64 after a prefix, others are taken as they are."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        return secret.encode()
