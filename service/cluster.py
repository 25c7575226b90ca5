"""The members of a MySQL group as one database: writes go to the primary, reads to a secondary.

A secondary may lack what the group has just committed. After `wait_for_group`, reads see all of it. So a person that
one member has stored is found at once on every other member.
"""

import random
import time
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from service.config import Config
from service.database import Database, DuplicateKey, Row
from service.errors import SearchTimeout, Unavailable
from service.member import Doubtful, Member
from service.metrics import DOUBTFUL_INSERTS

REST = 2.0  # seconds for which a member that failed is asked only if no other member answers
REVIEW_INTERVAL = 15.0  # seconds after which a reader looks for a better member
GIVE_UP = 0.5  # seconds for which no request waits for a primary, after one has waited in vain
LOOK_PAUSE = 0.05  # seconds between two looks for the primary

Answer = TypeVar("Answer")


class Cluster(Database):
    """Reads from one member while that member answers, and writes to the primary wherever it is.

    Its methods mean what those of Database mean.
    """

    def __init__(self, config: Config, name: str = "") -> None:
        self._timeout = config.db_timeout
        self._members = [Member(one, name) for one in config.members()]
        self._rests_until = [0.0] * len(self._members)
        self._reader: int | None = None
        self._primary: int | None = None
        self._last_primary: int | None = None
        self._switches = 0
        self._review_at = 0.0
        self._given_up_until = 0.0
        self.select_timeout_ms = self._members[0].select_timeout_ms

    @property
    def connections(self) -> int:
        """The number of connections made so far, and of changes from one member to another."""
        return self._switches + sum(member.connections for member in self._members)

    def insert(self, statement: str, values: Sequence[str | None]) -> None:
        """Insert a row as Database does, on the primary; look for a new primary while the time lasts."""
        now = time.monotonic()
        deadline = now if now < self._given_up_until else now + 1.4 * self._timeout
        # The group is slow while a member joins or leaves. What this leaves of twice the timeout is for all else.
        end = now + 1.92 * self._timeout
        was_repeated = False
        while True:
            try:
                self._find_primary().insert_once(statement, values, max(end - time.monotonic(), LOOK_PAUSE))
                break
            except DuplicateKey:
                raise DuplicateKey(was_repeated) from None
            except Doubtful:
                was_repeated = True
            except Unavailable:  # not executed
                pass
            if self._primary is not None:
                self._last_primary, self._primary = self._primary, None
            if time.monotonic() > deadline:
                self._give_up(was_repeated)
            time.sleep(LOOK_PAUSE)
        if was_repeated:
            DOUBTFUL_INSERTS.labels("stored_by_repetition").increment()

    def _give_up(self, is_doubtful: bool) -> NoReturn:
        self._given_up_until = time.monotonic() + GIVE_UP
        if is_doubtful:
            DOUBTFUL_INSERTS.labels("unknown").increment()
        raise Unavailable("the database did not answer in time, or is choosing a primary")

    def wait_for_group(self) -> bool:
        """Wait until `read` sees all that the group has committed; raise Unavailable if no member can wait."""
        if self._ask(Member.catch_up) == "PRIMARY":
            self._primary = self._reader
        return True

    def read(self, statement: str, values: Sequence[str | None] = ()) -> Sequence[Row]:
        """Return the rows of a SELECT as Database does, on the member that `wait_for_group` has waited for.

        If that member fails, another one waits for the group, and answers.
        """
        if self._reader is not None:
            try:
                return self._members[self._reader].read(statement, values)
            except SearchTimeout:
                raise
            except Unavailable:
                self._rest(self._reader)

        def catch_up_and_read(member: Member) -> Sequence[Row]:
            member.catch_up()
            return member.read(statement, values)

        return self._ask(catch_up_and_read)

    def read_any(self, statement: str, values: Sequence[str | None] = ()) -> Sequence[Row]:
        """Return the rows of a SELECT of rows that never change, on any member, without waiting for the group."""
        return self._ask(lambda member: member.read(statement, values))

    def _ask(self, question: Callable[[Member], Answer]) -> Answer:
        """Return the answer of the first member that has one, and use this member from now on."""
        started = time.monotonic()
        for number in self._order():
            try:
                answer = question(self._members[number])
            except SearchTimeout:
                raise
            except Unavailable:
                self._rest(number)
                if time.monotonic() - started > self._timeout:
                    break
                continue
            if number != self._reader:
                self._reader = number
                self._switches += 1
            return answer
        raise Unavailable("the database did not answer in time, or answered with an error")

    def _order(self) -> list[int]:
        """Return the members in the order in which they are asked: first the one in use, the primary last."""
        now = time.monotonic()
        if now > self._review_at:
            self._review_at = now + REVIEW_INTERVAL
            self._reader = None
        others = random.sample(range(len(self._members)), len(self._members))
        return sorted(others, key=lambda one: (now < self._rests_until[one], one != self._reader, one == self._primary))

    def _rest(self, number: int) -> None:
        self._rests_until[number] = time.monotonic() + REST
        if number == self._reader:
            self._reader = None

    def _find_primary(self) -> Member:
        """Return the member that accepts writes; raise Unavailable if no member says so."""
        if self._primary is None:
            # A primary that has just failed is asked last, because it may not answer in time.
            numbers = sorted(range(len(self._members)), key=lambda number: number == self._last_primary)
            self._primary = next((number for number in numbers if self._is_primary(number)), None)
        if self._primary is None:
            raise Unavailable("the database is choosing a primary")
        return self._members[self._primary]

    def _is_primary(self, number: int) -> bool:
        if time.monotonic() < self._rests_until[number]:
            return False
        try:
            return self._members[number].role() == "PRIMARY"
        except Unavailable:
            self._rest(number)
            return False
