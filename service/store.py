"""The people in MySQL. The only module that knows their table."""

from service.config import Config
from service.database import Database, DuplicateKey, Row
from service.errors import NicknameTaken, TookTooLong, Unavailable
from service.finder import PERSON, Finder, Step
from service.person import Person
from service.search import Plan

LONGEST_WAIT = 32  # seconds that a client is told to wait, at most
SCHEMA = "schema 6"  # the comment of the table in db/schema.sql

# An id goes as X'…', in hexadecimal: the driver escapes bytes one by one.
INSERT = "INSERT INTO pessoas (id, apelido, nome, nascimento, stack) VALUES (X%s, %s, %s, %s, %s)"
_BY_ID = f"SELECT {PERSON} FROM pessoas WHERE id = X%s"
_COUNT = "SELECT pessoas FROM contagem"
_SCHEMA = (
    "SELECT table_comment FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'pessoas'"
)


class PeopleStore:
    """People that outlive every process: what `add` has returned from is on disk and found by all.

    Of all stores with the same `name`, MySQL works for one at a time; without one, a store has a name of its own.

    Every method raises Unavailable when MySQL does not answer. Make the store after forking.
    """

    def __init__(self, config: Config, name: str = "") -> None:
        self._database = Database(config, name)
        self._finder = Finder(self._database)
        self._refused = 0  # searches, one after the other

    def add(self, person: Person) -> None:
        """Store `person`, durably; raise NicknameTaken if another person has the nickname."""
        try:
            self._database.insert(INSERT, insert_values(person))
        except DuplicateKey as error:
            if not (error.sent_before and self.get(person.id)):
                raise NicknameTaken("the nickname is taken") from None

    def get(self, identifier: bytes) -> Person | None:
        """Return the person with this id, or None."""
        rows = self._database.read(_BY_ID, (identifier.hex(),))
        return _person(rows[0]) if rows else None

    def search(self, term: str) -> list[Person]:
        """Return at most 50 people with `term` in a field, all of them if there are fewer.

        Raises TookTooLong if that cannot be done in `Config.db_timeout`. The more searches of this store end so, one
        after the other, the longer a client is told to wait.
        """
        try:
            rows = self._finder.find(term)
        except Unavailable as error:
            error.retry_after = min(1 << self._refused, LONGEST_WAIT)
            self._refused = min(self._refused + 1, LONGEST_WAIT)
            raise
        self._refused = 0
        return [_person(row) for row in rows]

    def explain(self, term: str) -> tuple[Plan, list[Step], list[Person]]:
        """Return the plan for `term`, the statements that took, and what `search` returns: nobody if it was stopped."""
        steps: list[Step] = []
        planned = self._finder.plan(term)  # takes a sample of the table, which a search mostly finds there
        try:
            rows = self._finder.find(term, steps.append)
        except TookTooLong:
            rows = []
        return planned, steps, [_person(row) for row in rows]

    def count(self) -> int:
        """Return the number of people at this moment."""
        return int(self._database.read(_COUNT)[0][0])

    def check(self) -> None:
        """Return if MySQL answers and has the schema of this release."""
        found = [comment for (comment,) in self._database.read(_SCHEMA)]
        if found != [SCHEMA]:
            raise Unavailable(f"the database has {found[0] if found else 'no schema'}, not {SCHEMA}")


def insert_values(person: Person) -> tuple[str | None, ...]:
    """Return the values of INSERT for a person."""
    identifier, nickname, name, birth_date, stack = person
    return identifier.hex(), nickname, name, birth_date, None if stack is None else "\n".join(stack)


def _person(row: Row) -> Person:
    identifier, nickname, name, birth_date, *stack = row[0].split("\x1f")
    skills = None if not stack else stack[0].split("\n") if stack[0] else []
    return Person(bytes.fromhex(identifier), nickname, name, birth_date, skills)
