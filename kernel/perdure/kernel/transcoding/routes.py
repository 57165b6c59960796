"""PURE. Which RPC a method and a path mean: a table made from the annotations of service descriptors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from google.api.annotations_pb2 import http as http_option
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor

from perdure.kernel.errors import InvalidArgument, NotFound, Unimplemented
from perdure.kernel.transcoding.templates import ONE, REST, Template, parse_template

#: Of a path and its query; more than any id that the services accept, encoded, needs.
TARGET_BYTES_MAX = 16 * 1024
WHOLE_BODY = "*"


class PathNotFound(NotFound):
    """No RPC has such a path."""

    def __init__(self) -> None:
        super().__init__("no RPC has this path")


class MethodNotAllowed(Unimplemented):
    """The path is known, with the methods of `allow` only."""

    def __init__(self, method: str, allow: tuple[str, ...]) -> None:
        super().__init__(f"this path does not support {method[:16]}, but {', '.join(allow)}")
        self.allow = allow


@dataclass(frozen=True)
class Binding:
    """One way to call an RPC. `body` is the name of the request's field that the body has, `*` for all of it, or empty
    for none; `response_body` is the field of the response that is answered, or empty for all of it.
    """

    rpc: MethodDescriptor
    method: str
    template: Template
    body: str
    response_body: str

    @property
    def rpc_path(self) -> str:
        """`/package.Service/Method`, as gRPC names it."""
        return f"/{self.rpc.containing_service.full_name}/{self.rpc.name}"


class Match(NamedTuple):
    binding: Binding
    variables: dict[str, str]


def bindings_of(service: ServiceDescriptor) -> Iterator[Binding]:
    """All bindings of a service, in the order of its descriptor; RPCs without annotation and streams have none.

    Raises:
        ValueError: an annotation does not fit the request or response of its RPC.
    """
    for rpc in service.methods:
        if rpc.client_streaming or rpc.server_streaming or not rpc.GetOptions().HasExtension(http_option):
            continue
        rule = rpc.GetOptions().Extensions[http_option]
        for each in (rule, *rule.additional_bindings):
            yield _binding(rpc, each)


def field_at(message: Descriptor, path: str) -> FieldDescriptor:
    """The field at a path of proto names.

    Raises:
        ValueError: there is none.
    """
    *parents, last = path.split(".")
    for parent in parents:
        step = message.fields_by_name.get(parent)
        if step is None or step.message_type is None or step.is_repeated:
            raise ValueError(f"{message.full_name} has no message {parent}, of {path}")
        message = step.message_type
    found = message.fields_by_name.get(last)
    if found is None:
        raise ValueError(f"{message.full_name} has no field {last}, of {path}")
    return found


def _binding(rpc: MethodDescriptor, rule: HttpRule) -> Binding:
    kind = rule.WhichOneof("pattern")
    if kind is None:
        raise ValueError(f"{rpc.full_name}: an annotation without a path")
    method, path = (rule.custom.kind, rule.custom.path) if kind == "custom" else (kind.upper(), getattr(rule, kind))
    template = parse_template(path)
    for variable in template.variables:
        bound = field_at(rpc.input_type, variable.field)
        if bound.is_repeated or bound.message_type is not None:
            raise ValueError(f"{rpc.full_name}: {variable.field} cannot be part of a path")
    if rule.body and rule.body != WHOLE_BODY:
        field_at(rpc.input_type, rule.body)
    if rule.response_body:
        field_at(rpc.output_type, rule.response_body)
    return Binding(rpc, method, template, rule.body, rule.response_body)


@dataclass
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    #: By verb, then by method.
    bindings: dict[str, dict[str, Binding]] = field(default_factory=dict)


class RouteTable:
    """Bindings by their paths. A literal segment is preferred to a variable one, from left to right.

    Raises:
        ValueError: two bindings cannot be told apart.
    """

    def __init__(self, bindings: Iterable[Binding]) -> None:
        self.bindings = tuple(bindings)
        self._root = _Node()
        for binding in self.bindings:
            node = self._root
            for segment in binding.template.segments:
                node = node.children.setdefault(segment, _Node())
            methods = node.bindings.setdefault(binding.template.verb, {})
            if binding.method in methods:
                raise ValueError(f"{binding.method} {binding.template.text} is bound twice")
            methods[binding.method] = binding

    def find(self, method: str, raw_path: str) -> Match:
        """The binding for a path as it is on the wire, percent-encoded.

        Raises:
            PathNotFound: nothing is bound to the path.
            MethodNotAllowed: other methods are.
            InvalidArgument: the path is too long, or is not UTF-8 where it is encoded.
        """
        if len(raw_path) > TARGET_BYTES_MAX:
            raise InvalidArgument(f"path is longer than {TARGET_BYTES_MAX} bytes")
        segments = raw_path.split("/")[1:]
        allow: set[str] = set()
        for bound, plain in self._candidates(segments):
            if binding := bound.get(method):
                try:
                    return Match(binding, binding.template.values(plain))
                except UnicodeDecodeError as error:
                    raise InvalidArgument("path is not UTF-8") from error
            allow.update(bound)
        if allow:
            raise MethodNotAllowed(method, tuple(sorted(allow)))
        raise PathNotFound

    def _candidates(self, segments: list[str]) -> Iterator[tuple[dict[str, Binding], list[str]]]:
        """What is bound to the path, and the path without the verb; the most specific first."""
        last, colon, verb = segments[-1].rpartition(":") if segments else ("", "", "")
        if colon:
            plain = [*segments[:-1], last]
            yield from ((node.bindings[verb], plain) for node in _walk(self._root, plain) if verb in node.bindings)
        yield from ((node.bindings[""], segments) for node in _walk(self._root, segments) if "" in node.bindings)


def _walk(node: _Node, segments: list[str], position: int = 0) -> Iterator[_Node]:
    if position == len(segments):
        yield node
    elif segments[position]:
        # A client's segment may look like a wildcard, but then it is a value.
        if segments[position] not in (ONE, REST) and (literal := node.children.get(segments[position])):
            yield from _walk(literal, segments, position + 1)
        if one := node.children.get(ONE):
            yield from _walk(one, segments, position + 1)
    if rest := node.children.get(REST):
        yield rest
