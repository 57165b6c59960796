"""What SCIM has words of its own for."""

from __future__ import annotations

from typing import Final

from perdure.kernel.errors import FailedPrecondition, InvalidArgument

INVALID_FILTER: Final = "invalidFilter"
INVALID_PATH: Final = "invalidPath"
INVALID_SYNTAX: Final = "invalidSyntax"
INVALID_VALUE: Final = "invalidValue"
MUTABILITY: Final = "mutability"
NO_TARGET: Final = "noTarget"
UNIQUENESS: Final = "uniqueness"


class BadScim(InvalidArgument):
    """With the `scimType` of RFC 7644, 3.12."""

    def __init__(self, scim_type: str, message: str) -> None:
        super().__init__(message)
        self.scim_type = scim_type


class VersionMismatch(FailedPrecondition):
    """It is not as it was when the client looked."""
