"""Who acts: of all coordinators that share this database, one sits at the desk and the others stand by.

Each taking of the desk has a number, its turn. What moves a proposal is written only while the desk's turn is the
writer's own, in one transaction with that check: a coordinator that was stopped, and replaced, and goes on, can write
nothing. So no clock has to be right for a round to be run once; a wrong one changes hands too early or too late.
"""

from datetime import datetime

from sqlalchemy import or_, select, update

from coordinator.store.book import Book
from coordinator.store.records import DeskRow, column_value, read_row
from coordinator.store.tables import ONLY, desk

__all__ = ["DeskBook"]


class DeskBook(Book):
    """The desk."""

    def take(self, *, owner: str, now: datetime, until: datetime) -> int | None:
        """Sit down at the desk, if it is free.

        Args:
            owner: Who sits down; it is free for whoever sat there last.
            now: It is free for everybody once what its holder said has run out.
            until: Free for others again from then, unless it is kept.

        Returns:
            The number of this turn, or None while another coordinator has the desk.
        """
        said = {"until": column_value("until", until), "taken_at": column_value("taken_at", now)}
        nobody = self._insert(desk).values(number=ONLY, owner="", turn=0, until="", taken_at="")
        free = or_(desk.c.owner == owner, desk.c.until < column_value("until", now))
        taken = update(desk).where(desk.c.number == ONLY, free).values(owner=owner, turn=desk.c.turn + 1, **said)
        with self._begin() as connection:
            connection.execute(nobody.on_conflict_do_nothing(index_elements=["number"]))
            turn = connection.execute(taken.returning(desk.c.turn)).scalar()
        return None if turn is None else int(turn)

    def keep(self, turn: int, *, until: datetime) -> bool:
        """Stay at the desk for longer; whether this turn is still the current one."""
        mine = (desk.c.number == ONLY, desk.c.turn == turn)
        with self._begin() as connection:
            kept = update(desk).where(*mine).values(until=column_value("until", until))
            return connection.execute(kept).rowcount == 1

    def leave(self, turn: int) -> None:
        """Make the desk free for everybody at once, if this turn is still the current one."""
        mine = (desk.c.number == ONLY, desk.c.turn == turn)
        with self._begin() as connection:
            connection.execute(update(desk).where(*mine).values(until=""))

    def holder(self) -> DeskRow | None:
        """Who has the desk, or had it last; None before anybody has."""
        wanted = select(desk).where(desk.c.turn > 0)
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().first()
        return None if found is None else read_row(DeskRow, found)
