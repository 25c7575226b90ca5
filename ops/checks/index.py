"""Checks the full-text index: looks people up in it, and puts lost ones into it again."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from pymysql.cursors import Cursor

from ops.checks.finding import Finding, query
from ops.console import Progress, Share
from service.search import ngrams_of
from service.store import COLUMNS, INSERT, PeopleStore

NEWEST = 50_000  # people that are looked up in the full-text index, without --all
NGRAMS = 2  # by which a person is looked up; InnoDB loses all n-grams of a row or none
MAX_LOOKUPS = 20  # of one person: a sync of InnoDB's full-text cache hides rows for milliseconds
LOOKUP_PAUSE = 0.05  # seconds
PLACES = 100  # of the whole table, at which a person is looked up too
MAX_LOST = 20  # with more the index is rebuilt as a whole: it was made with other settings


def check_index(cursor: Cursor, store: PeopleStore, all_people: bool, heal: bool, progress: Progress) -> Finding:
    """Look up the newest `NEWEST` people, or all, and people at random places of the table.

    With `heal`, people that the index has lost are stored again. If it has lost more than `MAX_LOST`, it is rebuilt.
    """
    scattered = store.lost_rows(PLACES)
    checked, lost = (0, []) if scattered > MAX_LOST else _find_lost(cursor, all_people, progress)
    if scattered > MAX_LOST or len(lost) > MAX_LOST:
        return _check_whole_index(cursor, store, heal, progress)
    detail = f"{checked:,} people looked up, {len(lost)} not found by full text"
    if scattered and not lost:
        return Finding("index", False, f"{detail}, but {scattered} older ones", "./rinha doctor --all --heal")
    if not lost:
        return Finding("index", True, detail)
    if not heal:
        return Finding("index", False, detail, "./rinha doctor --heal puts them into the index again")
    for identifier in lost:
        _store_again(cursor, identifier)
    still_lost = [identifier for identifier in lost if _is_lost(cursor, identifier)]
    detail += f", {len(still_lost)} after they were stored again"
    return Finding("index", not still_lost, detail, "this is a defect of rinha; report it")


def _check_whole_index(cursor: Cursor, store: PeopleStore, heal: bool, progress: Progress) -> Finding:
    detail = "full text does not find many people: the index was made with other settings"
    if not heal:
        return Finding("index", False, detail, "./rinha doctor --heal rebuilds the index; creations wait meanwhile")
    progress("rebuilding the full-text index")
    cursor.execute("ALTER TABLE pessoas FORCE")
    progress("")
    lost = store.lost_rows(PLACES)
    detail += f"; it has been rebuilt, and {lost} are not found"
    return Finding("index", not lost, detail, "this is a defect of rinha; report it")


def _find_lost(cursor: Cursor, all_people: bool, progress: Progress) -> tuple[int, list[bytes]]:
    """Look people up in the full-text index; return how many, and the ids of those that were not found.

    Ends early if more than `MAX_LOST` were not found.
    """
    lost: list[bytes] = []
    checked = 0
    (count,) = query(cursor, "SELECT pessoas FROM contagem")[0]
    total = count if all_people else min(count, NEWEST)
    for people in islice(_newest_first(cursor), None if all_people else 1):
        frequency = Counter(ngram for _, search_key in people for ngram in set(ngrams_of(search_key)))
        for identifier, search_key in people:
            expression = _match_expression(search_key, frequency)
            if not _is_found(cursor, identifier, expression) and _is_lost(cursor, identifier):
                lost.append(identifier)
            checked += 1
            if len(lost) > MAX_LOST:
                return checked, lost
            if not checked % 500:
                progress(Share(f"looking people up in the full-text index: {checked:,} of {total:,}", checked, total))
    progress("")
    return checked, lost


def _newest_first(cursor: Cursor) -> Iterator[Sequence[tuple[bytes, str]]]:
    """Yield the ids and search keys of people, `NEWEST` at a time: enough to tell which n-grams are rare."""
    last = b"\xff" * 16
    select = f"SELECT id, busca FROM pessoas WHERE id < %s ORDER BY id DESC LIMIT {NEWEST}"
    while people := query(cursor, select, [last]):
        yield [(identifier, search_key or "") for identifier, search_key in people]
        last = people[-1][0]


def _is_lost(cursor: Cursor, identifier: bytes) -> bool:
    """Return whether a person is stored and not found by any of `MAX_LOOKUPS` look-ups."""
    for _ in range(MAX_LOOKUPS):
        rows = query(cursor, "SELECT busca FROM pessoas WHERE id = %s", [identifier])
        if not rows or _is_found(cursor, identifier, _match_expression(rows[0][0] or "", Counter())):
            return False
        time.sleep(LOOKUP_PAUSE)
    return True


def _is_found(cursor: Cursor, identifier: bytes, expression: str) -> bool:
    """Return whether the full-text index finds a person by a match expression."""
    statement = "SELECT 1 FROM pessoas WHERE MATCH (busca) AGAINST (%s IN BOOLEAN MODE) AND id = %s"
    return bool(query(cursor, statement, [expression, identifier]))


def _match_expression(search_key: str, frequency: Counter[str]) -> str:
    """Return the expression that matches rows with the `NGRAMS` rarest n-grams of a search key."""
    rarest = sorted(set(ngrams_of(search_key)), key=lambda ngram: (frequency[ngram], ngram))
    return " ".join(f'+"{ngram}"' for ngram in rarest[:NGRAMS])


def _store_again(cursor: Cursor, identifier: bytes) -> None:
    """Replace a person's row by an equal one, in one transaction: readers see either row."""
    cursor.execute("BEGIN")
    cursor.execute("SELECT id FROM contagem FOR UPDATE")  # first the gate, as each INSERT does
    for _, *values in query(cursor, f"SELECT {COLUMNS} FROM pessoas WHERE id = %s FOR UPDATE", [identifier]):
        cursor.execute("DELETE FROM pessoas WHERE id = %s", [identifier])
        cursor.execute(INSERT, (identifier.hex(), *values))
    cursor.execute("COMMIT")
