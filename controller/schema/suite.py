"""Suite files: prompts, the seeds they are drawn with, and what their pictures must show."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from controller.core.spec import Digest
from controller.core.suite import COLOURS, SHAPES, Category, Expectation, Prompt, Suite, Thing
from controller.errors import InvalidFileError, Problem, UserError
from controller.schema.document import Document, read, shown
from controller.schema.faults import Fault, FileModel, accept, nearest, refuse
from controller.schema.model import Known, Name, SchemaVersion, Text
from controller.schema.png import size_px
from controller.schema.policy import POLICIES
from controller.schema.sources import Sources

SUITES = "suites"
"""The folder of `policies` that holds the suites."""
MAX_PROMPTS = 500
MAX_PROMPT_CHARACTERS = 10_000
MAX_SEED = 2**31 - 1
"""Every provider takes it, and repeats past the listed seeds count on from it without overflow."""
MAX_ASSET_BYTES = 2**20


def _one_of(allowed: Collection[str]) -> Callable[[str], str]:
    def check(word: str) -> str:
        if word not in allowed:
            refuse([((), f'unknown value "{shown(word)}"; {nearest(word, allowed)}')])
        return word

    return check


def _once_each(values: tuple[int, ...]) -> tuple[int, ...]:
    refuse(((at,), f"{seed} is listed before; keep one") for at, seed in enumerate(values) if seed in values[:at])
    return values


def _has_letters(text: str) -> str:
    if not any(character.isalnum() for character in text):
        refuse([((), "holds no letter and no digit, so that nothing could be read")])
    return text


_CATEGORIES = tuple(str(category) for category in Category)
CategoryName = Annotated[
    str, AfterValidator(_one_of(_CATEGORIES)), WithJsonSchema({"type": "string", "enum": list(_CATEGORIES)})
]
Colour = Annotated[str, AfterValidator(_one_of(COLOURS)), WithJsonSchema({"type": "string", "enum": list(COLOURS)})]
Shape = Annotated[str, AfterValidator(_one_of(SHAPES)), WithJsonSchema({"type": "string", "enum": list(SHAPES)})]
Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, le=MAX_SEED)], ...],
    Field(min_length=1, max_length=100),
    AfterValidator(_once_each),
]
AssetPath = Annotated[str, Field(min_length=1, max_length=255)]


class ThingFile(FileModel):
    """One entry of `things:`; what is left out is left open."""

    count: Annotated[int, Field(ge=1, le=100)] | None = None
    colour: Colour | None = None
    shape: Shape | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.count is None and self.colour is None and self.shape is None:
            refuse([((), "says nothing; give at least one of count, colour, shape")])
        return self


class ExpectFile(FileModel):
    """`expect:` what a program can check in the picture."""

    text: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_has_letters)] | None = None
    no_text: bool = False
    things: Annotated[tuple[ThingFile, ...], Field(max_length=20)] = ()
    logo: Name | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.no_text and self.text is not None:
            refuse([(("no_text",), "contradicts `text`; keep one of the two")])
        return self

    def core(self) -> Expectation:
        """Return the core value."""
        things = tuple(Thing(**thing.model_dump()) for thing in self.things)
        return Expectation(self.text, self.no_text, things, self.logo)


class PromptFile(FileModel):
    """One entry of `prompts:`; `seeds` replaces the suite's, `lanes` restricts it to some."""

    id: Name
    category: CategoryName
    prompt: Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS)]
    seeds: Seeds | None = None
    lanes: tuple[Name, ...] = ()
    expect: ExpectFile = ExpectFile()

    def core(self, seeds: tuple[int, ...]) -> Prompt:
        """Return the core value; `seeds` are the suite's."""
        category = Category(self.category)
        return Prompt(self.id, category, self.prompt, self.seeds or seeds, self.expect.core(), self.lanes)


class SuiteFile(FileModel):
    """A suite file, whole; `assets` are PNG files below the folder of the suite."""

    schema_version: SchemaVersion
    kind: Literal["suite"]
    name: Name
    version: Annotated[int, Field(ge=1, le=1_000_000)]
    title: Text
    attribution: Annotated[str, Field(max_length=5_000)] = ""
    seeds: Seeds
    assets: dict[Name, AssetPath] = Field(default_factory=dict)
    prompts: Annotated[tuple[PromptFile, ...], Field(min_length=1, max_length=MAX_PROMPTS)]

    @field_validator("assets")
    @classmethod
    def _assets_are_there(cls, assets: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        if isinstance(info.context, Known):
            refuse(_asset_faults(assets, info.context.sources.base))
        return assets

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        refuse(self._faults())
        return self

    def _faults(self) -> Iterator[Fault]:
        seen: dict[str, int] = {}
        for index, prompt in enumerate(self.prompts):
            if prompt.id in seen:
                yield ("prompts", index, "id"), f"{prompt.id} is already prompt {seen[prompt.id] + 1}; ids are unique"
            seen.setdefault(prompt.id, index)
            logo = prompt.expect.logo
            if logo is not None and logo not in self.assets:
                text = f"no asset is called {logo}; {nearest(logo, self.assets)}"
                yield ("prompts", index, "expect", "logo"), text
        for name in self.assets.keys() - {prompt.expect.logo for prompt in self.prompts}:
            yield ("assets", name), "no prompt expects it; remove it, or name it as a prompt's `expect.logo`"

    def core(self, assets: Mapping[str, bytes]) -> Suite:
        """Return the core value; `assets` are the pictures' bytes."""
        digests = {name: Digest(hashlib.sha256(content).hexdigest()) for name, content in assets.items()}
        prompts = tuple(prompt.core(self.seeds) for prompt in self.prompts)
        return Suite(self.name, self.version, self.title, prompts, digests, self.attribution)


@dataclass(frozen=True, slots=True)
class LoadedSuite:
    """A suite and the bytes of its reference pictures, by the names that its prompts use."""

    suite: Suite
    assets: Mapping[str, bytes]


def read_asset(folder: Path, reference: str) -> bytes:
    """Return the bytes of a reference picture; UserError when it lies outside of the folder or is no sound PNG."""
    try:
        path = (folder / reference).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise UserError(f"{shown(reference)} leads out of the suite's folder; put the picture below it")
        if not path.is_file():
            raise UserError(f"no such file: {shown(reference)}; paths start at the suite's folder")
        with path.open("rb") as stream:
            content = stream.read(MAX_ASSET_BYTES + 1)
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, or a path with a zero byte
        raise UserError(f"{shown(reference)} can't be read: {error}") from error
    if len(content) > MAX_ASSET_BYTES:
        raise UserError(f"{shown(reference)} is larger than {MAX_ASSET_BYTES // 1024} KiB; save it smaller")
    try:
        size_px(content)
    except ValueError as error:
        raise UserError(f"{shown(reference)} {error}") from error
    return content


def _asset_faults(assets: Mapping[str, str], folder: Path) -> Iterator[Fault]:
    for name, reference in assets.items():
        try:
            read_asset(folder, reference)
        except UserError as error:
            yield (name,), str(error)


def parse_suite(document: Document, base: Path) -> LoadedSuite:
    """Return the suite that a document declares; InvalidFileError with every fault. Assets lie below `base`."""
    file = accept(document, SuiteFile, Known(Sources(base)))
    assets = {name: read_asset(base, reference) for name, reference in file.assets.items()}
    return LoadedSuite(file.core(assets), assets)


def load_suite(reference: str | Path, policies: Path = POLICIES, base: Path | None = None) -> LoadedSuite:
    """Return the suite that a name in `policies` or a path names; InvalidFileError when it is not sound.

    A relative path starts at `base`, by default the working directory.
    """
    text = str(reference)
    if isinstance(reference, Path) or "/" in text or text.endswith((".yaml", ".yml")):
        path = (base or Path()) / reference
        return parse_suite(read(path), path.parent)
    path = policies / SUITES / f"{text}.yaml"
    names = suite_names(policies)
    if text not in names:
        message = f"no suite is called {shown(text)}; {nearest(text, names)} (or give a path)"
        raise InvalidFileError((Problem(str(path), 1, 1, "file", message),))
    document = read(path)
    loaded = parse_suite(document, path.parent)
    if loaded.suite.name != text:
        message = f"the file {path.name} must call its suite {text}, found {loaded.suite.name}"
        raise InvalidFileError((document.problem(("name",), message),))
    return loaded


def suite_names(policies: Path = POLICIES) -> tuple[str, ...]:
    """Return the names that `load_suite` knows."""
    return tuple(path.stem for path in sorted((policies / SUITES).glob("*.yaml")))
