"""`gatectl suite`: the prompts that candidates are drawn with before any traffic."""

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from controller.cli.exits import Exit
from controller.cli.output import OUTPUT, Output, emit
from controller.cli.words import columns
from controller.errors import ConflictError, InvalidFileError, UserError

if TYPE_CHECKING:
    from controller.core.suite import Expectation, Prompt, Suite

app = typer.Typer(no_args_is_help=True, help="Suites: the prompts that the offline gate draws.", rich_markup_mode=None)
imports = typer.Typer(no_args_is_help=True, help="Make a suite of a public set of prompts.", rich_markup_mode=None)
app.add_typer(imports, name="import")

_SHOWN = 70
NAME = typer.Argument(help="The suite's name: lower-case letters, digits and hyphens.")


@app.command("check")
def check(files: list[str] = typer.Argument(help="Suite files, or names of suites."), output: Output = OUTPUT) -> None:
    """Read suites and their reference pictures, and say every fault. Exit code 3 when there is one."""
    found = [_checked(file) for file in files]
    sound = all(entry["ok"] for entry in found)
    emit(output, {"ok": sound, "files": found}, lambda: "\n".join(map(_verdict, found)))
    if not sound:
        raise typer.Exit(Exit.REJECTED)


@app.command("show")
def show(
    suite: str = typer.Argument(help="A suite's name, or a file."),
    category: str = typer.Option("", "--category", "-c", help="Only prompts of this category."),
    lane: str = typer.Option("", "--lane", "-l", help="Only prompts that are drawn on this lane."),
    output: Output = OUTPUT,
) -> None:
    """Show a suite: every prompt, its seeds and what is checked."""
    from controller.core.suite import Category
    from controller.schema.faults import nearest
    from controller.schema.suite import load_suite

    if category and category not in list(Category):
        raise UserError(f"no category is called {category}; {nearest(category, list(Category))}")
    loaded = load_suite(suite, _policies()).suite
    asked = loaded.for_lane(lane) if lane else loaded.prompts
    prompts = [prompt for prompt in asked if not category or prompt.category == category]
    value = {**_summary(loaded), **loaded.to_json(), "prompts": [prompt.to_json() for prompt in prompts]}
    emit(output, value, lambda: _page(loaded, prompts))


@app.command("new")
def new(
    name: str = NAME,
    folder: Path = typer.Option(Path(), "--folder", "-f", help="Where to write NAME.yaml."),
    output: Output = OUTPUT,
) -> None:
    """Write a small suite to start from, which `check` accepts. Nothing is overwritten (exit code 4)."""
    from controller.cli.suite_template import template

    path = _destination(name, folder)
    _write(path, template(name, _schema_path(path)))
    loaded = _checked(str(path))
    emit(output, loaded, lambda: f"wrote {path}; edit it, then `gatectl suite check {path}`")


@imports.command("partiprompts")
def partiprompts(
    file: Path = typer.Argument(help="PartiPrompts.tsv, which you downloaded (or a CSV with the same columns)."),
    name: str = typer.Option("partiprompts", "--name", "-n", help="The suite's name."),
    count: int = typer.Option(150, "--count", min=1, max=500, help="How many prompts to take at most."),
    category: list[str] = typer.Option([], "--category", "-c", help="Only this category of theirs; may be repeated."),
    challenge: list[str] = typer.Option([], "--challenge", help="Only this challenge of theirs; may be repeated."),
    seed: int = typer.Option(1, "--seed", min=0, help="Decides which prompts are taken when there are more."),
    folder: Path = typer.Option(Path(), "--folder", "-f", help="Where to write the suite and its licence."),
    output: Output = OUTPUT,
) -> None:
    """Make a suite of PartiPrompts, with attribution and licence kept. Nothing is overwritten (exit code 4)."""
    from controller.schema import partiprompts as source
    from controller.schema.document import parse
    from controller.schema.suite import parse_suite
    from controller.schema.suite_text import suite_text

    path, licence = _destination(name, folder), folder / f"{name}.LICENCE.txt"
    if licence.exists():
        raise ConflictError(f"{licence} is already there; take another --name or --folder")
    rows = source.chosen(source.read_rows(file), category, challenge, count, seed)
    if not rows:
        raise UserError("no prompt is left; ask for fewer categories and challenges at once")
    suite = source.as_suite(rows, name, seeds=(1, 2, 3))
    comment = (f"yaml-language-server: $schema={_schema_path(path)}", f"{source.LICENCE}: see {licence.name}.")
    text = suite_text(suite, comment)
    parse_suite(parse(text.encode(), str(path)), folder)  # refuses before anything is written
    _write(licence, source.LICENCE_FILE.read_text(encoding="utf-8"))
    _write(path, text)
    value = {**_checked(str(path)), "licence": str(licence), "attribution": suite.attribution}
    emit(output, value, lambda: f"wrote {path}, {len(rows)} prompts, and {licence}\n{suite.attribution}")


def _policies() -> Path:
    from controller.schema import POLICIES

    return Path(os.environ.get("SWAPGATE_POLICIES") or POLICIES)


def _schema_path(path: Path) -> str:
    """Return where an editor finds the JSON Schema, relative to a suite where that is possible."""
    schema = (_policies() / "schema" / "suite.json").resolve()
    return os.path.relpath(schema, path.resolve().parent)


def _destination(name: str, folder: Path) -> Path:
    import re

    from controller.schema.faults import NAME_PATTERN, PATTERN_WORDS

    if not re.fullmatch(NAME_PATTERN, name):
        raise UserError(f"{name!r} can't name a suite; allowed: {PATTERN_WORDS[NAME_PATTERN]}")
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}")
    path = folder / f"{name}.yaml"
    if path.exists():
        raise ConflictError(f"{path} is already there; take another name or folder")
    return path


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise ConflictError(f"{path} is already there; take another name or folder") from error
    except OSError as error:
        raise UserError(f"{path} can't be written: {error.strerror}") from error


def _checked(file: str) -> dict[str, Any]:
    """Return what is to be said about one file."""
    from dataclasses import asdict

    from controller.schema.suite import load_suite

    try:
        loaded = load_suite(file, _policies())
    except InvalidFileError as error:
        return {"path": file, "ok": False, "suite": None, "problems": [asdict(one) for one in error.problems]}
    return {"path": file, "ok": True, "suite": _summary(loaded.suite), "problems": []}


def _summary(suite: "Suite") -> dict[str, Any]:
    return {
        "name": suite.name,
        "version": suite.version,
        "digest": suite.digest,
        "title": suite.title,
        "count": len(suite.prompts),
        "images": sum(len(prompt.seeds) for prompt in suite.prompts),
        "unchecked": sum(not prompt.expect.checkable for prompt in suite.prompts),
        "categories": dict(Counter(str(prompt.category) for prompt in suite.prompts)),
        "lanes": sorted({lane for prompt in suite.prompts for lane in prompt.lanes}),
    }


def _verdict(entry: dict[str, Any]) -> str:
    from controller.errors import Problem

    if not entry["ok"]:
        return "\n".join(str(Problem(**problem)) for problem in entry["problems"])
    suite = entry["suite"]
    return f"{entry['path']}: {_counts(suite)}; sound"


def _counts(suite: dict[str, Any]) -> str:
    kinds = ", ".join(f"{count} {name}" for name, count in suite["categories"].items())
    checks = f"{suite['count'] - suite['unchecked']} with something to check"
    name = f"{suite['name']} version {suite['version']} ({suite['digest'][:12]})"
    return f"{name}: {suite['count']} prompts ({kinds}), {suite['images']} images with every seed, {checks}"


def _page(suite: "Suite", prompts: "list[Prompt]") -> str:
    rows = [
        (
            prompt.id,
            str(prompt.category),
            ",".join(map(str, prompt.seeds)),
            ",".join(prompt.lanes) or "any",
            _short(_checks(prompt.expect)),
            _short(prompt.prompt),
        )
        for prompt in prompts
    ]
    lines = [suite.title, _counts(_summary(suite)), *([suite.attribution] if suite.attribution else []), ""]
    return "\n".join(lines) + columns(rows, ("ID", "CATEGORY", "SEEDS", "LANES", "CHECKED", "PROMPT"))


def _checks(expect: "Expectation") -> str:
    things = [
        " ".join(str(part) for part in (thing.count, thing.colour, thing.shape) if part is not None)
        for thing in expect.things
    ]
    parts = [f'text "{expect.text}"'] if expect.text is not None else []
    parts += ["no text"] if expect.no_text else []
    parts += things
    parts += [f"logo {expect.logo}"] if expect.logo is not None else []
    return ", ".join(parts) or "-"


def _short(text: str) -> str:
    from controller.schema.document import shown

    return shown(text.replace("\n", " / "), _SHOWN) or "(empty)"
