"""`gatectl doctor`."""

import sys
from dataclasses import asdict

import typer

from controller.cli.exits import Exit
from controller.cli.output import OUTPUT, Output, emit
from controller.platform.home import Home

STYLES = {"ok": "\033[32m", "warn": "\033[33m", "fail": "\033[1;31m"}


def doctor(output: Output = OUTPUT) -> None:
    """Look at every part and say what to do.

    Exit code 7 when something fails.
    """
    from controller.platform.checks import Finding, Level, examine

    findings = list(examine(Home.current()))

    def line(finding: Finding) -> str:
        level = f"{finding.level:<4}"
        if sys.stdout.isatty():
            level = f"{STYLES[finding.level]}{level}\033[0m"
        fix = f"\n{'':<20}-> {finding.fix}" if finding.fix and finding.level is not Level.OK else ""
        return f"{level}  {finding.part:<12}  {finding.message}{fix}"

    failed = any(finding.level is Level.FAIL for finding in findings)
    emit(
        output,
        {"ok": not failed, "findings": [asdict(finding) for finding in findings]},
        lambda: "\n".join(map(line, findings)),
    )
    if failed:
        raise typer.Exit(Exit.UNAVAILABLE)
