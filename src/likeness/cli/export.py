"""`likeness export`: a training becomes a model bundle, a bundle becomes files for a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from likeness.cli.extras import needs_torch
from likeness.cli.flags import Flags, common_options


@click.command(short_help="Turn a training into a model bundle, or a bundle into files for a phone.")
@click.argument("source", metavar="RUN|BUNDLE")
@click.option("--name", metavar="NAME", help="Name of the bundle; the recipe's unless said.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FOLDER", help="Write here, not to your own models.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Data set whose crops it is tried on.")
@click.option("--int8", is_flag=True, help="Quantize the bundle, on crops of --data; says what that costs.")
@click.option("--keep-classes", is_flag=True, help="Keep the classifier and its people's names, for class accuracy.")
@click.option("--flip", is_flag=True, help="Average each face with its mirror image: often better, twice the work.")
@click.option("--replace", is_flag=True, help="Replace the bundle of that name, if there is one.")
@click.option("--licence", metavar="WORDS", help="Licence of the weights, for the manifest and the model card.")
@click.option("--tflite", is_flag=True, help="Turn a bundle into TensorFlow Lite files, in floats and in 8 bits.")
@common_options
@click.pass_obj
def export(
    flags: Flags,
    source: str,
    name: str | None,
    out: Path | None,
    data: Path | None,
    int8: bool,
    keep_classes: bool,
    flip: bool,
    replace: bool,
    licence: str | None,
    tflite: bool,
) -> None:
    """Write the best network of a training as a model bundle, which `--model` then names.

    RUN is the folder of a training or a distillation. A training's classifier is stripped; the file is compared with
    the network before it is put in place, with --data on real crops too. A bundle gives no probabilities until
    `likeness calibrate` has fitted them.

    With --tflite a BUNDLE, by name or folder, becomes files for a phone, with all that an app must know beside them.
    """
    if tflite:
        if int8 or keep_classes or flip or replace or name or licence:
            raise click.UsageError("--tflite takes --out and --data only")
        _for_phone(flags, source, out, data)
    else:
        _as_bundle(flags, Path(source), name, out, data, int8, keep_classes, flip, replace, licence)


def _as_bundle(
    flags: Flags,
    run: Path,
    name: str | None,
    out: Path | None,
    data: Path | None,
    int8: bool,
    keep_classes: bool,
    flip: bool,
    replace: bool,
    licence: str | None,
) -> None:
    from likeness.data.dataset import Dataset
    from likeness.train.run import Run

    with needs_torch():
        from likeness.train.bundling import WEIGHTS
        from likeness.train.distil_export import export_distillation
        from likeness.train.distillation import RECORD, Distillation
        from likeness.train.export import export_run
    distilled = (run / RECORD).is_file()
    record = Distillation.read(run) if distilled else Run.read(run)
    chosen = name or (out.name if out else record.recipe.name)
    target = out or Path(flags.settings.models).expanduser() / chosen
    common: dict[str, Any] = {
        "dataset": None if data is None else Dataset.read(data),
        "name": chosen,
        "licence": licence or WEIGHTS,
        "int8": int8,
        "replace": replace,
        "say": flags.output.say,
    }
    if distilled:
        if keep_classes or flip:
            raise click.UsageError("a distillation keeps its teacher's space: it takes no --keep-classes and no --flip")
        done = export_distillation(run, target, **common)
    else:
        done = export_run(run, target, keep_classes=keep_classes, flip=flip, **common)
    if flags.output.as_json:
        flags.output.json(done.as_dict())
        return
    size = done.bundle.manifest.files["model"].bytes / 1e6
    rows: list[tuple[str, object]] = [
        ("network", f"{size:.1f} MB"),
        ("parity", f"within {done.parity.max_difference:.1g} of torch over {done.parity.samples} crops"),
    ]
    if done.quantized:
        rows.append(("int8", done.quantized.summary()))
    rows.append(("next", f"likeness calibrate {target if out else chosen} DATASET"))
    flags.output.facts(rows, title=f"{chosen} in {target}")


def _for_phone(flags: Flags, source: str, out: Path | None, data: Path | None) -> None:
    from likeness.data.dataset import Dataset

    bundle = flags.settings.library(flags.output.say).find(source)
    with needs_torch():
        from likeness.train.phone_export import export_for_phone
    folder = out or Path()
    dataset = None if data is None else Dataset.read(data)
    done = export_for_phone(bundle, folder, dataset=dataset, say=flags.output.say)
    if flags.output.as_json:
        flags.output.json(done)
        return
    floats, bytes_ = done["float32"], done["int8"]
    rows = [
        (Path(floats["file"]).name, f"{floats['bytes'] / 1e6:.1f} MB, within {floats['max_difference']:.1g} of torch"),
        (Path(bytes_["file"]).name, f"{bytes_['bytes_after'] / 1e6:.1f} MB, mean cosine {bytes_['mean_cosine']:.5f}"),
    ]
    flags.output.facts(rows, title=f"{bundle.manifest.name} in {folder}")
