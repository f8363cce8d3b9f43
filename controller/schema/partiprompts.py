"""PartiPrompts, a public set of prompts, as a suite: read from the file that a person downloaded.

Its rows carry a category (what is shown) and a challenge (what is hard about it); ours say what is put to the
test, so most are mapped by the challenge. Text is expected only where the row is about writing and quotes it:
elsewhere quotes mark titles.
"""

import csv
import hashlib
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.core.suite import Category, Expectation, Prompt, Suite
from controller.errors import InvalidFileError, Problem, UserError
from controller.schema.document import shown
from controller.schema.faults import nearest
from controller.schema.policy import POLICIES

MAX_BYTES = 8 * 2**20
SOURCE = "https://github.com/google-research/parti"
LICENCE = "Apache-2.0"
LICENCE_FILE = POLICIES / "suites" / "licences" / "Apache-2.0.txt"
ATTRIBUTION = (
    "PartiPrompts (P2), from Jiahui Yu et al., Scaling Autoregressive Models for Content-Rich Text-to-Image "
    f"Generation, 2022, {SOURCE}, Apache License 2.0 "
    "(http://www.apache.org/licenses/LICENSE-2.0). Changed: a selection; ids, seeds, our categories and "
    "machine-checkable expectations were added."
)

_COLUMNS = ("Prompt", "Category", "Challenge")
_WRITING = "Writing & Symbols"
_BY_CHALLENGE: Mapping[str, Category] = {
    _WRITING: Category.TYPOGRAPHY,
    "Quantity": Category.SMALL_OBJECTS,
    "Properties & Positioning": Category.LAYOUT,
    "Perspective": Category.LAYOUT,
    "Style & Format": Category.STYLE,
    "Imagination": Category.EDGE_CASES,
    "Linguistic Structures": Category.EDGE_CASES,
}
_BY_CATEGORY: Mapping[str, Category] = {
    "People": Category.PEOPLE,
    "Arts": Category.STYLE,
    "Illustrations": Category.STYLE,
}
_DOUBLE = re.compile(r'"([^"]+)"|“([^”]+)”')
_SINGLE = re.compile(
    r"(?<!\w)'(.+?)'(?!\w)|\u2018([^\u2019]+)\u2019"
)  # an apostrophe stands beside a letter on both sides


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt as published; `number` counts from 1 in the published order."""

    number: int
    prompt: str
    category: str
    challenge: str


def read_rows(path: Path) -> tuple[Row, ...]:
    """Return the rows of a downloaded TSV or CSV; InvalidFileError when it is not PartiPrompts."""
    text = _text(path)
    head = text.partition("\n")[0]
    # The published file is tab-separated and quotes nothing, so a quotation mark in it is part of the prompt.
    tabs = "\t" in head
    lines = io.StringIO(text, newline="")
    table = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.reader(lines, strict=True)
    try:
        names = {name.strip().casefold(): at for at, name in enumerate(next(table, []))}
        missing = [name for name in _COLUMNS if name.casefold() not in names]
        if missing:
            raise _refused(path, 1, f"has no column {', '.join(missing)}; expected PartiPrompts.tsv of {SOURCE}")
        places = [names[name.casefold()] for name in _COLUMNS]
        return tuple(_rows(path, table, places))
    except csv.Error as error:
        raise _refused(path, table.line_num, f"is no table: {error}") from error


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _refused(path, 1, f"no such file; download PartiPrompts.tsv from {SOURCE}") from None
    except OSError as error:
        raise _refused(path, 1, f"can't be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise _refused(path, 1, f"is larger than {MAX_BYTES // 2**20} MiB; PartiPrompts.tsv is far smaller")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _refused(path, line, "is not UTF-8 here; download it again") from error


def _rows(path: Path, table: Iterator[list[str]], places: Sequence[int]) -> Iterator[Row]:
    for number, cells in enumerate(table, start=1):
        if not any(cells):
            continue
        if len(cells) <= max(places):
            raise _refused(path, number + 1, f"has {len(cells)} columns, fewer than the first line")
        prompt, category, challenge = (cells[place].strip() for place in places)
        if prompt:
            yield Row(number, prompt, category, challenge)


def _refused(path: Path, line: int, message: str) -> InvalidFileError:
    return InvalidFileError((Problem(str(path), line, 1, "file", message),))


def chosen(
    rows: Sequence[Row], categories: Collection[str], challenges: Collection[str], count: int, seed: int
) -> tuple[Row, ...]:
    """Return `count` of the rows at most, of the named categories and challenges (none: all), in published order.

    Which ones depends on `seed` and each prompt alone, so a later edition changes only what it changed. UserError
    for a name that no row has.
    """
    for asked, known in (
        (categories, dict.fromkeys(row.category for row in rows)),
        (challenges, dict.fromkeys(row.challenge for row in rows)),
    ):
        for name in asked:
            if name not in known:
                raise UserError(f"no row is of {shown(name)}; {nearest(name, known)}")
    fitting = {
        row.prompt: row
        for row in reversed(rows)  # of prompts that are listed twice the first stays
        if (not categories or row.category in categories) and (not challenges or row.challenge in challenges)
    }
    drawn = sorted(fitting.values(), key=lambda row: hashlib.sha256(f"{seed}\0{row.prompt}".encode()).digest())
    return tuple(sorted(drawn[:count], key=lambda row: row.number))


def as_suite(rows: Sequence[Row], name: str, seeds: tuple[int, ...]) -> Suite:
    """Return the rows as a suite that says where it comes from."""
    prompts = tuple(
        Prompt(f"p2-{row.number:04}", _category(row), row.prompt, seeds, Expectation(text=_asked(row))) for row in rows
    )
    return Suite(name, 1, f"{len(rows)} prompts of PartiPrompts", prompts, attribution=ATTRIBUTION)


def _category(row: Row) -> Category:
    return _BY_CHALLENGE.get(row.challenge) or _BY_CATEGORY.get(row.category) or Category.LAYOUT


def _asked(row: Row) -> str | None:
    if row.challenge != _WRITING:
        return None
    for form in (_DOUBLE, _SINGLE):
        found = [first or second for first, second in form.findall(row.prompt)]
        if any(character.isalnum() for text in found for character in text):
            return " ".join(text.strip() for text in found)
    return None
