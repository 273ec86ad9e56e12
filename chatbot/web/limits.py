"""Limits that hold before any model work: message length, messages a minute, turns at once, sign-in attempts."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from chatbot.errors import BusyError, RateError, TooLongError, TurnError

ADDRESS_FACTOR = 10  # an address may stand for an office or a school
REQUESTS_PER_MINUTE = 600  # POST requests of one address, whatever they ask for
SIGN_INS_PER_NAME = 10  # a minute
SIGN_INS_PER_ADDRESS = 20  # a minute
KEPT_SESSIONS = 20_000


class Limits:
    """Counts in memory, for one process.

    Args:
        message_characters: The longest message, in characters.
        messages_per_minute: Messages of one visitor; ten times as many of one address.
        waiting_turns: Turns that run or wait at the same time, all visitors together.
    """

    def __init__(self, message_characters: int, messages_per_minute: int, waiting_turns: int) -> None:
        self.message_characters = message_characters
        self._per_visitor = RateLimitItemPerMinute(messages_per_minute)
        self._per_address = RateLimitItemPerMinute(messages_per_minute * ADDRESS_FACTOR)
        self._rates = MovingWindowRateLimiter(MemoryStorage())
        self._slots = threading.BoundedSemaphore(waiting_turns)

    def admit(self, visitor_id: str, address: str, content: str) -> None:
        """Count a message, or refuse it.

        Raises:
            TooLongError: the message is longer than the limit.
            TurnError: the message is empty.
            RateError: the visitor or the address has sent too many messages.
        """
        if not content.strip():
            raise TurnError("The message is empty. Write something first.")
        if len(content) > self.message_characters:
            raise TooLongError(
                f"The message has {len(content):,} characters; at most {self.message_characters:,} can be sent. "
                "Shorten it or send it in parts."
            )
        self._count("You are writing very fast.", self._per_visitor, "visitor", visitor_id)
        self._count("Too many messages come from this address.", self._per_address, "address", address)

    def admit_request(self, address: str) -> None:
        """Count a POST request of an address.

        Raises:
            RateError: too many in a minute.
        """
        self._count("Too many requests.", RateLimitItemPerMinute(REQUESTS_PER_MINUTE), "request", address)

    def admit_sign_in(self, name: str, address: str) -> None:
        """Count an attempt to sign in, before the password is looked at.

        Raises:
            RateError: too many in a minute, for the name or the address.
        """
        sentence = "Too many attempts to sign in."
        self._count(sentence, RateLimitItemPerMinute(SIGN_INS_PER_ADDRESS), "sign-in-address", address)
        self._count(sentence, RateLimitItemPerMinute(SIGN_INS_PER_NAME), "sign-in-name", name.casefold())

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold one of the places for turns.

        Raises:
            BusyError: all places are taken.
        """
        if not self._slots.acquire(blocking=False):
            raise BusyError("Many people are asking just now. Please try again in a minute.")
        try:
            yield
        finally:
            self._slots.release()

    def _count(self, sentence: str, item: RateLimitItem, *identifiers: str) -> None:
        if self._rates.hit(item, *identifiers):
            return
        seconds = max(1.0, self._rates.get_window_stats(item, *identifiers).reset_time - time.time())
        raise RateError(f"{sentence} Please wait {seconds:.0f} seconds and try again.", seconds)


@dataclass(slots=True)
class RunningTurn:
    """A turn that is being answered; `left` says that its page shows something else now."""

    cancelled: threading.Event = field(default_factory=threading.Event)
    left: bool = False


class Turns:
    """The turns that are being answered, so that a visitor can stop theirs, and who owns a page's session.

    A page names its session itself; the first visitor that uses the name owns it, and no other may read its events.
    """

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], RunningTurn] = {}
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def start(self, visitor_id: str, session: str) -> Iterator[RunningTurn]:
        """Give the running turn; leaving the block for whatever reason cancels it.

        Raises:
            BusyError: this page waits for a reply already.
        """
        turn, key = RunningTurn(), (visitor_id, session)
        with self._lock:
            if key in self._running:
                raise BusyError("The reply to your last message is still being written. Wait for it or stop it.")
            self._running[key] = turn
        try:
            yield turn
        finally:
            turn.cancelled.set()
            with self._lock:
                if self._running.get(key) is turn:
                    del self._running[key]

    def stop(self, visitor_id: str, session: str, *, leave: bool = False) -> None:
        """Cancel the visitor's turn on this page, if there is one.

        With `leave` the page goes on to something else: nothing of this turn may be shown on it any more, and another
        turn may start.
        """
        with self._lock:
            turn = self._running.get((visitor_id, session))
            if turn is None:
                return
            turn.left = leave
            turn.cancelled.set()
            if leave:
                del self._running[visitor_id, session]

    def stop_all(self) -> None:
        """Cancel every turn, when the server goes down."""
        with self._lock:
            for turn in self._running.values():
                turn.cancelled.set()

    def owns(self, visitor_id: str | None, session: str) -> bool:
        """Say whether the visitor may use the session; an unused session becomes theirs."""
        with self._lock:
            owner = self._owners.get(session)
            if owner is None and visitor_id is not None:
                self._owners[session] = visitor_id
                while len(self._owners) > KEPT_SESSIONS:
                    self._owners.popitem(last=False)
                return True
            return owner == visitor_id
