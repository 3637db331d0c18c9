"""`likeness calibrate`: what a model's similarities mean, fitted on people that it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.flags import Flags, common_options, progress_option
from likeness.cli.output import Output

if TYPE_CHECKING:
    from likeness.bundle import Bundle
    from likeness.calibration import Calibration


@click.command()
@click.argument("bundle", metavar="BUNDLE")
@click.argument("data", metavar="DATASET|FOLDER", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--split", default="validation", show_default=True, help="Split that calibrates; all takes every row.")
@click.option(
    "--fmr", "rates", type=float, multiple=True, metavar="RATE", help="False-match rate that it must support; repeat."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the calibrated bundle as this new folder.")
@click.option("--in-place", is_flag=True, help="Change the bundle itself.")
@click.option(
    "--exclude-people",
    "exclude",
    multiple=True,
    metavar="DATASET[:SPLIT]",
    help="Leave out the people of another data set; repeat.",
)
@click.option(
    "--attributes", is_flag=True, help="Fit apparent age and gender, as of a model that tells nothing else always."
)
@click.option("--own", is_flag=True, help="The model never saw this data: any split will do.")
@click.option("--seed", default=0, show_default=True, help="Seed by which people are drawn where there are too many.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Write a picture of it as a PNG here.")
@progress_option
@common_options
@click.pass_obj
def calibrate(
    flags: Flags,
    bundle: str,
    data: Path,
    split: str,
    rates: tuple[float, ...],
    out: Path | None,
    in_place: bool,
    exclude: tuple[str, ...],
    attributes: bool,
    own: bool,
    seed: int,
    plot: Path | None,
) -> None:
    """Fit probabilities and thresholds of the model BUNDLE on photos of known people.

    Takes a data set of crops, whose calibrating people must be apart from train and test, or a folder of your own
    photos with a folder for each person. Without --out or --in-place it only shows what would come of it.

    With --attributes, on a data set of crops with the labels age_years and gender: how wide the intervals of ages must
    be to hold 8 of 10, and what the gender's probability is.
    """
    from likeness.evaluate.calibrate import people_named
    from likeness.evaluate.calibrated import expect_place, write_calibrated
    from likeness.evaluate.calibration_picture import draw_calibration
    from likeness.evaluate.report import expect_extra
    from likeness.service.portraits import expect_writable, save_bytes

    if out is not None and in_place:
        raise click.UsageError("--out and --in-place contradict each other: give one of them")
    if any(not 0 < rate < 1 for rate in rates):
        raise click.UsageError("--fmr takes rates above 0 and below 1")
    found = flags.settings.library(flags.output.say).find(bundle)
    if out is not None or in_place:
        expect_place(found, out)
    if attributes or found.manifest.role == "attributes":
        if rates or exclude or plot is not None:
            raise click.UsageError("--fmr, --exclude-people and --plot are for similarities, not for age and gender")
        return _attributes(flags, found, data, split=split, own=own, out=out, write=out is not None or in_place)
    if plot is not None:
        expect_extra()
        expect_writable(plot)
    left_out = set().union(*map(people_named, exclude))
    fitted = _fit(flags, found, data, split=split, rates=rates, exclude=left_out, own=own, seed=seed)
    written = write_calibrated(found, fitted, out) if out is not None or in_place else None
    if plot is not None:
        save_bytes(draw_calibration(fitted), plot)
    _tell(flags.output, found.manifest.name, fitted, written)


def _attributes(
    flags: Flags, bundle: Bundle, data: Path, *, split: str, own: bool, out: Path | None, write: bool
) -> None:
    from likeness.data.dataset import Dataset
    from likeness.evaluate.attribute_faces import calibrate_attributes
    from likeness.evaluate.calibrated import write_told

    with flags.output.progress("crops") as progress:
        fitted = calibrate_attributes(
            bundle, Dataset.read(data), split, progress=progress, own=own, threads=flags.settings.threads
        )
    written = write_told(bundle, fitted, out) if write else None
    if flags.output.as_json:
        facts = {key: value for key, value in fitted.as_dict().items() if key != "notes"}
        flags.output.json({"model": bundle.manifest.name, **facts, "folder": written and str(written.folder)})
    else:
        bands = zip(fitted.low_margins_years, fitted.high_margins_years, strict=True)
        rows: list[tuple[str, object]] = [
            ("faces of known age, gender", f"{fitted.aged_photos:,}, {fitted.gendered_photos:,}"),
            ("age told", f"the {fitted.point} of a distribution of temperature {fitted.age_temperature:.2f}"),
            (
                "interval moved outwards, by band",
                ", ".join(f"{low:+.1f}/{high:+.1f}" for low, high in bands) + " years",
            ),
            ("gender", f"logistic of {fitted.gender_scale:.2f} · logit {fitted.gender_shift:+.2f}"),
        ]
        flags.output.facts(rows, title=f"{bundle.manifest.name}: age and gender calibrated on {fitted.data}")
    _tell_written(flags.output, written)


def _tell_written(output: Output, written: Bundle | None) -> None:
    if written is None:
        output.say("Nothing was written: --out FOLDER writes a new bundle, --in-place changes this one.")
    else:
        output.say(f"Written: {written.folder}")


def _fit(flags: Flags, bundle: Bundle, data: Path, *, split: str, own: bool, **rest: Any) -> Calibration:
    from likeness.data.dataset import FACTS, Dataset
    from likeness.evaluate.calibrate import calibrate_dataset, calibrate_photos
    from likeness.recognizer import Recognizer

    cache = Path(flags.settings.cache).expanduser() / "evaluation"
    with flags.output.progress("photos") as progress:
        if (data / FACTS).is_file():
            return calibrate_dataset(
                bundle,
                Dataset.read(data),
                split,
                cache=cache,
                progress=progress,
                own=own,
                threads=flags.settings.threads,
                **rest,
            )
        # The recognizer looks the bundle up again, by the folder where it was found.
        settings = flags.settings.model_copy(update={"embedder": str(bundle.folder.absolute())})
        recognizer = Recognizer(settings, say=flags.output.say, threads=1)
        return calibrate_photos(recognizer, data, cache=cache, progress=progress, **rest)


def _tell(output: Output, name: str, fitted: Calibration, written: Bundle | None) -> None:
    from likeness.decision import VERIFICATION_FMR
    from likeness.evaluate.probabilities import STATED_RATES

    supported = [rate for rate in STATED_RATES if rate >= fitted.finest_rate]
    checked = fitted.notes.get("cross_validation")
    if output.as_json:
        output.json(
            {
                "model": name,
                "data": fitted.data,
                "people": fitted.people,
                "genuine_pairs": fitted.genuine_pairs,
                "impostor_pairs": fitted.impostor_pairs,
                "finest_rate": fitted.finest_rate,
                "thresholds": {f"{rate:.0e}": fitted.threshold(rate) for rate in supported},
                "cross_validation": checked,
                "folder": None if written is None else str(written.folder),
            }
        )
    else:
        output.facts(_rows(fitted, supported, checked), title=f"{name} calibrated on {fitted.data}")
    if fitted.finest_rate > VERIFICATION_FMR:
        output.say(
            f"This calibration supports no false-match rate below {fitted.finest_rate:.2g}; `likeness verify` asks for "
            f"{VERIFICATION_FMR:g} unless --fmr or the setting fmr says otherwise."
        )
    _tell_written(output, written)


def _rows(fitted: Calibration, supported: list[float], checked: dict[str, Any] | None) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [
        ("people", f"{fitted.people:,}, {fitted.notes['people_with_genuine_pairs']:,} of them with several photos"),
        ("genuine pairs", f"{fitted.genuine_pairs:,}"),
        ("impostor pairs", f"{fitted.impostor_pairs:,}"),
        ("finest false-match rate", f"{fitted.finest_rate:.2g}"),
    ]
    rows += [(f"threshold at {rate:g}", f"{fitted.threshold(rate):.4f}") for rate in supported]
    if checked is None:
        return [*rows, ("cross-validation", "too few people")]
    rows.append(("cross-validation by person", f"{checked['folds']} folds, people not seen"))
    rows.append(("  expected calibration error", f"{checked['expected_calibration_error']:.4f}"))
    rows.append(("  Brier score", f"{checked['brier']:.4f}"))
    rows += [
        (f"  false-match rate stated {row['stated']:g}", f"observed {row['observed']:.2g} ({row['matched']:,} of "
         f"{row['impostor_pairs']:,})")
        for row in checked["false_match_rates"]
    ]  # fmt: skip
    return rows
