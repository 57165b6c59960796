"""Passwords: which are good enough, and how they are kept: as argon2id, worked out in threads of their own.

A few at once and no more: each takes tens of milliseconds and megabytes, and whoever sends many must not hold up the
rest of the process. The loop that serves calls never waits for one.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope

from perdure.kernel.entropy import Entropy
from perdure.kernel.errors import InvalidArgument, ResourceExhausted

LENGTH_MIN: Final = 12
LENGTH_MAX: Final = 256
#: What OWASP recommends for argon2id, with one lane: more would only take more threads.
RECOMMENDED: Final = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)

_THREADS = 2
_WAITING_MAX = 64
_SALT_BYTES = 16
#: Of 0 to 4, zxcvbn's word for "somewhat guessable": it withstands tries over the network.
_STRENGTH_MIN = 2
#: More is not looked at: it takes too long, and cannot make it weaker.
_LOOKED_AT_MAX = 72

_T = TypeVar("_T")


class Passwords:
    def __init__(self, entropy: Entropy, hasher: PasswordHasher = RECOMMENDED) -> None:
        self._entropy = entropy
        self._hasher = hasher
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="passwords")
        self._running = 0
        self._nobodys = ""

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def check(self, password: str, field: str, words: Iterable[str] = ()) -> None:
        """Whether it may be somebody's password; `words` are what a stranger would try first.

        Raises:
            InvalidArgument: it is too short, too long, or too easily guessed.
            ResourceExhausted: too many are asked for.
        """
        normal = _normal(password)
        if not LENGTH_MIN <= len(normal) <= LENGTH_MAX:
            raise InvalidArgument(f"{field}: must have from {LENGTH_MIN} to {LENGTH_MAX} characters.")
        if await self._run(lambda: _strength(normal, words)) < _STRENGTH_MIN:
            raise InvalidArgument(f"{field}: is too easy to guess: it is common, or made of what is.")

    async def hash(self, password: str) -> str:
        """Raises ResourceExhausted: too many are asked for."""
        salt = self._entropy.bits(_SALT_BYTES * 8).to_bytes(_SALT_BYTES)
        return await self._run(lambda: self._hasher.hash(_normal(password), salt=salt))

    async def matches(self, password_hash: str, password: str) -> bool:
        """Whether it is the password of this hash. Takes as long if there is none: nobody's password never matches.

        Raises:
            ResourceExhausted: too many are asked for.
        """
        if len(password) > LENGTH_MAX:
            return False
        if not password_hash and not self._nobodys:
            self._nobodys = await self.hash("")
        found = await self._run(lambda: self._verify(password_hash or self._nobodys, password))
        return found and bool(password_hash)

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it was made otherwise than is done now."""
        return self._hasher.check_needs_rehash(password_hash)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, _normal(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], _T]) -> _T:
        if self._running >= _WAITING_MAX:
            raise ResourceExhausted(
                f"too many passwords at once, the limit is {_WAITING_MAX}: try again.",
                ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
                ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_SYSTEM,
            )
        self._running += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # Counted until the thread is done with it, also if whoever asked has gone.
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, future: asyncio.Future[_T]) -> None:
        self._running -= 1
        if not future.cancelled():
            # Otherwise nobody might ask, which asyncio would complain about.
            future.exception()


def _normal(password: str) -> str:
    """The same characters are the same password, whichever keyboard they come from."""
    return unicodedata.normalize("NFKC", password)


def _strength(password: str, words: Iterable[str]) -> int:
    # Half a second and some megabytes, which a process without people need not spend.
    from zxcvbn import zxcvbn

    found: int = zxcvbn(password[:_LOOKED_AT_MAX], user_inputs=[word[:_LOOKED_AT_MAX] for word in words])["score"]
    return found
