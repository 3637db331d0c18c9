"""Pictures that a command is to write: whether they can be is known before the work."""

from __future__ import annotations

from pathlib import Path


def expect_pictures(plot: Path | None, sheet: Path | None) -> None:
    """Let a command begin that writes a plot and a sheet, where they are asked for.

    Raises:
        InputError: a name is not a picture's. StorageError: it cannot be written.
        ExtraMissing: the plot needs matplotlib, which is not installed.
    """
    from likeness.data.inspection import expect_plots
    from likeness.service.portraits import expect_picture_name, expect_writable

    for target in (plot, sheet):
        if target is not None:
            expect_picture_name(target)
            expect_writable(target)
    if plot is not None:
        expect_plots()
