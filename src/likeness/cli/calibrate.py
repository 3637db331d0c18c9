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
    own: bool,
    seed: int,
    plot: Path | None,
) -> None:
    """Fit probabilities and thresholds of the model BUNDLE on photos of known people.

    Takes a data set of crops, whose calibrating people must be apart from train and test, or a folder of your own
    photos with a folder for each person. Without --out or --in-place it only shows what would come of it.
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
    if plot is not None:
        expect_extra()
        expect_writable(plot)
    left_out = set().union(*map(people_named, exclude))
    fitted = _fit(flags, found, data, split=split, rates=rates, exclude=left_out, own=own, seed=seed)
    written = write_calibrated(found, fitted, out) if out is not None or in_place else None
    if plot is not None:
        save_bytes(draw_calibration(fitted), plot)
    _tell(flags.output, found.manifest.name, fitted, written)


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
    if written is None:
        output.say("Nothing was written: --out FOLDER writes a new bundle, --in-place changes this one.")
    else:
        output.say(f"Written: {written.folder}")


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
