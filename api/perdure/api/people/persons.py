"""A new login."""

from __future__ import annotations

from perdure.api.calls import ControlCall
from perdure.api.data.person_tables import PersonRow


def new_person(call: ControlCall, email: str, password_hash: str) -> PersonRow:
    """Of somebody who has shown that the mail to this address reaches him."""
    person = PersonRow(
        id=call.new_id(),
        email=email,
        password_hash=password_hash,
        mfa_secret="",
        mfa_pending="",
        mfa_step=0,
        last_account_id="",
        created_at_ns=call.now_ns,
    )
    call.transaction.people.add(person)
    return person
