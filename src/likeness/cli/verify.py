"""`likeness verify`: whether two photos show one person."""

from __future__ import annotations

from typing import Any

import click

from likeness.cli.flags import Flags, common_options, pair_options, pick_option
from likeness.cli.output import bounded, chance

WORDS = {"match": "the same person", "unsure": "unsure", "unknown": "not the same person, as far as can be told"}


@click.command()
@click.argument("first", metavar="PHOTO", type=click.Path())
@click.argument("second", metavar="PHOTO", type=click.Path())
@pick_option()
@pair_options
@common_options
@click.pass_obj
def verify(flags: Flags, first: str, second: str, pick: Any) -> None:
    """Say whether two photos show one person, and how sure that is. Nothing is stored."""
    from likeness.service import verify as compare

    recognizer = flags.recognizer()
    result = compare(recognizer, first, second, pick=pick)
    if flags.output.as_json:
        flags.output.json({"paths": [first, second]} | result.as_dict())
        return
    flags.output.text(WORDS[result.decision])
    rate = bounded(result.fmr, result.fmr, recognizer.calibration.floor)
    flags.output.text(
        f"  probability {chance(result.probability)}, false-match rate {rate}, similarity {result.similarity:.3f}"
    )
    flags.output.text(f"  because {result.reason}")
