"""JSON text with the same bytes for the same content: sorted keys, no spaces, arrays as base64 columns."""

from __future__ import annotations

import base64
import json
from typing import Any, Mapping

import numpy as np

from .errors import FormatError


def encode_array(array: np.ndarray) -> Mapping[str, Any]:
    """A JSON-safe copy of an integer array, little-endian."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    text = base64.b64encode(little.tobytes()).decode("ascii")
    return {"dtype": little.dtype.str, "shape": list(array.shape), "base64": text}


def decode_array(fields: Mapping[str, Any]) -> np.ndarray:
    """The array that `encode_array` wrote; FormatError if its bytes do not fill its shape."""
    try:
        flat = np.frombuffer(base64.b64decode(fields["base64"], validate=True), dtype=np.dtype(fields["dtype"]))
        return flat.reshape(fields["shape"])
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"not an encoded array: {error}") from error


def dump(fields: Mapping[str, Any]) -> str:
    """JSON text of `fields`; NaN and infinity are refused (they are not JSON)."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)


def parse(text: str, schema: str) -> Mapping[str, Any]:
    """The object in `text`; FormatError unless it is JSON that names `schema`."""
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise FormatError(f"not a plan: the text is no JSON ({error})") from error
    found = fields.get("schema") if isinstance(fields, dict) else None
    if found != schema:
        raise FormatError(f"expected JSON of schema {schema!r}, got {found!r}", schema=found)
    return dict(fields)
