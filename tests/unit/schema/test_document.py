"""YAML in: only what every tool reads alike, every fault with its place, in bounded time."""

from pathlib import Path

import pytest

from controller.errors import InvalidFileError, Problem
from controller.schema.document import MAX_BYTES, MAX_DEPTH, MAX_NODES, Document, parse, read


def refused(content: bytes) -> Problem:
    """Return the one problem for which content is refused outright."""
    with pytest.raises(InvalidFileError) as caught:
        parse(content, "x.yaml")
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


def fault(content: bytes) -> Problem:
    """Return the one fault of content that can be read."""
    faults = list(parse(content, "x.yaml").faults.values())
    assert len(faults) == 1
    return faults[0]


def parsed(content: bytes) -> Document:
    """Return content without faults, parsed."""
    document = parse(content, "x.yaml")
    assert document.faults == {}
    return document


def test_values_and_places() -> None:
    """Values are JSON values, and every key and value knows its line and column, counted from 1."""
    document = parsed(b"a: {b: [1, 2.5]}\nc: on a hill\nd: 'on'\ne: 2026-11-09\nf: true\ng: 1e3\n")
    assert document.value == {
        "a": {"b": [1, 2.5]},
        "c": "on a hill",
        "d": "on",
        "e": "2026-11-09",
        "f": True,
        "g": 1000.0,
    }
    assert document.keys["a", "b"] == (1, 5)
    assert document.values["a", "b", 1] == (1, 12)


def test_a_problem_of_what_is_missing_stands_at_its_parent() -> None:
    """A problem of a key that is not there is placed at the key that should hold it."""
    document = parsed(b"a: 1\nmodel:\n  b: 2\n")
    assert document.problem(("model", "source"), "is required") == Problem(
        "x.yaml", 2, 1, "model.source", "is required"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"# nothing but a comment\n", "is empty"),
        (b"---\n...\n", "is empty"),
        (b"- a\n- b\n", "must be a mapping"),
        (b"just text", "must be a mapping"),
        (b"a: 1\n---\nb: 2\n", "more than one document"),
        (b"a: [1, 2\n", "is not YAML"),
        (b"a: b: c\n", "is not YAML"),
        (b"a: 'x\n", "is not YAML"),
        (b"a:\n\tb: 1\n", "a tab in the indentation"),
        (b"a: \x00\n", "control character"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 5_000, "maximum nesting depth"),
        (b"a: " + b"[" * 30 + b"]" * 30, f"nested over {MAX_DEPTH} deep"),
        (b"a:\n" + b"- 1\n" * MAX_NODES, f"more than {MAX_NODES} values"),
        (b"a: " + b"x" * MAX_BYTES, "larger than 1024 KiB"),
    ],
)
def test_what_is_no_file_of_ours_is_refused_at_once(content: bytes, words: str) -> None:
    """A file that can't be a mapping of ours is refused with the reason."""
    assert words in refused(content).message


def test_the_place_of_a_byte_that_is_not_utf8() -> None:
    """A byte that is not UTF-8 is named by line and column."""
    problem = refused("name: é\nlane: ".encode() + b"\xe9\n")
    assert (problem.line, problem.column) == (2, 7)


def test_a_byte_order_mark_is_not_part_of_the_first_key() -> None:
    """A file saved with a byte order mark reads like one without."""
    assert parsed(b"\xef\xbb\xbfa: 1\n").value == {"a": 1}


@pytest.mark.parametrize("word", ["on", "off", "yes", "No", "y", "017", "0x1f", "0o17", "1_000", "12:30", "1:30.5"])
def test_words_that_yaml_versions_read_differently(word: str) -> None:
    """A plain word that YAML 1.1 and 1.2 read differently is a fault; in quotes it is text."""
    problem = fault(f"a: {word}\n".encode())
    assert "in quotes" in problem.message
    assert (problem.line, problem.column, problem.key) == (1, 4, "a")
    assert parsed(f'a: "{word}"\n'.encode()).value == {"a": word}


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", ".NaN"])
def test_numbers_that_are_not_finite(number: str) -> None:
    """NaN and infinities are faults."""
    assert "not a finite number" in fault(f"a: {number}\n".encode()).message


@pytest.mark.parametrize("number", ["1e999", "1" * 40, "9" * 5_000])
def test_numbers_that_no_number_can_hold(number: str) -> None:
    """A number that overflows, such as a commit of digits alone, is a fault that suggests quotes."""
    assert "in quotes if it is text" in fault(f"a: {number}\n".encode()).message


def test_aliases_can_not_multiply() -> None:
    """Anchors and aliases are faults, each at its place, so no file expands."""
    faults = parse(b"a: &x [1]\nb: [*x, *x]\n", "x.yaml").faults
    assert {problem.key for problem in faults.values()} == {"a", "b[0]", "b[1]"}


def test_tags_are_not_read() -> None:
    """A tag, such as one that asks for a Python object, is a fault."""
    assert "tags" in fault(b"a: !!python/object:os.system x\n").message


def test_a_key_given_twice() -> None:
    """A duplicate key is a fault that names the line of the first."""
    problem = fault(b"a: 1\nb: 2\na: 3\n")
    assert (problem.line, problem.key) == (3, "a")
    assert "first in line 1" in problem.message


def test_a_key_must_be_text() -> None:
    """A list as a key is a fault."""
    assert "plain text" in fault(b"? [a, b]\n: 1\nc: 2\n").message


def test_control_characters_do_not_reach_the_terminal() -> None:
    """An escape sequence in a key is not repeated in the message."""
    assert "\x1b" not in str(fault(b'"\\e[31mred": on\n'))


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    """A missing file and a folder are refused with the reason."""
    for path, words in ((tmp_path / "none.yaml", "no such file"), (tmp_path, "can't be read")):
        with pytest.raises(InvalidFileError, match=words):
            read(path)
