"""Which photos stand together in a batch, decided by seed and epoch alone, so that a resumed training sees the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


class Batches(Sampler[list[tuple[int, int]]]):
    """Batches of places `(epoch, index)`.

    With `per_person` each batch holds that many photos of `batch_size / per_person` people, some photos twice where a
    person has fewer; an epoch has as many batches as it takes to show as many photos as there are. Without, all
    photos are shuffled; a last batch of less than half the size is left out, as batch normalisation needs company.

    With `old` `(n,)` one half of each batch is photos that are old, the other half photos that are not; an epoch shows
    the larger kind once, and the smaller as often as it takes.

    `rank` and `world` share the batches of an epoch out to processes.
    """

    def __init__(
        self,
        labels: NDArray[np.intp],
        *,
        batch_size: int,
        per_person: int = 0,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        old: NDArray[np.bool_] | None = None,
    ) -> None:
        self._labels, self._size, self._per_person, self._seed = labels, batch_size, per_person, seed
        self._rank, self._world = rank, world
        self._people = [np.nonzero(labels == person)[0] for person in np.unique(labels)]
        self._halves = [] if old is None else [half for half in (np.nonzero(old)[0], np.nonzero(~old)[0]) if len(half)]
        self._epoch = 0
        if per_person and batch_size // per_person > len(self._people):
            raise ValueError(f"expected at least {batch_size // per_person} people, got {len(self._people)}")

    @property
    def sampler(self) -> Batches:
        """Itself: Lightning looks for `set_epoch` on a batch sampler's sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """The epoch whose batches come next."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count() // self._world

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """The batches of the epoch that was set."""
        random = np.random.default_rng((self._seed, self._epoch))
        if self._halved:
            batches = self._of_halves(random)
        else:
            batches = self._of_people(random) if self._per_person else self._shuffled(random)
        mine = list(batches)[self._rank : len(self) * self._world : self._world]
        for batch in mine:
            yield [(self._epoch, int(index)) for index in batch]

    @property
    def _halved(self) -> bool:
        return len(self._halves) == 2

    def _count(self) -> int:
        photos = 2 * max(map(len, self._halves)) if self._halved else len(self._labels)
        whole, rest = divmod(photos, self._size)
        return max(1, whole + (rest * 2 >= self._size))

    def _shuffled(self, random: np.random.Generator) -> Iterator[NDArray[np.intp]]:
        order = random.permutation(len(self._labels))
        for at in range(self._count()):
            yield order[at * self._size : (at + 1) * self._size]

    def _of_halves(self, random: np.random.Generator) -> Iterator[NDArray[np.intp]]:
        wanted = (self._size // 2, self._size - self._size // 2)
        queues = [np.empty(0, np.intp), np.empty(0, np.intp)]
        for _ in range(self._count()):
            batch = []
            for side, count in enumerate(wanted):
                while len(queues[side]) < count:
                    queues[side] = np.concatenate([queues[side], random.permutation(self._halves[side])])
                batch.append(queues[side][:count])
                queues[side] = queues[side][count:]
            yield np.concatenate(batch)

    def _of_people(self, random: np.random.Generator) -> Iterator[NDArray[np.intp]]:
        wanted = self._size // self._per_person
        queue: list[int] = []
        for _ in range(self._count()):
            while len(queue) < wanted:
                # Nobody twice in a batch: who is waiting already comes after the others.
                order = random.permutation(len(self._people))
                late = np.isin(order, queue)
                queue += [*order[~late].tolist(), *order[late].tolist()]
            chosen, queue = queue[:wanted], queue[wanted:]
            yield np.concatenate([self._photos(random, self._people[person]) for person in chosen])

    def _photos(self, random: np.random.Generator, photos: NDArray[np.intp]) -> NDArray[np.intp]:
        if len(photos) >= self._per_person:
            return random.choice(photos, self._per_person, replace=False)
        # All of them before one comes again: the same photo twice teaches nothing of what a person looks like.
        return np.resize(random.permutation(photos), self._per_person)
