"""`likeness data check`: labels, duplicates, balance and leaks of a data set, and how to mend it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from likeness.cli.data_work import UNUSABLE, leak_lines
from likeness.cli.flags import Flags, common_options, progress_option
from likeness.cli.output import Output, counted
from likeness.cli.pictures import expect_pictures

if TYPE_CHECKING:
    from likeness.data.check import Report
    from likeness.data.mending import Change


@click.command(short_help="Find wrong labels, photos that are there twice, and leaks.")
@click.argument("dataset", type=click.Path(path_type=Path, file_okay=False))
@click.option("--fix", is_flag=True, help="Drop the rows of doubted, missing and doubled photos; files stay.")
@click.option("--relabel", is_flag=True, help="With --fix: move doubted photos to the person suggested, if one is.")
@click.option("--keep-doubted", is_flag=True, help="With --fix: leave photos whose labels are doubted as they are.")
@click.option(
    "--trust",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.99,
    show_default=True,
    metavar="P",
    help="Share of labels taken to be right before looking; nearer to 1 doubts fewer.",
)
@click.option("--no-embeddings", is_flag=True, help="Do not compare labels with faces, which needs a model.")
@click.option("--quick", is_flag=True, help="Compare files only, not pictures, to find photos that are there twice.")
@click.option("--show", type=click.IntRange(min=0), default=10, show_default=True, metavar="N", help="Lines of a kind.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PNG",
    help="Write photos per person and similarities as a picture.",
)
@click.option(
    "--sheet",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PNG",
    help="Write the doubted photos beside others of the person as a picture.",
)
@click.option("--strict", is_flag=True, help="Exit code 3 if there is something to mend (left).")
@progress_option
@common_options
@click.pass_obj
def check(
    flags: Flags,
    dataset: Path,
    fix: bool,
    relabel: bool,
    keep_doubted: bool,
    trust: float,
    no_embeddings: bool,
    quick: bool,
    show: int,
    plot: Path | None,
    sheet: Path | None,
    strict: bool,
) -> int:
    """Check the data set DATASET: labels against faces, photos that are there twice, balance, and leaks.

    A label is doubted where the photo is so unlike the person's others that, by the model's calibration, it is more
    probably wrong than right (--trust). Hard photos are doubted too: look at --sheet before you mend. Another person
    is suggested where the photo is so like them that a stranger would hardly be. With --fix rows are changed, never
    files, and the manifest as it was stays beside the new one.
    """
    from likeness.data.check import check_dataset, plot_check
    from likeness.data.contact import suspect_sheet
    from likeness.data.dataset import Dataset
    from likeness.data.mending import mend, plan_mending
    from likeness.service.portraits import save_picture

    if (relabel or keep_doubted) and not fix:
        raise click.UsageError("--relabel and --keep-doubted say how to mend: give them with --fix")
    if relabel and keep_doubted:
        raise click.UsageError("--relabel moves photos that --keep-doubted leaves: give one of them")
    if sheet is not None and no_embeddings:
        raise click.UsageError("--sheet shows what embeddings tell: leave out --no-embeddings")
    expect_pictures(plot, sheet)
    found = Dataset.read(dataset)
    bundle = None if no_embeddings else flags.settings.library(flags.output.say).find(flags.settings.embedder)
    report = check_dataset(
        found, bundle, watch=flags.output.progress, trust=trust, near=not quick, workers=flags.settings.threads
    )
    if plot is not None:
        plot_check(report, plot)
    if sheet is not None and report.coherence is not None:
        save_picture(suspect_sheet(report.checked, report.coherence.suspects), sheet)
    changes = plan_mending(report, relabel=relabel, keep_doubted=keep_doubted)
    copy = None
    if fix and changes:
        words = f"likeness data check {shlex.quote(str(dataset))} --fix" + (" --relabel" if relabel else "")
        _, copy = mend(found, changes, step=words)
    if flags.output.as_json:
        done = {"changes": [change.as_dict() for change in changes], "manifest_before": copy and copy.name}
        flags.output.json(report.as_dict() | (done if fix else {"would_change": done["changes"]}))
    else:
        _tell(flags.output, report, show)
        _tell_changes(flags.output, changes, copy, show)
    return UNUSABLE if strict and not (report.clean or (fix and not report.leaks.people)) else 0


def _tell(output: Output, report: Report, show: int) -> None:
    balance, coherence = report.balance, report.coherence
    facts: list[tuple[str, object]] = [
        ("photos", f"{balance.photos} of {balance.people} people" + _and(balance.nameless, "without a name")),
        (
            "photos per person",
            f"{balance.least} to {balance.largest}, median {balance.median:g}, mean {balance.mean:.1f}; "
            f"{balance.singles} people have one",
        ),
        ("balance", f"as diverse as {balance.effective_people:.0f} people alike often; Gini {balance.gini:.2f}"),
    ]
    facts += [
        (name or "in no split", f"{each.photos} photos of {each.people} people")
        for name, each in report.splits.items()
        if len(report.splits) > 1 or name
    ]
    conflicts = sum(pair.conflict for pair in report.duplicates)
    exact = sum(pair.exact for pair in report.duplicates)
    pairs = counted(len(report.duplicates), "pair", "pairs")
    facts.append(("one photo twice", f"{pairs} ({exact} of equal files), {conflicts} under two names"))
    if report.missing:
        facts.append(("files gone", len(report.missing)))
    if coherence is not None:
        sure = sum(suspect.sure for suspect in coherence.suspects)
        facts.append(("labels doubted", f"{len(coherence.suspects)}, for {sure} another person is suggested"))
        facts.append(
            ("people alike", f"{len(coherence.alike)} pairs, up to {coherence.chance_alike:.0f} of them by chance")
        )
    output.facts(facts, title=report.checked.facts.name)
    _tell_lists(output, report, show)
    output.text()
    for line in leak_lines(report.leaks):
        output.text(line)


def _tell_lists(output: Output, report: Report, show: int) -> None:
    rows: list[tuple[object, ...]] = [
        (pair.first.path, pair.second.path, f"{pair.likeness:.3f}", "two names" if pair.conflict else "")
        for pair in sorted(report.duplicates, key=lambda pair: not pair.conflict)
    ]
    _table(output, ("photo", "the same photo", "likeness", ""), rows, show)
    if report.coherence is not None:
        rows = [
            (each.row.path, f"{each.own:.3f}", each.nearest, f"{each.other:.3f}", "suggested" if each.sure else "")
            for each in report.coherence.suspects
        ]
        _table(output, ("label doubted", "similarity", "nearest other", "similarity", ""), rows, show)
        alike = [(pair.first, pair.second, f"{pair.similarity:.3f}") for pair in report.coherence.alike]
        _table(output, ("person", "perhaps the same person", "similarity"), alike, show)
    _table(output, ("names that may be one person's",), [(", ".join(names),) for names in report.variants], show)


def _tell_changes(output: Output, changes: list[Change], copy: Path | None, show: int) -> None:
    dropped = sum(change.what == "dropped" for change in changes)
    what = f"{counted(dropped, 'row', 'rows')} dropped, {len(changes) - dropped} moved"
    if copy is not None:
        for change in changes:
            to = f" to {change.identity}" if change.what == "moved" else ""
            output.text(f"{change.what}{to}: {change.path}: {change.why}")
        output.text(f"{what}; the manifest as it was is {copy}")
    elif changes and show:
        output.text(f"--fix would mend this: {what}")
    elif not changes:
        output.text("nothing to mend")


def _table(output: Output, columns: tuple[str, ...], rows: Sequence[tuple[object, ...]], show: int) -> None:
    if rows and show:
        output.text()
        output.table(columns, rows[:show])
        if len(rows) > show:
            output.text(f"… and {len(rows) - show} more (--show {len(rows)})")


def _and(count: int, what: str) -> str:
    return f", and {count} {what}" if count else ""
