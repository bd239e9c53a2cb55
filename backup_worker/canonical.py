"""How every document in the store is written, so that the same content has the same bytes."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def canonical_json(fields: Mapping[str, Any]) -> bytes:
    """Serialise with sorted keys and without spaces."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def utc_text(moment: datetime) -> str:
    """Write a moment in RFC 3339, UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
