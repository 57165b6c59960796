"""A Redis of a test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from perdure.infra.redis import RedisNews
from perdure.kernel.entropy import Entropy
from tests.support.news import Listener


@asynccontextmanager
async def connected(url: str, cluster_id: str = "a-cluster") -> AsyncIterator[tuple[RedisNews, Listener]]:
    """News that have heard the greeting of every topic, which follows each connect."""
    news = RedisNews(url, cluster_id, Entropy())
    listener = Listener(news)
    news.start()
    try:
        for topic in listener.heard:
            await listener.hears(topic)
        yield news, listener
    finally:
        await news.stop()
