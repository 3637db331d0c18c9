"""Pairing rows with columns so that the sum of the pairs' scores is largest; small, and without scipy.

Shortest augmenting paths with potentials (Jonker & Volgenant 1987, "A shortest augmenting path algorithm for dense and
sparse linear assignment problems"), after Kuhn's Hungarian method (1955).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pair(scores: NDArray[np.float64], least: float) -> list[tuple[int, int]]:
    """The pairs (row, column) of `scores` `(n, m)` with the largest sum, where a row left alone counts as `least`.

    No pair with a score below `least` is made; minus infinity forbids one.
    """
    rows, columns = scores.shape
    if not rows or not columns:
        return []
    alone = np.full((rows, rows), -np.inf)
    np.fill_diagonal(alone, least)
    usable = np.where(scores < least, -np.inf, scores)
    chosen = _cheapest(-np.hstack([usable, alone]))
    return [(row, column) for row, column in enumerate(chosen) if column < columns]


def _cheapest(costs: NDArray[np.float64]) -> list[int]:
    """The column of each row of `costs` `(n, m)`, `n <= m`, with the smallest sum; infinite ones are not taken."""
    rows, columns = costs.shape
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    holder = np.full(columns, -1)
    for row in range(rows):
        nearest, came_from = np.full(columns, np.inf), np.full(columns, -1)
        done = np.zeros(columns, bool)
        at, column = row, -1
        while True:
            reach = costs[at] - row_price[at] - column_price
            shorter = ~done & (reach < nearest)
            nearest[shorter], came_from[shorter] = reach[shorter], column
            open_ones = np.where(done, np.inf, nearest)
            column = int(np.argmin(open_ones))
            step = open_ones[column]
            # Potentials move so that every arc of the tree built so far costs nothing.
            row_price[row] += step
            row_price[holder[done]] += step
            column_price[done] -= step
            nearest[~done] -= step
            done[column] = True
            if holder[column] < 0:
                break
            at = int(holder[column])
        while column >= 0:
            before = int(came_from[column])
            holder[column] = row if before < 0 else holder[before]
            column = before
    found = [-1] * rows
    for column, row in enumerate(holder.tolist()):
        if row >= 0:
            found[row] = column
    return found
