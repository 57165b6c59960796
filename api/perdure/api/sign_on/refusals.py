"""Why somebody is not signed on."""

from __future__ import annotations

from typing import Final

#: For whoever comes, where the reason is for those who have set the connection up.
NOT_ACCEPTED: Final = (
    "What your identity provider has answered was not accepted. Your account's administrators find the reason in its "
    "audit log."
)
NOT_REACHED: Final = (
    "Your identity provider could not be reached, or was not understood. Try again; your account's administrators find "
    "the reason in its audit log."
)


class SignOnRefused(Exception):
    """`reason` is for the account: nothing secret is in it, and no more of what a provider has sent than an address.
    `told` is for whoever comes.
    """

    def __init__(self, reason: str, told: str = NOT_ACCEPTED) -> None:
        super().__init__(reason)
        self.reason = reason
        self.told = told
