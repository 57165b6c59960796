"""The table of handlers of IdentityService: who serves each RPC."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.api.calls import Method
from perdure.api.people import accounts, invitations, mfa, password_changes, sessions, sign_in, sign_up, user_keys

#: By the name of the RPC.
METHODS: Mapping[str, Method] = {
    **accounts.METHODS,
    **invitations.METHODS,
    **mfa.METHODS,
    **password_changes.METHODS,
    **sessions.METHODS,
    **sign_in.METHODS,
    **sign_up.METHODS,
    **user_keys.METHODS,
}
