"""The oracle of search: LIKE on each field by itself, under the collation of the search column."""

import unicodedata
from collections.abc import Callable

from ops.stack.mysql import connect_as_root
from service.person import Person
from service.search import Sample, SearchPlan, plan_search
from service.search_key import Weights
from service.store import PeopleStore
from tests.support.mysql import fetch_rows
from tests.support.stack import RunningStack

WeightsOf = Callable[[str], Weights]
Planner = Callable[[str, WeightsOf, Sample], SearchPlan]


class Oracle:
    """Knows each field of each person, and asks MySQL of each field by itself whether it contains a term."""

    def __init__(self, stack: RunningStack) -> None:
        self._connection = connect_as_root(stack.directory.mysql_socket, database="rinha")
        self._cursor = self._connection.cursor()
        self._cursor.execute("CREATE TEMPORARY TABLE fields (id BINARY(16), field TEXT COLLATE utf8mb4_0900_ai_ci)")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def read_table(self) -> None:
        """Take the people from the table."""
        self._cursor.execute("DELETE FROM fields")
        for identifier, nickname, name, skills in fetch_rows(
            self._cursor, "SELECT id, apelido, nome, stack FROM pessoas"
        ):
            self._add(identifier, nickname, name, *(skills or "").split("\n"))

    def add(self, person: Person) -> None:
        """Take a person who has been stored."""
        self._add(person.id, person.nickname, person.name, *(person.skills or ()))

    def matches(self, term: str) -> set[bytes]:
        """Return the ids of all people with the term in a field."""
        pattern = "%" + "".join("\\" + c if c in "\\%_" else c for c in unicodedata.normalize("NFC", term)) + "%"
        found = fetch_rows(self._cursor, "SELECT DISTINCT id FROM fields WHERE field LIKE %s", (pattern,))
        return {identifier for (identifier,) in found}

    def _add(self, identifier: bytes, *fields: str) -> None:
        self._cursor.executemany("INSERT INTO fields VALUES (%s, %s)", [(identifier, field) for field in fields])


def search_error(store: PeopleStore, oracle: Oracle, term: str) -> str | None:
    """Return how the result of a search differs from the oracle's, None if it does not."""
    found = [person.id for person in store.search(term)]
    expected = oracle.matches(term)
    if len(found) != len(set(found)):
        return f"{term!r}: a person twice"
    if not set(found) <= expected:
        return f"{term!r}: {len(set(found) - expected)} wrong"
    if len(found) != min(len(expected), 50):
        return f"{term!r}: {len(found)} of {len(expected)}"
    return None


def plan_full_text(term: str, weights_of: WeightsOf, sample: Sample) -> SearchPlan:
    """Return a plan that uses the full-text index wherever it can help, as for a large table."""
    plan = plan_search(term, weights_of, sample)
    return plan._replace(scan_first=False) if plan.ngrams else plan


def plan_without_sample(term: str, weights_of: WeightsOf, sample: Sample) -> SearchPlan:
    """Return a plan that uses the full-text index without a sample of the table."""
    return plan_full_text(term, weights_of, Sample())


def plan_many_statements(term: str, weights_of: WeightsOf, sample: Sample) -> SearchPlan:
    """Return a plan with one statement for each alphabet, as for very long posting lists."""
    return plan_full_text(term, weights_of, sample)._replace(postings_per_row=1e6)
