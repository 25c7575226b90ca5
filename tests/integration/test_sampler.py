"""A sample has rows of all ages, each with the share of its age in the table."""

import pytest

from service.database import Database
from service.sampler import Sampler
from tests.support.mysql import root_cursor
from tests.support.stack import RunningStack

LOADED, LATER = 4000, 100
START = 1_700_000_000_000
YEAR = 365 * 86_400_000  # milliseconds


@pytest.fixture
def loaded(operator_stack: RunningStack) -> Database:
    """Return a table in which nearly all rows are of one second, and the other rows of the following year."""
    insert = "INSERT INTO pessoas (id, apelido, nome, nascimento) VALUES (%s, %s, %s, '2000-01-01')"
    rows = [(START + number // 4, f"loaded{number}", "Zulmira") for number in range(LOADED)]
    rows += [(START + YEAR * number // LATER, f"later{number}", "Ubirajara") for number in range(1, LATER + 1)]
    with root_cursor(operator_stack) as cursor:
        cursor.execute("DELETE FROM pessoas")
        cursor.executemany(
            insert, [((time << 80 | number).to_bytes(16), *row) for number, (time, *row) in enumerate(rows)]
        )
    return Database(operator_stack.config)


def test_a_load_of_one_second_has_its_share_of_the_sampled_places(loaded: Database) -> None:
    places = Sampler(loaded)._random_ids(200, LOADED + LATER)

    assert sum(int(place, 16) >> 80 <= START + 1000 for place in places) > 150
