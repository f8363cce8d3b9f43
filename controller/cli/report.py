"""`gatectl report`: a bench or a rollout as a file that opens anywhere, or as a summary for a pull request."""

import json
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from controller.cli.client import Client
from controller.cli.output import Output, choose, note
from controller.errors import UserError

_ID = re.compile(r"(?P<kind>[br])-\d{1,12}")
_STDOUT = "-"


class Form(StrEnum):
    """The form of the report."""

    HTML = "html"
    MARKDOWN = "md"
    JSON = "json"


def _choose(value: Form) -> Form:
    choose(Output.JSON if value is Form.JSON else Output.TEXT)
    return value


def report(
    subject: str = typer.Argument(metavar="ID", help="A bench such as b-0001, or a rollout such as r-0001."),
    form: Form = typer.Option(
        Form.HTML,
        "-o",
        "--form",
        callback=_choose,
        is_eager=True,
        help="`html` for one file that opens offline, `md` for a pull request, `json` for scripts.",
    ),
    output: str = typer.Option(
        "", "--output", metavar="FILE", help="Where to write it, `-` for stdout. HTML goes to ID.html unless told."
    ),
) -> None:
    """Report on a bench or a rollout: verdict first, what failed, every number behind it, the pictures.

    The file holds everything and asks nobody for anything, so it can be kept beside the release.
    """
    _require(subject, output)
    client = Client.here()
    told = _bench(client, subject, form) if subject.startswith("b") else _rollout(client, subject, form)
    target = output or (f"{subject}.html" if form is Form.HTML else _STDOUT)
    if target == _STDOUT:
        sys.stdout.write(told)
        sys.stdout.flush()
        return
    try:
        Path(target).write_text(told, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--output: {target} can't be written: {error.strerror}; name another file") from error
    note(f"{subject} is reported in {target}")


def _require(subject: str, output: str) -> None:
    if not _ID.fullmatch(subject):
        raise UserError(
            f"{subject!r} names neither a bench (b-0001) nor a rollout (r-0001); `gatectl list` shows the rollouts"
        )
    if output in set(Form):
        raise UserError(f"--output names a file; for the form say -o {output}")


def _bench(client: Client, bench: str, form: Form) -> str:
    from controller.gate import report as gate_report
    from controller.gate.report_images import pictures

    result = client.get(f"/benches/{bench}/result")
    match form:
        case Form.JSON:
            return _json(result)
        case Form.MARKDOWN:
            return gate_report.bench_markdown(result)
        case Form.HTML:
            wanted = gate_report.images_wanted(result)
            return gate_report.bench_html(result, pictures((digest, _blob(client, digest)) for digest in wanted))


def _rollout(client: Client, rollout: str, form: Form) -> str:
    from controller.gate import report as gate_report

    view = client.get(f"/rollouts/{rollout}")
    log = list(client.audit(rollout))
    match form:
        case Form.JSON:
            return _json({"rollout": view, "audit": log, "bench": gate_report.bench_of(log)})
        case Form.MARKDOWN:
            return gate_report.rollout_markdown(view, log)
        case Form.HTML:
            return gate_report.rollout_html(view, log)


def _blob(client: Client, digest: str) -> bytes | None:
    """Return an image, None when it is stored no longer: the numbers are worth a report without it."""
    try:
        return client.content(f"/blobs/{digest}")
    except UserError:
        return None


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"
