"""Peers of other versions."""

from __future__ import annotations

from perdure.infra.rpc.failures import Failure, to_exception
from perdure.kernel.errors import Internal, NotFound


def test_an_error_of_a_later_version_is_internal() -> None:
    error = to_exception(Failure("FromTheFuture", "surprise"))
    assert (type(error), str(error)) == (Internal, "surprise")


def test_a_detail_of_a_later_version_is_left_out() -> None:
    error = to_exception(Failure("NotFound", "gone", "temporal.api.errordetails.v9.Surprise", b"x"))
    assert isinstance(error, NotFound)
    assert (error.message, error.detail) == ("gone", None)


def test_a_detail_that_is_none_is_left_out() -> None:
    error = to_exception(Failure("NotFound", "gone", "temporal.api.errordetails.v1.NotFoundFailure", b"\xff"))
    assert isinstance(error, NotFound)
    assert (error.message, error.detail) == ("gone", None)
