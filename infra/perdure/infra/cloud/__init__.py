"""`perdure cloud`: what people do with their account in a cloud, from a shell."""

from __future__ import annotations

import typer

from perdure.infra.cloud import login, machines, people, sign_on, special
from perdure.infra.cloud.certificates import cert
from perdure.infra.cloud.commands import groups
from perdure.infra.cloud.resources import RESOURCES

cloud = typer.Typer(help="Accounts, namespaces, keys and certificates.", no_args_is_help=True)
cloud.add_typer(cert, name="cert")
_groups = groups(RESOURCES)
login.extend(cloud)
special.extend(cloud, _groups)
machines.extend(cloud, _groups)
people.extend(cloud, _groups)
sign_on.extend(_groups)
for _name, _group in _groups.items():
    cloud.add_typer(_group, name=_name)

__all__ = ["cloud"]
