"""JSON text made and read fast, many times a second and mostly of small values: compact, ASCII, without NaN.

JSONEncoder.encode makes its C encoder anew for every value, and JSONDecoder.decode looks for white space before and
behind it; for a small value that is most of the time. Without the C encoder (not CPython), JSONEncoder does it all.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn


def _make_encode() -> Callable[[Any], str]:
    encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    iterate = make(None, encoder.default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, False)
    join = "".join
    return lambda value: join(iterate(value, 0))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


encode_text: Callable[[Any], str] = _make_encode()
"""The JSON text of a value. Raises TypeError or ValueError for what JSON cannot hold, RecursionError for a circle."""

_decoder = json.JSONDecoder(parse_constant=_refuse)
_scan = _decoder.scan_once  # type: ignore[attr-defined]


def decode_text(text: str) -> Any:
    """What a JSON text says. Raises ValueError, and RecursionError for what is too deep."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        return _decoder.decode(text)
    return value if end == len(text) else _decoder.decode(text)
