"""JSON as the value of an option."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from factory_cdk.diagnostics import FactoryError
from factory_cdk.worker.depth import check_depth


def parsed(text: str, where: str, refused: str = "nothing was started") -> Any:
    """The value that `text` says, which is that of `where`; FactoryError, and `refused`, when it is no JSON."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        value = json.loads(text, parse_constant=refuse)
        check_depth(value, text)
    except (ValueError, RecursionError) as error:
        raise FactoryError(f"{where}: not JSON: {error}", refused) from None
    return value
