"""Who owns which partition of a task queue, without asking all members again whenever one of them comes or goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perdure.kernel.ids import NamespaceId
from perdure.kernel.membership import Member, owner, queue_item

#: Namespace, name and number of a partition.
Place = tuple[NamespaceId, str, int]

#: Owners that are remembered; beyond it they are worked out anew.
_KNOWN_MAX = 100_000


class QueueOwners:
    """Owners among the same members. What was known among others before is made use of."""

    def __init__(self, members: Sequence[Member] = (), before: QueueOwners | None = None) -> None:
        self.members = list(members)
        self._known: dict[Place, Member] = {}
        self._earlier: Mapping[Place, Member] = before._known if before else {}
        self._stayed = frozenset(before.members if before else ()).intersection(members)
        self._added = [member for member in members if member not in self._stayed]

    def of(self, place: Place) -> Member | None:
        """The owner; None if there are no members."""
        known = self._known.get(place)
        if known is None and (known := self._work_out(place)) is not None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[place] = known
        return known

    def _work_out(self, place: Place) -> Member | None:
        earlier = self._earlier.get(place)
        if earlier not in self._stayed:
            return owner(queue_item(*place), self.members)
        # It has won against all others that have stayed.
        return owner(queue_item(*place), [earlier, *self._added]) if self._added else earlier
