"""Redis: carries news between the processes of a cluster, and keeps nothing."""

from perdure.infra.redis.news import RedisNews

__all__ = ["RedisNews"]
