"""Where a face will be: a Kalman filter of constant velocity over its place and size (Kalman 1960; as in SORT).

Noise is stated in sizes of the face, so that a near face and a far one are judged alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]

MEASURED = np.array([0.06, 0.06, 0.06])
"""How far a detector's box lies off: standard deviation of x, y (in sizes) and of the size's logarithm."""
FIRST_SPEED = np.array([2.5, 2.5, 0.7])
"""Speeds a second of a face that is seen for the first time."""
ACCELERATION = np.array([8.0, 8.0, 2.0])
"""How abruptly speeds change, a second squared."""
_LONGEST_STEP_S = 0.1


@dataclass(slots=True, eq=False)
class Motion:
    """Place and speed of one face: `mean` `(3, 2)` and `spread` `(3, 2, 2)` of x, y and the size's logarithm."""

    mean: Floats
    spread: Floats
    time_s: float

    @classmethod
    def first(cls, box: Box, time_s: float) -> Motion:
        """What is known from one box."""
        place = measured(box)
        mean = np.stack([place, np.zeros(3)], axis=1)
        spread = np.zeros((3, 2, 2))
        spread[:, 0, 0], spread[:, 1, 1] = MEASURED**2, FIRST_SPEED**2
        return cls(mean, _in_pixels(spread, place), time_s)

    def predict(self, time_s: float) -> None:
        """Move on to a later time."""
        while (left := time_s - self.time_s) > 1e-9:
            step = min(left, _LONGEST_STEP_S)
            move = np.array([[1.0, step], [0.0, 1.0]])
            jolt = np.array([[step**4 / 4, step**3 / 2], [step**3 / 2, step**2]])
            noise = jolt[None] * (ACCELERATION**2)[:, None, None]
            self.mean = self.mean @ move.T
            self.spread = move @ self.spread @ move.T + _in_pixels(noise, self.mean[:, 0])
            self.time_s += step

    def distance(self, box: Box) -> float:
        """Squared Mahalanobis distance of a box from where the face is expected (3 degrees of freedom)."""
        off = measured(box) - self.mean[:, 0]
        return float((off**2 / self._expected_spread(box)).sum())

    def update(self, box: Box) -> None:
        """Take in where the face was seen."""
        gain = self.spread[:, :, 0] / self._expected_spread(box)[:, None]
        self.mean = self.mean + gain * (measured(box) - self.mean[:, 0])[:, None]
        self.spread = self.spread - gain[:, :, None] * self.spread[:, None, 0, :]

    def _expected_spread(self, box: Box) -> Floats:
        noise = np.zeros((3, 2, 2))
        noise[:, 0, 0] = MEASURED**2
        return self.spread[:, 0, 0] + _in_pixels(noise, measured(box))[:, 0, 0]


def measured(box: Box) -> Floats:
    """The middle of a box, and the logarithm of its size."""
    x1, y1, x2, y2 = box
    return np.array([(x1 + x2) / 2, (y1 + y2) / 2, np.log(max((x2 - x1) * (y2 - y1), 1e-6)) / 2])


def _in_pixels(spread: Floats, place: Floats) -> Floats:
    """Variances that are stated in sizes, as those of pixels; the size's own are of a logarithm already."""
    scale = float(np.exp(2 * place[2]))
    scaled: Floats = spread * np.array([scale, scale, 1.0])[:, None, None]
    return scaled
