"""Runs a refresh again and again, each time killed (SIGKILL) a step further, and looks at what is left.

`python flow_killer.py FOLDER SAMPLES`: a line of JSON for each kill, and one for the run that came to the end. Each run
is a process of its own, forked from one that has the libraries, so that they are read once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch
from flow_world import Place

import likeness.train.continual
from likeness.flows.home import Home
from likeness.flows.order import Tell
from likeness.flows.refresh import PARTS, refresh

POINTS = [point for part in PARTS for point in (f"{part}, not noted", part)]


def run(place: Place, fatal: str) -> None:
    """Refresh, and be killed at a point."""

    def reached(point: str) -> None:
        if point == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    refresh(place.order(), place.settings, Tell(reached=reached))


def left_by(place: Place, fatal: str) -> dict[str, object]:
    """What a process that was killed at a point has left: the state, and the bundle that the name leads to."""
    child = os.fork()
    if not child:
        try:
            run(place, fatal)
        except BaseException as error:
            print(f"{fatal}: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    state, told = Home(place.home).state(), {"point": fatal, "status": os.waitstatus_to_exitcode(status)}
    try:
        bundle = place.settings.library().find("people")
        bundle.verify()
        told |= {"bundle": bundle.manifest.name, "model": bundle.manifest.files["model"].sha256}
    except Exception as error:
        told |= {"bundle": type(error).__name__}
    return told | {"in_force": state.model.name if state.model else None, "data": state.data, "run": state.run}


def main() -> None:
    torch.set_num_threads(1)
    assert likeness.train.continual
    place = Place(Path(sys.argv[1]), Path(sys.argv[2]))
    between = POINTS.index("publish, not noted")
    points = [*POINTS[:between], "before the exchange", "after the exchange", *POINTS[between + 1 :], "nowhere"]
    for point in points:
        print(json.dumps(left_by(place, point)), flush=True)


if __name__ == "__main__":
    main()
