"""`likeness evaluate`: how good the models are, on data sets with known people."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import click

from likeness.cli.evaluate_attributes import attributes
from likeness.cli.flags import Flags, common_options, progress_option, threshold_options
from likeness.cli.reports import expect_report, out_option, rounds_option, seed_option
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
@out_option
@threshold_options
@progress_option
@common_options
@click.pass_obj
def lfw(flags: Flags, data: Path | None, report: Path | None, plot: Path | None, out: Path | None) -> None:
    """Measure a model on Labeled Faces in the Wild.

    Takes the official 6,000 pairs in ten folds, and open-set identification with one photo of each person enrolled.
    The folder is --data, or else the one that LIKENESS_DATA names. A run that was stopped goes on where it was.
    """
    from likeness.evaluate.lfw import DATA_VARIABLE, DEFAULT_DATA, Lfw
    from likeness.evaluate.lfw_report import lfw_report
    from likeness.evaluate.plots import plot_lfw
    from likeness.evaluate.report import write_report
    from likeness.evaluate.run import evaluate_lfw, summarise
    from likeness.service.portraits import expect_writable, save_bytes

    for target in (report, plot):  # known before the minutes of work
        if target is not None:
            expect_writable(target)
    if plot is not None and find_spec("matplotlib") is None:
        raise ExtraMissing("plots need matplotlib", hint="pip install 'likeness[evaluate]'")
    expect_report(out)
    if data is None and DATA_VARIABLE not in os.environ and not (DEFAULT_DATA / "lfw").is_dir():
        raise click.UsageError("no data set is named: name the folder that holds lfw/ with --data")
    photos = Lfw.find(data)
    flags.output.say(f"photos of {photos.folder}")
    recognizer = flags.recognizer(many=True)
    cache = Path(flags.settings.cache).expanduser() / "evaluation"
    with flags.output.progress("LFW photos") as progress:
        figures, embedded = evaluate_lfw(recognizer, photos, cache, progress=progress)
    if report is not None:
        save_bytes((json.dumps(figures, indent=2) + "\n").encode(), report)
    if plot is not None:
        plot_lfw(figures, photos, embedded, plot)
    if out is not None:
        bundle = flags.settings.library().find(flags.settings.embedder)
        write_report(lfw_report(figures, photos, embedded, bundle, flags.settings), out)
    if flags.output.as_json:
        flags.output.json(figures)
    else:
        flags.output.facts(summarise(figures), title=f"{figures['models']['embedder']} on {figures['data']}")


@evaluate.command()
@click.argument("folder", metavar="DATASET", type=click.Path(path_type=Path, file_okay=False))
@click.option("--split", default="test", show_default=True, help="Split to measure on; all takes every row.")
@click.option(
    "--pairs",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Compare these pairs: LFW's format, or CSV with path1, path2, same.",
)
@click.option(
    "--triplets",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Take these triplets, made by `likeness triplets make`.",
)
@out_option
@seed_option
@rounds_option
@threshold_options
@progress_option
@common_options
@click.pass_obj
def dataset(
    flags: Flags,
    folder: Path,
    split: str,
    pairs: Path | None,
    triplets: Path | None,
    out: Path | None,
    seed: int,
    rounds: int,
) -> None:
    """Measure a model on a data set of crops.

    Verification, identification with and without strangers, match and class accuracy, how true the probabilities are,
    and gaps between groups where labels exist; each with a 95% interval. The model is --model; the crops must be
    aligned as it wants them. A run that was stopped goes on where it was.
    """
    from likeness.data.dataset import Dataset
    from likeness.evaluate.dataset import evaluate_dataset
    from likeness.evaluate.report import write_report
    from likeness.evaluate.tables import page_of, summary

    expect_report(out)
    data = Dataset.read(folder)
    bundle = flags.settings.library(flags.output.say).find(flags.settings.embedder)
    cache = Path(flags.settings.cache).expanduser() / "evaluation"
    with flags.output.progress("crops") as progress:
        report = evaluate_dataset(
            bundle,
            data,
            split,
            cache=cache,
            progress=progress,
            pairs=pairs,
            triplets=triplets,
            settings=flags.settings,
            rounds=rounds,
            seed=seed,
        )
    page = write_report(report, out) if out is not None else None
    if flags.output.as_json:
        flags.output.json(report)
    else:
        flags.output.facts(summary(report), title=page_of(report).title)
    if page is not None:
        flags.output.say(f"Report: {page}")


@evaluate.command(short_help="Measure a model's classifier on photos held back.")
@click.argument("folder", metavar="DATASET", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--photos",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    required=True,
    help="The photos to name, a path a line: held.txt of the training's folder.",
)
@progress_option
@common_options
@click.pass_obj
def classes(flags: Flags, folder: Path, photos: Path) -> None:
    """Measure how often a model's classifier names the people it learnt.

    On photos that it did not learn from, and with a model that kept its classifier: `likeness export --keep-classes`.
    """
    from likeness.data.dataset import Dataset
    from likeness.evaluate.held import evaluate_classes, rows_listed

    data = Dataset.read(folder)
    rows = rows_listed(data, photos)
    bundle = flags.settings.library(flags.output.say).find(flags.settings.embedder)
    cache = Path(flags.settings.cache).expanduser() / "evaluation"
    with flags.output.progress("crops") as progress:
        found = evaluate_classes(bundle, data, rows, cache=cache, progress=progress, threads=flags.settings.threads)
    if flags.output.as_json:
        flags.output.json(found)
        return
    facts: list[tuple[str, object]] = [("photos, people", f"{found['photos']:,}, {found['people']:,}")]
    for top in ("top_1", "top_5"):
        low, high = found[f"{top}_interval"] or (0.0, 1.0)
        facts.append((top.replace("_", "-"), f"{found[top]:.1%} ({low:.1%} to {high:.1%})"))
    facts.append(("chance", f"{found['chance']:.2%}"))
    flags.output.facts(facts, title=f"{bundle.manifest.name}: class accuracy on {data.facts.name}")


@evaluate.command()
@click.argument("reports", metavar="REPORT...", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Write all ROC and DET curves as a PNG here."
)
@click.option("--table", type=click.Path(path_type=Path, dir_okay=False), help="Write the table in Markdown here.")
@common_options
@click.pass_obj
def compare(flags: Flags, reports: tuple[Path, ...], plot: Path | None, table: Path | None) -> None:
    """Set several reports side by side.

    Takes the report.json files that `likeness evaluate` wrote, or their folders.
    """
    from likeness.evaluate.compare import COLUMNS, differences, draw_comparison, markdown
    from likeness.evaluate.compare import compare as compare_reports
    from likeness.evaluate.report import expect_extra, read_report
    from likeness.service.portraits import expect_writable, save_bytes

    for target in (plot, table):
        if target is not None:
            expect_writable(target)
    if plot is not None:
        expect_extra()
    found = [read_report(path) for path in reports]
    rows = compare_reports(found)
    if plot is not None:
        save_bytes(draw_comparison(found), plot)
    if table is not None:
        save_bytes(markdown(rows).encode(), table)
    if flags.output.as_json:
        for row in rows:
            flags.output.json(dict(zip(COLUMNS, row, strict=True)))
    else:
        flags.output.table(COLUMNS, rows)
    for sentence in differences(found):
        flags.output.warn(sentence)


evaluate.add_command(attributes)
