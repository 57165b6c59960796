"""The table of handlers of IdentityService: who serves each RPC."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.api.calls import Method
from perdure.api.people import (
    accounts,
    browser_sign_in,
    invitations,
    mfa,
    password_changes,
    sessions,
    sign_in,
    sign_up,
    user_keys,
)

#: By the name of the RPC.
METHODS: Mapping[str, Method] = {
    **accounts.METHODS,
    **browser_sign_in.METHODS,
    **invitations.METHODS,
    **mfa.METHODS,
    **password_changes.METHODS,
    **sessions.METHODS,
    **sign_in.METHODS,
    **sign_up.METHODS,
    **user_keys.METHODS,
}
