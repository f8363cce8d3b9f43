"""Sums of all tallies of an epoch, kept for the windows that have come to rest.

The database adds up, because a long rollout has a hundred thousand windows. Windows older than a quarter of an hour
are added once and kept; should a gateway that was cut off report one of them late, its change is noticed and they
are added anew.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.adapters.database import Cursor, Database, Row
from controller.stats.tally import WINDOW_S, WindowTally, merge

REST_S = 900
IN_FLIGHT_S = 30
"""A transaction that was under way when we looked may still carry an earlier time of change."""
LIMIT_S = 60.0
KEPT = 64

_SUM = """
SELECT arm, class, part, name, key, sum(n)::bigint AS n
FROM tallies, jsonb_each(tally) AS a (arm, classes), jsonb_each(classes) AS c (class, body), LATERAL (
    SELECT 'assigned' AS part, '' AS name, '' AS key, (body ->> 'assigned')::bigint AS n
    UNION ALL
    SELECT part, name, key, counted::bigint FROM jsonb_each(body - 'assigned') AS p (part, metrics),
        jsonb_each(metrics) AS m (name, counts), jsonb_each_text(counts) AS k (key, counted)) AS cells
WHERE lane = %(lane)s AND epoch = %(epoch)s AND window_no >= %(first)s AND window_no < %(end)s
GROUP BY arm, class, part, name, key
"""
_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8 AS now_s"
_CHANGED = """
SELECT FROM tallies WHERE lane = %(lane)s AND epoch = %(epoch)s AND changed_at > to_timestamp(%(since_s)s)
    AND window_no < %(end)s LIMIT 1
"""
_FAR = 2**62


@dataclass(frozen=True, slots=True)
class _Rested:
    """The sum of all windows before `end`, unchanged until `seen_s` (Unix seconds of the database's clock)."""

    end: int = -_FAR
    seen_s: float = 0.0
    tally: WindowTally = field(default_factory=WindowTally)


class Totals:
    """Sums for one store, shared by threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rested: dict[tuple[str, int], _Rested] = {}
        self._lock = threading.Lock()

    def read(self, lane: str, epochs: Sequence[int]) -> WindowTally:
        """Return the sum of every tally of a lane's epochs."""
        with self._database.transaction(snapshot=True, limit_s=LIMIT_S) as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{LIMIT_S:.0f}s'")
            return merge([self._epoch(cursor, lane, epoch) for epoch in epochs])

    def _epoch(self, cursor: Cursor, lane: str, epoch: int) -> WindowTally:
        now_s = cursor.execute(_NOW).fetchall()[0]["now_s"]
        end = int((now_s - REST_S) / WINDOW_S)
        with self._lock:
            rested = self._rested.pop((lane, epoch), _Rested())
        place = {"lane": lane, "epoch": epoch, "since_s": rested.seen_s}
        if cursor.execute(_CHANGED, {**place, "end": rested.end}).fetchone() is not None:
            rested = _Rested()
        newly = _sum(cursor, {**place, "first": rested.end, "end": end})
        rested = _Rested(max(end, rested.end), now_s - IN_FLIGHT_S, rested.tally + newly)
        with self._lock:
            self._rested[lane, epoch] = rested
            while len(self._rested) > KEPT:
                del self._rested[next(iter(self._rested))]
        return rested.tally + _sum(cursor, {**place, "first": rested.end, "end": _FAR})


def _sum(cursor: Cursor, place: dict[str, Any]) -> WindowTally:
    return _tally(cursor.execute(_SUM, place).fetchall())


def _tally(rows: list[Row]) -> WindowTally:
    value: dict[str, dict[str, Any]] = {}
    for row in rows:
        body = value.setdefault(row["arm"], {}).setdefault(row["class"], {"assigned": 0, "cells": {}, "missing": {}})
        if row["part"] == "assigned":
            body["assigned"] = row["n"]
        else:
            body[row["part"]].setdefault(row["name"], {})[row["key"]] = row["n"]
    return WindowTally.from_json(value)
