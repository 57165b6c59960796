"""The table of handlers of ScimService: who serves each route."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.api.calls import Method
from perdure.api.scim import discovery, groups, users

#: By the name of the method.
METHODS: Mapping[str, Method] = {**discovery.METHODS, **groups.METHODS, **users.METHODS}
