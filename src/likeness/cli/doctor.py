"""`likeness doctor`: whether everything needed is there and well."""

from __future__ import annotations

import click

from likeness.cli.flags import Flags, common_options


@click.command()
@common_options
@click.pass_obj
def doctor(flags: Flags) -> int:
    """Check that everything needed is there and well. Exit code 0 if so, else 1."""
    from likeness.cli.gallery import show_findings
    from likeness.intake.health import examine as examine_intake
    from likeness.service.health import examine

    findings = [*examine(flags.settings, flags.output.say), *examine_intake(flags.settings)]
    show_findings(flags.output, findings)
    return 0 if all(finding.ok for finding in findings) else 1
