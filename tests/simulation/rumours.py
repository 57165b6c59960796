"""News as it may be: lost, late, repeated and false."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from perdure.kernel.news import Topic
from tests.simulation.steps import OWNER, Owner


class Rumours:
    """What travels between all processes."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._listeners: list[tuple[Topic, Callable[[], None], Owner | None]] = []
        #: The part of news that is lost.
        self.loss = 0.1

    def tell(self, topic: Topic) -> None:
        chance, loop = self._chance, asyncio.get_running_loop()
        for listening, heard, owner in self._listeners:
            if listening is topic and owner is not None and not owner.dead:
                for _ in range(0 if chance.random() < self.loss else chance.choice((1, 1, 1, 2))):
                    loop.call_later(chance.choice((0.001, 0.01, 0.3)), heard, context=owner.context())

    def listen(self, topic: Topic, heard: Callable[[], None]) -> None:
        self._listeners.append((topic, heard, OWNER.get()))

    def invent(self) -> None:
        """Say something that is not so."""
        self.tell(self._chance.choice(list(Topic)))
