"""What the table `contagem`, the gate of all changes, tells a search of the full-text index (db/schema.sql)."""

from typing import NamedTuple

from service.letters import BEGINS, newest_alphabet

CACHE = 80_000_000  # innodb_ft_cache_size in db/my.cnf: so many letters InnoDB holds back from the index, at most
BEHIND = (0, 1, 3, 12)  # how far behind the newest canary row those are that a search asks for: docs/search.md

GATE = "SELECT CONCAT_WS(' ', pessoas, canarios, perdidos, letras) FROM contagem"


class Gate(NamedTuple):
    """People, the newest canary row, the newest that is lost, and the letters that were ever stored."""

    people: int
    canary: int
    lost: int
    letters: int

    @property
    def newest(self) -> int:
        """The alphabet that the newest row has at most."""
        return newest_alphabet(self.letters)

    def rows(self, alphabet: int) -> float:
        """Return about how many rows have an alphabet."""
        begin, end = (
            min(BEGINS[at], self.letters) if at < len(BEGINS) else self.letters for at in (alphabet, alphabet + 1)
        )
        return self.people * (end - begin) / max(self.letters, 1)

    def may_be_cached(self, alphabet: int) -> bool:
        """Tell whether InnoDB may have rows of an alphabet in its cache: none that is older than a full cache."""
        return alphabet == self.newest or self.letters - BEGINS[alphabet + 1] < CACHE

    def canaries(self) -> set[int]:
        """Return the canary rows to ask for."""
        return {max(self.canary - behind, 1) for behind in BEHIND} if self.canary else set()
