from __future__ import annotations

import pytest
from google.api.annotations_pb2 import http
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.transcoding.routes import MethodNotAllowed, PathNotFound, RouteTable, bindings_of
from perdure.kernel.transcoding.templates import parse_template
from tests.support.http_requests import SERVICES


def service(**paths: str) -> ServiceDescriptor:
    """A service with these paths to GET, whose request has strings `a`, `b`, `c`, a repeated one `r`, itself `m`."""
    file = FileDescriptorProto(name=f"{hash(tuple(paths.items()))}.proto", package="toy", syntax="proto3")
    request = file.message_type.add(name="Request")
    for number, name in enumerate("abc", 1):
        request.field.add(name=name, number=number, type=FieldDescriptorProto.TYPE_STRING, label=1)
    request.field.add(name="r", number=8, type=FieldDescriptorProto.TYPE_STRING, label=3)
    request.field.add(name="m", number=9, type=FieldDescriptorProto.TYPE_MESSAGE, type_name=".toy.Request", label=1)
    made = file.service.add(name="Toy")
    for name, path in paths.items():
        rpc = made.method.add(name=name, input_type=".toy.Request", output_type=".toy.Request")
        rpc.options.Extensions[http].get = path
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindServiceByName("toy.Toy")


def table(**paths: str) -> RouteTable:
    return RouteTable(bindings_of(service(**paths)))


def found(routes: RouteTable, path: str) -> tuple[str, dict[str, str]]:
    match = routes.find("GET", path)
    return match.binding.rpc.name, match.variables


def test_literals_are_preferred_to_variables() -> None:
    routes = table(Any="/x/{a}", Exact="/x/y", Deep="/x/{a}/z", Other="/x/y/{b}")
    assert found(routes, "/x/y") == ("Exact", {})
    assert found(routes, "/x/q") == ("Any", {"a": "q"})
    assert found(routes, "/x/y/z") == ("Other", {"b": "z"})
    assert found(routes, "/x/q/z") == ("Deep", {"a": "q"})


def test_a_dead_end_behind_a_literal_is_left_again() -> None:
    routes = table(One="/x/y/z", Two="/x/{a}/w")
    assert found(routes, "/x/y/w") == ("Two", {"a": "y"})


def test_variables_may_have_patterns() -> None:
    routes = table(One="/v1/{a=shelves/*}/{m.b}", Rest="/v2/{a=files/**}", All="/v3/{c=**}")
    assert found(routes, "/v1/shelves/7/x") == ("One", {"a": "shelves/7", "m.b": "x"})
    assert found(routes, "/v2/files/a/b/c") == ("Rest", {"a": "files/a/b/c"})
    assert found(routes, "/v3/") == ("All", {"c": ""})


def test_verbs_come_after_the_last_colon() -> None:
    routes = table(Plain="/x/{a}", Verb="/x/{a}:stop", Bare="/x:list")
    assert found(routes, "/x/1:stop") == ("Verb", {"a": "1"})
    assert found(routes, "/x/1:2:stop") == ("Verb", {"a": "1:2"})
    assert found(routes, "/x/1:other") == ("Plain", {"a": "1:other"})
    assert found(routes, "/x/1%3Astop") == ("Plain", {"a": "1:stop"})
    assert found(routes, "/x:list") == ("Bare", {})


def test_encoded_slashes_separate_nothing() -> None:
    routes = table(One="/x/{a}", Many="/y/{a=**}")
    assert found(routes, "/x/a%2Fb%20c%25") == ("One", {"a": "a/b c%"})
    assert found(routes, "/y/a%2Fb/c%20d") == ("Many", {"a": "a%2Fb/c d"})


@pytest.mark.parametrize("path", ["", "/", "x/1", "/x", "/x/", "//1", "/x/1/", "/x/1/2", "/X/1", "*", "/x/1:"])
def test_other_paths_are_not_found(path: str) -> None:
    routes = table(One="/x/{a}/y")
    with pytest.raises(PathNotFound):
        routes.find("GET", path)


def test_wildcards_in_a_path_are_values() -> None:
    routes = table(One="/x/{a}", Rest="/y/{b=**}")
    assert found(routes, "/x/*") == ("One", {"a": "*"})
    assert found(routes, "/y/**") == ("Rest", {"b": "**"})


def test_other_methods_are_named() -> None:
    routes = RouteTable(bindings_of(SERVICES[0]))
    with pytest.raises(MethodNotAllowed, match="does not support PATCH, but DELETE, GET, POST") as refused:
        routes.find("PATCH", "/cloud/users/1")
    assert refused.value.allow == ("DELETE", "GET", "POST")


@pytest.mark.parametrize("path", ["/x/%FF", "/x/" + "a" * 20_000])
def test_bad_paths_are_the_callers_error(path: str) -> None:
    with pytest.raises(InvalidArgument, match="path is"):
        table(One="/x/{a}").find("GET", path)


@pytest.mark.parametrize("path", ["x", "/x/{a", "/x/a}", "/x/{a=**}/y", "/x//y", "/{a=}", "/x{a}", ""])
def test_malformed_templates_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path template"):
        parse_template(path)


@pytest.mark.parametrize("path", ["/{z}", "/{r}", "/{m}", "/{m.z}", "/{a.b}", "/{r.a}"])
def test_paths_whose_variables_are_no_scalar_fields_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"toy\.Request has no|cannot be part of a path"):
        table(One=path)


def test_two_rpcs_of_one_path_are_refused() -> None:
    with pytest.raises(ValueError, match="bound twice"):
        table(One="/x/{a}", Two="/x/{b}")


def test_all_annotated_rpcs_have_routes() -> None:
    routes = RouteTable(binding for each in SERVICES for binding in bindings_of(each))
    bound = {binding.rpc_path for binding in routes.bindings}
    annotated = {
        f"/{each.full_name}/{rpc.name}"
        for each in SERVICES
        for rpc in each.methods
        if rpc.GetOptions().HasExtension(http)
    }
    assert bound == annotated
    assert len([path for path in bound if "CloudService" in path]) == len(SERVICES[0].methods)
