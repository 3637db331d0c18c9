"""`likeness evaluate attributes`: how good apparent ages and genders are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.flags import Flags, attributes_option, common_options, progress_option
from likeness.cli.reports import expect_report, out_option, rounds_option, seed_option

if TYPE_CHECKING:
    from likeness.bundle import Bundle


@click.command()
@click.argument("subject", metavar="DATASET|PREDICTIONS.csv", type=click.Path(path_type=Path, exists=True))
@click.option("--split", default="test", show_default=True, help="Split of DATASET to measure on; all takes every row.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="With a CSV: take the known ages and genders from this data set's labels.",
)
@click.option("--name", help="With a CSV: what the model is called in the report; unless said, the file's name.")
@out_option
@seed_option
@rounds_option
@attributes_option
@progress_option
@common_options
@click.pass_obj
def attributes(
    flags: Flags,
    subject: Path,
    split: str,
    data: Path | None,
    name: str | None,
    out: Path | None,
    seed: int,
    rounds: int,
) -> None:
    """Measure apparent ages and genders against known ones.

    Of a data set of crops with the labels age_years and gender, by the model that --attributes names, or else --model:
    errors, how many ages lie in their interval, how true the gender's probability is; all by decade and group.

    Or of a CSV with the columns path, predicted_age_years, predicted_gender, gender_probability (of the predicted
    gender), where stated low_age_years and high_age_years, and what is known as age_years and gender, unless --data
    names a data set whose labels say so.
    """
    from likeness.evaluate.attribute_tables import attributes_page, attributes_summary
    from likeness.evaluate.report import write_report

    expect_report(out)
    if subject.is_dir():
        if data is not None or name is not None:
            raise click.UsageError("--data and --name go with a CSV")
        report = _measure_attributes(flags, subject, split, rounds=rounds, seed=seed)
    else:
        report = _compare_predictions(subject, data, name, rounds=rounds, seed=seed)
    page = write_report(report, out) if out is not None else None
    if flags.output.as_json:
        flags.output.json(report)
    else:
        flags.output.facts(attributes_summary(report), title=attributes_page(report).title)
    if page is not None:
        flags.output.say(f"Report: {page}")


def _measure_attributes(flags: Flags, folder: Path, split: str, *, rounds: int, seed: int) -> dict[str, Any]:
    from likeness.data.dataset import Dataset
    from likeness.evaluate.attribute_faces import predict_faces
    from likeness.evaluate.attributes import evaluate_attributes

    dataset = Dataset.read(folder)
    bundle = _attributes_bundle(flags)
    with flags.output.progress("crops") as progress:
        found, behind = predict_faces(bundle, dataset, split, progress=progress, threads=flags.settings.threads)
    words = dataset.facts.name + (", all rows" if split == "all" else f", split {split}")
    name = bundle.manifest.name
    return evaluate_attributes(found, name=name, data=words, rounds=rounds, seed=seed, behind=behind)


def _attributes_bundle(flags: Flags) -> Bundle:
    """The model that is measured: the one named, or the embedder; never another that happens to be there."""
    settings, library = flags.settings, flags.settings.library(flags.output.say)
    named = settings.attributes not in ("auto", "none")
    return library.find(settings.attributes if named else settings.embedder)


def _compare_predictions(file: Path, data: Path | None, name: str | None, *, rounds: int, seed: int) -> dict[str, Any]:
    from likeness.data.dataset import Dataset
    from likeness.evaluate.attributes import evaluate_attributes
    from likeness.evaluate.predictions import read_predictions

    known = Dataset.read(data) if data is not None else None
    words = known.facts.name if known is not None else file.name
    return evaluate_attributes(
        read_predictions(file, known), name=name or file.stem, data=words, rounds=rounds, seed=seed
    )
