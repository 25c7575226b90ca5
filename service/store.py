"""The people in MySQL. The only module that knows their table."""

from service.config import Config
from service.database import Database, DuplicateKey, Row
from service.errors import NicknameTaken, Unavailable
from service.person import Person, has_control_character
from service.search import plan

SCHEMA = "schema 1"  # the comment of the table in db/schema.sql
SEARCH_LIMIT = 50

# A person comes as one column, since each column of an answer costs the client as much as a row. Unit
# separators part the fields: no field has a control character, and CONCAT_WS leaves a NULL stack out.
_PERSON = "CONCAT_WS(CHAR(31 USING utf8mb4), HEX(id), apelido, nome, nascimento, stack)"
# An id goes as X'…', in hexadecimal: the driver escapes bytes one by one.
_INSERT = "INSERT INTO pessoas (id, apelido, nome, nascimento, stack) VALUES (X%s, %s, %s, %s, %s)"
_BY_ID = f"SELECT {_PERSON} FROM pessoas WHERE id = X%s"
_BY_SCAN = f"SELECT {_PERSON} FROM pessoas WHERE busca LIKE %s LIMIT {SEARCH_LIMIT}"
_BY_TRIGRAMS = (
    f"SELECT {_PERSON} FROM pessoas "
    f"WHERE MATCH (busca) AGAINST (%s IN BOOLEAN MODE) AND busca LIKE %s LIMIT {SEARCH_LIMIT}"
)
_COUNT = "SELECT COUNT(*) FROM pessoas"
_SCHEMA = "SELECT table_comment FROM information_schema.tables WHERE table_schema = %s AND table_name = 'pessoas'"


class PeopleStore:
    """People that outlive every process: what `add` has returned from is on disk and found by all.

    Every method raises Unavailable when MySQL does not answer. Make the store after forking.
    """

    def __init__(self, config: Config) -> None:
        self._database = Database(config)
        self._name = config.db_name

    def add(self, person: Person) -> None:
        """Store `person`, durably; raise NicknameTaken if another person has the nickname."""
        identifier, nickname, name, birth_date, stack = person
        skills = None if stack is None else "\n".join(stack)
        try:
            self._database.insert(_INSERT, (identifier.hex(), nickname, name, birth_date, skills))
        except DuplicateKey as error:
            if not (error.sent_before and self.get(identifier)):
                raise NicknameTaken("the nickname is taken") from None

    def get(self, identifier: bytes) -> Person | None:
        """Return the person with this id, or None."""
        rows = self._database.read(_BY_ID, (identifier.hex(),))
        return _person(rows[0]) if rows else None

    def search(self, term: str) -> list[Person]:
        """Return at most 50 people with `term` in a field, all of them if there are fewer."""
        if has_control_character(term):
            return []  # nobody's field has one, but the text that joins the fields does
        trigrams, pattern = plan(term)
        if trigrams:
            words = " ".join(f'+"{trigram}"' for trigram in trigrams)
            rows = self._database.read(_BY_TRIGRAMS, (words, pattern))
        else:
            rows = self._database.read(_BY_SCAN, (pattern,))
        return [_person(row) for row in rows]

    def count(self) -> int:
        """Return the number of people at this moment."""
        return int(self._database.read(_COUNT)[0][0])

    def check(self) -> None:
        """Return if MySQL answers and has the schema of this release."""
        found = [comment for (comment,) in self._database.read(_SCHEMA, (self._name,))]
        if found != [SCHEMA]:
            raise Unavailable(f"the database has {found[0] if found else 'no schema'}, not {SCHEMA}")


def _person(row: Row) -> Person:
    identifier, nickname, name, birth_date, *stack = row[0].split("\x1f")
    skills = None if not stack else stack[0].split("\n") if stack[0] else []
    return Person(bytes.fromhex(identifier), nickname, name, birth_date, skills)
