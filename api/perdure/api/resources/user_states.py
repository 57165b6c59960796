"""Whether a user is anybody yet, or still: what his details say of it."""

from __future__ import annotations

from typing import Final

from perdure.api.data.tables import ResourceRow

#: He was invited, and when: he has not said yes.
INVITATION: Final = "invitation"
#: The identity provider has switched him off.
DEACTIVATED: Final = "deactivated"
#: The sign-on connection or provisioning token that has made him. Nobody has said by mail that he wants to be in this
#: account. The name is from before there were tokens.
MADE_BY: Final = "made_by_connection"


def is_active(row: ResourceRow) -> bool:
    """Whether a user is anybody: he has accepted his invitation, and the identity provider has not switched him off."""
    return not row.details.get(INVITATION) and not row.details.get(DEACTIVATED)
