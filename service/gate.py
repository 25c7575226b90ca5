"""The gate: the one row of the table `contagem`, which every writer locks until it commits (db/schema.sql)."""

from typing import NamedTuple

from service.search_key import ALPHABET_STARTS, newest_alphabet

CACHE_SIZE = 80_000_000  # innodb_ft_cache_size in db/my.cnf: at most so many codes are in the cache alone
CANARY_DISTANCES = (0, 1, 3, 12)  # from the newest canary row to those that a search looks for (docs/search.md)

SELECT_GATE = "SELECT CONCAT_WS(' ', pessoas, canarios, perdidos, letras) FROM contagem"


class Gate(NamedTuple):
    """What the gate counts: people, the newest canary row, the newest lost canary row, all codes ever stored."""

    people: int
    newest_canary: int
    newest_lost_canary: int
    codes: int

    @property
    def newest_alphabet(self) -> int:
        """The greatest alphabet that a row can have."""
        return newest_alphabet(self.codes)

    def rows(self, alphabet: int) -> float:
        """Return the estimated number of rows in an alphabet."""
        start, end = (
            min(ALPHABET_STARTS[number], self.codes) if number < len(ALPHABET_STARTS) else self.codes
            for number in (alphabet, alphabet + 1)
        )
        return self.people * (end - start) / max(self.codes, 1)

    def may_be_cached(self, alphabet: int) -> bool:
        """Return whether InnoDB's full-text cache may have rows of an alphabet that the index does not have yet."""
        return alphabet == self.newest_alphabet or self.codes - ALPHABET_STARTS[alphabet + 1] < CACHE_SIZE

    def canaries(self) -> set[int]:
        """Return the numbers of the canary rows to look for."""
        return {max(self.newest_canary - distance, 1) for distance in CANARY_DISTANCES} if self.newest_canary else set()
