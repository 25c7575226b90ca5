"""The people in MySQL: what is stored, read, searched and counted in their table."""

from service.cluster import Cluster
from service.config import Config
from service.database import Database, DuplicateKey, Row
from service.errors import NicknameTaken, SearchTimeout, Unavailable
from service.finder import Finder
from service.metrics import DOUBTFUL_INSERTS, SEARCH_TIMEOUTS
from service.person import Person
from service.preconditions import Preconditions
from service.search import SearchPlan
from service.statements import PERSON
from service.timed_reader import Step

MAX_RETRY_AFTER = 32  # seconds
SCHEMA = "schema 6"  # the comment of the table in db/schema.sql

COLUMNS = "id, apelido, nome, nascimento, stack"
# The id is hexadecimal (X'…'), because PyMySQL escapes bytes one at a time.
INSERT = f"INSERT INTO pessoas ({COLUMNS}) VALUES (X%s, %s, %s, %s, %s)"
_BY_ID = f"SELECT {PERSON} FROM pessoas WHERE id = X%s"
_COUNT = "SELECT pessoas FROM contagem"


class PeopleStore:
    """Stores people durably. A person that `add` has stored is found at once by every other method and process.

    MySQL executes at most one statement at a time for all stores of one `name`. A store without a name has its own.

    Every method raises Unavailable if MySQL does not answer. Create the store after forking.
    """

    def __init__(self, config: Config, name: str = "") -> None:
        self._database = Cluster(config, name) if config.db_hosts else Database(config, name)
        self._finder = Finder(self._database)
        self._preconditions = Preconditions(self._database, SCHEMA, config.workers)
        self._failed_searches = 0  # in succession

    def add(self, person: Person) -> None:
        """Store `person`; raise NicknameTaken if another person has the nickname."""
        try:
            self._database.insert(INSERT, insert_values(person))
        except DuplicateKey as error:
            if not (error.was_repeated and self._was_stored(person.id)):
                raise NicknameTaken("the nickname is taken") from None

    def _was_stored(self, identifier: bytes) -> bool:
        """Return whether the first attempt of an INSERT, whose reply was lost, stored the person."""
        outcome = "unknown"
        try:
            outcome = "stored_at_first" if self.get(identifier) else "taken"
            return outcome == "stored_at_first"
        finally:
            DOUBTFUL_INSERTS.labels(outcome).increment()

    def get(self, identifier: bytes) -> Person | None:
        """Return the person with this id, or None."""
        rows = self._database.read_any(_BY_ID, (identifier.hex(),))
        if not rows and self._database.wait_for_group():
            rows = self._database.read(_BY_ID, (identifier.hex(),))
        return _parse_row(rows[0]) if rows else None

    def search(self, term: str) -> list[Person]:
        """Return at most 50 people with `term` in a field, all of them if there are fewer.

        Raises SearchTimeout if the search takes longer than `Config.db_timeout`. The more searches of this store fail
        in succession, the later a client is asked to retry.
        """
        try:
            rows = self._finder.find(term)
        except Unavailable as error:
            if isinstance(error, SearchTimeout):
                SEARCH_TIMEOUTS.labels().increment()
            error.retry_after = min(1 << self._failed_searches, MAX_RETRY_AFTER)
            self._failed_searches = min(self._failed_searches + 1, MAX_RETRY_AFTER)
            raise
        self._failed_searches = 0
        return [_parse_row(row) for row in rows]

    def explain(self, term: str) -> tuple[SearchPlan, list[Step], list[Person]]:
        """Return the plan for `term`, the statements executed, and the people found; none if the search timed out."""
        steps: list[Step] = []
        plan = self._finder.plan(term)  # takes the sample, which most searches find already taken
        try:
            rows = self._finder.find(term, steps.append)
        except SearchTimeout:
            rows = []
        return plan, steps, [_parse_row(row) for row in rows]

    def count(self) -> int:
        """Return the number of people."""
        self._database.wait_for_group()
        return int(self._database.read(_COUNT)[0][0])

    def check(self) -> None:
        """Return if MySQL answers and has all that the promises rest on; otherwise raise Unavailable."""
        self._database.wait_for_group()
        self._preconditions.check()

    def lost_rows(self, places: int) -> int:
        """Return how many rows at random `places` of the table are not found by full text."""
        return self._preconditions.lost_rows(places)


def insert_values(person: Person) -> tuple[str | None, ...]:
    """Return the values of INSERT for a person."""
    identifier, nickname, name, birth_date, skills = person
    return identifier.hex(), nickname, name, birth_date, None if skills is None else "\n".join(skills)


def _parse_row(row: Row) -> Person:
    identifier, nickname, name, birth_date, *rest = row[0].split("\x1f")
    skills = None if not rest else rest[0].split("\n") if rest[0] else []
    return Person(bytes.fromhex(identifier), nickname, name, birth_date, skills)
