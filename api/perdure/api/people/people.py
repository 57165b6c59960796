"""What handlers about people have besides what all have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from perdure.api.people.events import Observer, logged
from perdure.api.people.passwords import Passwords
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import FailedPrecondition
from perdure.kernel.namespace import DAY_NS

_HOUR_NS: Final = 3600 * SECOND_NS


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """A session ends when it is not used for `idle_ns`, and in any case after `lifetime_ns`. Of one person's sessions
    beyond `per_person_max` the oldest ends.
    """

    idle_ns: int = 12 * _HOUR_NS
    lifetime_ns: int = 7 * DAY_NS
    per_person_max: int = 50


@dataclass(frozen=True, slots=True)
class People:
    passwords: Passwords
    sessions: SessionLimits = field(default_factory=SessionLimits)
    observe: Observer = logged
    #: Whether whoever comes may make an account for himself.
    sign_up_is_open: bool = True
    #: Whether there is anything that sends mails.
    sends_mails: bool = True

    def check_mails(self) -> None:
        """Raises FailedPrecondition: who waits for a mail would wait in vain."""
        if not self.sends_mails:
            raise FailedPrecondition("This installation sends no mails: its operator has to set control_plane.mail.")
