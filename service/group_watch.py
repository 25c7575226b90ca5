"""What the members of a MySQL group tell of themselves, for the metrics. The members are asked when Prometheus asks."""

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import NamedTuple

from service.config import Config
from service.database import Database
from service.errors import SearchTimeout, Unavailable
from service.member import GROUP, ROLE

# Seconds for a statement. Members that do not answer cost a look twice as long; if the primary stops during the look,
# four times. Prometheus waits for 4 s (ops/observability/prometheus.yml).
ANSWER_TIMEOUT = 0.75

_STATE = f"SELECT MAX(IF(member_id = @@server_uuid, member_state, '')), {ROLE}, @@GLOBAL.gtid_executed FROM {GROUP}"
_MISSING = "GTID_SUBTRACT(@@GLOBAL.gtid_executed, %s)"


class MemberState(NamedTuple):
    """A member: its state, the role in which it serves, its GTIDs, and how many transactions it has still to apply.

    A member that does not answer, or accepts no clients, is AWAY. Without a primary the lag is unknown.
    """

    address: str
    state: str = "AWAY"
    role: str = ""
    executed: str = ""
    lag: int | None = None


class GroupWatch:
    """Asks all members at the same time, each on a kept connection of the service's account."""

    def __init__(self, config: Config) -> None:
        settings = replace(config, db_timeout=ANSWER_TIMEOUT, metrics_listen="")  # its statements are not counted
        self._databases = {member.db_hosts: Database(member) for member in settings.members()}
        self._answers: dict[str, Future[MemberState]] = {}
        self._threads = ThreadPoolExecutor(len(self._databases))

    def look(self) -> list[MemberState]:
        """Return the members in the order of DB_HOSTS."""
        for address in self._databases:
            # The answer to an earlier look may be missing still, if the name of a host is looked up for long.
            if address not in self._answers or self._answers[address].done():
                self._answers[address] = self._threads.submit(self._ask, address)
        wait(self._answers.values(), timeout=2 * ANSWER_TIMEOUT)
        members = [
            answer.result() if answer.done() else MemberState(address) for address, answer in self._answers.items()
        ]
        primary = next((member for member in members if member.role == "PRIMARY"), None)
        return self._with_lag(members, primary) if primary else members

    def _ask(self, address: str) -> MemberState:
        try:
            ((state, role, executed),) = self._databases[address].read(_STATE)
        except (Unavailable, SearchTimeout):
            return MemberState(address)
        return MemberState(address, state or "OFFLINE", role or "", executed)

    def _with_lag(self, members: list[MemberState], primary: MemberState) -> list[MemberState]:
        """Return the members with their lags. The primary is asked again, so that no member seems to be ahead of it."""
        answered = [member for member in members if member.state != "AWAY"]
        statement = f"SELECT {', '.join(_MISSING for _ in answered)}"
        try:
            (missing,) = self._databases[primary.address].read(statement, [member.executed for member in answered])
        except (Unavailable, SearchTimeout):
            return members
        lags = {member.address: count_transactions(gtids) for member, gtids in zip(answered, missing, strict=True)}
        lags[primary.address] = 0
        return [member._replace(lag=lags.get(member.address)) for member in members]


def count_transactions(gtids: str) -> int:
    """Return the number of transactions in a set of GTIDs, such as `uuid:1-5:7, uuid:tag:1`."""
    intervals = [part for source in gtids.split(",") for part in source.strip().split(":")[1:] if part[:1].isdigit()]
    ends = [interval.partition("-") for interval in intervals]
    return sum(int(last or first) - int(first) + 1 for first, _, last in ends)
