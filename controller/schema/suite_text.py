"""A suite as the text of its file: what `load_suite` reads back as the very same suite."""

from collections.abc import Iterator, Mapping, Sequence

from controller.core.suite import Expectation, Prompt, Suite

_LINE_BREAKS = "\x85\u2028\u2029"
_ESCAPES: Mapping[str, str] = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def suite_text(suite: Suite, comment: Sequence[str] = (), paths: Mapping[str, str] | None = None) -> str:
    """Return the file of a suite; `paths` says where its assets lie. The seeds of the first prompt are the suite's."""
    seeds = suite.prompts[0].seeds
    lines = [
        *(f"# {line}".rstrip() for line in comment),
        "schema_version: 1",
        "kind: suite",
        f"name: {quoted(suite.name)}",
        f"version: {suite.version}",
        f"title: {quoted(suite.title)}",
        *([f"attribution: {quoted(suite.attribution)}"] if suite.attribution else []),
        f"seeds: {_numbers(seeds)}",
        *(["assets:"] if paths else []),
        *(f"  {quoted(name)}: {quoted(path)}" for name, path in (paths or {}).items()),
        "prompts:",
    ]
    for prompt in suite.prompts:
        lines += _prompt(prompt, seeds)
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Return text as a YAML scalar in double quotes, on one line whatever it holds."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable() and character not in _LINE_BREAKS:
        return character
    return f"\\U{ord(character):08X}"


def _prompt(prompt: Prompt, seeds: tuple[int, ...]) -> Iterator[str]:
    yield f"  - id: {quoted(prompt.id)}"
    yield f"    category: {prompt.category}"
    yield f"    prompt: {quoted(prompt.prompt)}"
    if prompt.seeds != seeds:
        yield f"    seeds: {_numbers(prompt.seeds)}"
    if prompt.lanes:
        yield f"    lanes: [{', '.join(map(quoted, prompt.lanes))}]"
    if prompt.expect != Expectation():
        yield f"    expect: {{{', '.join(_expect(prompt.expect))}}}"


def _expect(expect: Expectation) -> Iterator[str]:
    if expect.text is not None:
        yield f"text: {quoted(expect.text)}"
    if expect.no_text:
        yield "no_text: true"
    if expect.things:
        things = ({"count": thing.count, "colour": thing.colour, "shape": thing.shape} for thing in expect.things)
        parts = (", ".join(f"{key}: {value}" for key, value in thing.items() if value is not None) for thing in things)
        yield f"things: [{', '.join(f'{{{part}}}' for part in parts)}]"
    if expect.logo is not None:
        yield f"logo: {quoted(expect.logo)}"


def _numbers(values: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, values))}]"
