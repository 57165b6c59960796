"""RPCs as an application, by their HTTP annotations, with a document that describes them and a page to try them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from perdure.frontend.services import Service
from perdure.infra.http import Page
from perdure.infra.rest.application import RestApplication
from perdure.infra.rest.tryit import api_pages
from perdure.kernel.identity import Guard
from perdure.kernel.transcoding.openapi import document
from perdure.kernel.transcoding.routes import RouteTable, bindings_of

_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Api:
    """Services that are described together. For `shorthand` and `bearer` see `RestApplication` and `document`."""

    title: str
    document_path: str
    page_path: str
    shorthand: bool = False
    bearer: bool = True


#: Of everything that workers and their clients call.
DATA_PLANE = Api("Perdure API", "/api/v1/openapi.json", "/api/v1/docs", shorthand=True)
#: Of accounts and their namespaces.
CONTROL_PLANE = Api("Perdure Cloud Ops API", "/cloud/openapi.json", "/cloud/docs")


def rpcs(
    api: Api,
    services: Sequence[Service],
    *,
    guard: Guard | None = None,
    is_open: Callable[[str], bool] = lambda rpc: False,
) -> tuple[RestApplication, Mapping[str, Callable[[], Page]]]:
    """The application, and the pages that go with it. For `guard` and `is_open` see `RestApplication`.

    Raises:
        ValueError: an annotation makes no sense.
    """
    table = RouteTable(binding for service in services for binding in bindings_of(service.descriptor))
    handlers = {
        f"/{service.descriptor.full_name}/{name}": served.endpoint
        for service in services
        for name, served in service.methods.items()
    }
    pages = api_pages(
        lambda: document(table, title=api.title, version=_VERSION, shorthand=api.shorthand, bearer=api.bearer),
        document_path=api.document_path,
        page_path=api.page_path,
    )
    application = RestApplication(table, handlers, shorthand=api.shorthand, guard=guard, is_open=is_open)
    return application, pages
