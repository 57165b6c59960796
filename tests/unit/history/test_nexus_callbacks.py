"""Callbacks whose tokens name operations of somebody else."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from perdure.history.nexus_messages import CALLBACK_TOKEN, CALLBACK_URL, Caller, token_of
from perdure.history.state.nexus import CallbackState
from perdure.kernel import mail
from perdure.kernel.ids import NamespaceId, NamespaceName, WorkflowKey
from perdure.kernel.namespace import Namespace
from tests.differential import commands as c
from tests.support.history import NAMESPACE, HistoryBench, with_history

THEIRS = NamespaceId("theirs")


@dataclass
class Accounts:
    """A directory in which the namespace of the bench and another one are of these accounts."""

    ours: str
    theirs: str

    async def by_id(self, namespace_id: NamespaceId, *, fresh: bool = False) -> Namespace:
        if namespace_id == THEIRS:
            return Namespace(THEIRS, NamespaceName("theirs"), account_id=self.theirs)
        return msgspec.structs.replace(NAMESPACE, account_id=self.ours)


@pytest.mark.parametrize(("theirs", "delivered"), [("acme", True), ("globex", False), ("", False)])
def test_the_end_of_a_run_is_told_within_its_account_only(theirs: str, delivered: bool) -> None:
    letters: list[WorkflowKey] = []

    async def deliver(to: WorkflowKey, letter: mail.Letter) -> str:
        letters.append(to)
        return ""

    async def main(bench: HistoryBench) -> None:
        bench.service.engine.directory = Accounts("acme", theirs)  # type: ignore[assignment]
        bench.service.deliver = deliver  # type: ignore[method-assign]
        token = token_of(Caller(THEIRS, "caller", "run", 5, "request"))
        key = await bench.start(
            "handler", completion_callbacks=[{"nexus": {"url": CALLBACK_URL, "header": {CALLBACK_TOKEN: token}}}]
        )
        await bench.turn(c.complete())
        callback = (await bench.loaded(key)).state.callbacks[0]
        await bench.until(lambda: callback.state is not CallbackState.SCHEDULED)
        wanted = CallbackState.SUCCEEDED if delivered else CallbackState.FAILED
        assert (callback.state, bool(letters)) == (wanted, delivered)

    with_history(main)


@pytest.mark.parametrize(
    "token", ["", "{}", "[]", "null", '{"d": 5}', '{"d": "AAAA"}', '{"d": "=="}', "\ud800", "[" * 20_000]
)
def test_tokens_that_are_none_end_the_callback(token: str) -> None:
    async def main(bench: HistoryBench) -> None:
        header = {CALLBACK_TOKEN: token.encode("utf-8", "replace").decode()}
        key = await bench.start("handler", completion_callbacks=[{"nexus": {"url": CALLBACK_URL, "header": header}}])
        await bench.turn(c.complete())
        callback = (await bench.loaded(key)).state.callbacks[0]
        await bench.until(lambda: callback.state is not CallbackState.SCHEDULED)
        assert callback.state is CallbackState.FAILED

    with_history(main)
