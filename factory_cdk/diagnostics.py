"""What is wrong and where: the Diagnostic for what the user wrote, FactoryError for what went wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much a diagnostic matters: an error refuses the plan, a warning only where `--strict` says so, a notice
    never.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong with what the user wrote.

    `code` is stable (`F101`; `factory_cdk.codes` lists them all). `message` names the key, the value and the
    limit; `hint` says what to do, or is None. `file` is the path as the user gave it; `line` and `column`
    count from 1 and point at the offending key or value.
    """

    code: str
    severity: Severity
    message: str
    hint: str | None
    file: str
    line: int
    column: int

    def as_json(self) -> dict[str, Any]:
        """The diagnostic as the plain mapping that `validate --format json` prints."""
        return {**asdict(self), "severity": str(self.severity)}


class FactoryError(Exception):
    """Something went wrong that the user can cause or mend; the command line prints it without a traceback.

    `message` says what and where, `remedy` what to do about it (or is None), which is also a note of the exception, so
    that Python shows it. `exit_code` is 1 (refused or failed) unless the command documents another.
    """

    def __init__(self, message: str, remedy: str | None = None, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.exit_code = exit_code
        if remedy:
            self.add_note(f"help: {remedy}")


class PlanError(FactoryError):
    """A plan was refused; `diagnostics` holds everything that was found, errors and warnings."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        errors = [found for found in self.diagnostics if found.severity is Severity.ERROR]
        where = f"{errors[0].file}:{errors[0].line}: " if errors else ""
        first = f"{errors[0].code} {errors[0].message}" if errors else "the plan was refused"
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(f"{where}{first}{more}")

    def __reduce__(self) -> tuple[type[PlanError], tuple[object]]:
        return type(self), (self.diagnostics,)
