"""`likeness evaluate`: how good the models are, on data sets with known people."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import click

from likeness.cli.flags import Flags, common_options, progress_option, threshold_options
from likeness.errors import ExtraMissing


@click.group()
@common_options
def evaluate() -> None:
    """Measure models on data sets."""


@evaluate.command()
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Folder that holds lfw/ and lfw_pairs.txt."
)
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures as JSON here.")
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Write ROC and reliability as a PNG here."
)
@threshold_options
@progress_option
@common_options
@click.pass_obj
def lfw(flags: Flags, data: Path | None, report: Path | None, plot: Path | None) -> None:
    """Measure verification and identification on Labeled Faces in the Wild.

    Takes the official 6,000 pairs in ten folds, and open-set identification with one photo of each person enrolled.
    The folder is --data, or else the one that LIKENESS_DATA names. A run that was stopped goes on where it was.
    """
    from likeness.evaluate.lfw import DATA_VARIABLE, DEFAULT_DATA, Lfw
    from likeness.evaluate.plots import plot_lfw
    from likeness.evaluate.run import evaluate_lfw, summarise
    from likeness.service.portraits import expect_writable, save_bytes

    for target in (report, plot):  # known before the minutes of work
        if target is not None:
            expect_writable(target)
    if plot is not None and find_spec("matplotlib") is None:
        raise ExtraMissing("plots need matplotlib", hint="pip install 'likeness[evaluate]'")
    if data is None and DATA_VARIABLE not in os.environ and not (DEFAULT_DATA / "lfw").is_dir():
        raise click.UsageError("no data set is named: name the folder that holds lfw/ with --data")
    photos = Lfw.find(data)
    recognizer = flags.recognizer(many=True)
    cache = Path(flags.settings.cache).expanduser() / "evaluation"
    with flags.output.progress("LFW photos") as progress:
        figures, embedded = evaluate_lfw(recognizer, photos, cache, progress=progress)
    if report is not None:
        save_bytes((json.dumps(figures, indent=2) + "\n").encode(), report)
    if plot is not None:
        plot_lfw(figures, photos, embedded, plot)
    if flags.output.as_json:
        flags.output.json(figures)
    else:
        flags.output.facts(summarise(figures), title=f"{figures['models']['embedder']} on {figures['data']}")
