"""`gatectl suite`: what it prints, what it writes, its exit codes."""

from pathlib import Path

import pytest

from controller.schema.suite import load_suite
from tests.unit.cli.conftest import Gatectl

# Rows of our own in the published form: tabs, nothing quoted, quotation marks and apostrophes as part of prompts.
ROWS = (
    ('a sign that says "Very Small Shop" on a hill', "Outdoor Scenes", "Writing & Symbols"),
    ("a boat with 'SEA FOX' on the sailor's hull", "Vehicles", "Writing & Symbols"),
    ("\u2018tea\u2019 in curly quotes above “CAKE”", "Artifacts", "Writing & Symbols"),
    ("a sign without quotes", "Artifacts", "Writing & Symbols"),
    ("five green pears", "Produce & Plants", "Quantity"),
    ('a drawing in the style of "Red Dawn"', "Arts", "Basic"),
    ("two chess players", "People", "Simple Detail"),
    ("a lamp under a table", "Artifacts", "Properties & Positioning"),
    ("a lamp under a table", "Artifacts", "Perspective"),
)
HEAD = "Prompt\tCategory\tChallenge\tNote"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Write a table like PartiPrompts.tsv and return its path."""
    path = tmp_path / "PartiPrompts.tsv"
    lines = [HEAD, *("\t".join((*row, "")) for row in ROWS)]
    path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")
    return path


def test_checking_what_ships(gatectl: Gatectl) -> None:
    """Sound suites are exit code 0, with counts and a digest that is the suite's own."""
    ran = gatectl("suite", "check", "core", "tiny", "-o", "json")
    assert ran.code == 0
    assert ran.json["ok"] is True
    core, tiny = (entry["suite"] for entry in ran.json["files"])
    assert core["digest"] == load_suite("core").suite.digest
    assert core["count"] == sum(core["categories"].values()) >= 150
    assert tiny["unchecked"] == 0
    assert "180 prompts (36 typography" in gatectl("suite", "check", "core").out


def test_every_file_is_checked(gatectl: Gatectl, tmp_path: Path) -> None:
    """One bad file makes exit code 3, and the others are still read; faults can be jumped to."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("schema_version: 1\nkind: suite\nname: bad\nversion: 1\ntitle: x\nseeds: [1]\nprompts: [{}]\n")
    ran = gatectl("suite", "check", str(bad), str(tmp_path / "gone.yaml"), "tiny")
    assert ran.code == 3
    assert f"{bad}:7:1: prompts[0].id: is required" in ran.out
    assert "gone.yaml:1:1: file: no such file" in ran.out
    assert "58 prompts" in ran.out
    found = gatectl("suite", "check", str(bad), "tiny", "-o", "json")
    assert found.code == 3
    assert [entry["ok"] for entry in found.json["files"]] == [False, True]
    assert {problem["key"] for problem in found.json["files"][0]["problems"]} == {
        "prompts[0].id",
        "prompts[0].category",
        "prompts[0].prompt",
    }


def test_showing(gatectl: Gatectl) -> None:
    """A suite is shown prompt by prompt with what is checked, restricted to a category when asked."""
    ran = gatectl("suite", "show", "tiny", "--category", "logos")
    assert ran.code == 0
    assert 'text "PEAR", logo tiny-star' in ran.out
    assert "word-fox" not in ran.out
    value = gatectl("suite", "show", "core", "-c", "edge_cases", "-o", "json").json
    assert value["digest"] == load_suite("core").suite.digest
    assert {prompt["category"] for prompt in value["prompts"]} == {"edge_cases"}
    assert "(empty)" in gatectl("suite", "show", "core", "-c", "edge_cases").out


def test_showing_a_lane(gatectl: Gatectl, tmp_path: Path) -> None:
    """With --lane only what is drawn there is shown."""
    path = tmp_path / "two.yaml"
    path.write_text(
        "schema_version: 1\nkind: suite\nname: two\nversion: 1\ntitle: x\nseeds: [1]\nprompts:\n"
        "- {id: here, category: style, prompt: one, lanes: [preview]}\n"
        "- {id: there, category: style, prompt: two, lanes: [export]}\n"
    )
    found = gatectl("suite", "show", str(path), "--lane", "export", "-o", "json").json
    assert [prompt["id"] for prompt in found["prompts"]] == ["there"]


def test_misspelt_words(gatectl: Gatectl) -> None:
    """An unknown suite is exit code 3 and an unknown category 2, both with the nearest name."""
    ran = gatectl("suite", "show", "tyni")
    assert ran.code == 3
    assert "did you mean tiny?" in ran.err
    ran = gatectl("suite", "show", "tiny", "-c", "logo")
    assert ran.code == 2
    assert "did you mean logos?" in ran.err


def test_a_new_suite_is_sound(gatectl: Gatectl, tmp_path: Path) -> None:
    """`new` writes a file that `check` accepts, and never over another."""
    ran = gatectl("suite", "new", "shop", "--folder", str(tmp_path))
    assert ran.code == 0
    path = tmp_path / "shop.yaml"
    assert load_suite(path).suite.name == "shop"
    before = path.read_text()
    assert gatectl("suite", "new", "shop", "--folder", str(tmp_path)).code == 4
    assert path.read_text() == before
    assert gatectl("suite", "new", "Our Shop", "--folder", str(tmp_path)).code == 2
    assert gatectl("suite", "new", "shop", "--folder", str(tmp_path / "gone")).code == 2
    assert gatectl("suite", "new", "other", "--folder", str(tmp_path), "-o", "json").json["ok"] is True


def test_importing(gatectl: Gatectl, table: Path, tmp_path: Path) -> None:
    """Imported prompts keep their wording, expect quoted text where they are about writing, and carry their licence."""
    ran = gatectl("suite", "import", "partiprompts", str(table), "--folder", str(tmp_path), "-o", "json")
    assert ran.code == 0
    suite = load_suite(tmp_path / "partiprompts.yaml").suite
    assert ran.json["suite"]["digest"] == suite.digest
    assert [prompt.prompt for prompt in suite.prompts] == list(dict.fromkeys(row[0] for row in ROWS))
    assert {prompt.id: prompt.expect.text for prompt in suite.prompts if prompt.expect.text} == {
        "p2-0001": "Very Small Shop",
        "p2-0002": "SEA FOX",
        "p2-0003": "CAKE",
    }
    kinds = ["typography"] * 4 + ["small_objects", "style", "people", "layout"]
    assert [str(prompt.category) for prompt in suite.prompts] == kinds
    assert "Apache License 2.0" in suite.attribution
    assert "google-research/parti" in suite.attribution
    licence = (tmp_path / "partiprompts.LICENCE.txt").read_text()
    assert "Version 2.0, January 2004" in licence
    assert gatectl("suite", "check", str(tmp_path / "partiprompts.yaml")).code == 0


def test_import_never_overwrites(gatectl: Gatectl, table: Path, tmp_path: Path) -> None:
    """A suite or a licence that is already there is exit code 4 and stays as it was."""
    (tmp_path / "p.LICENCE.txt").write_text("mine")
    ran = gatectl("suite", "import", "partiprompts", str(table), "-n", "p", "-f", str(tmp_path))
    assert ran.code == 4
    assert (tmp_path / "p.LICENCE.txt").read_text() == "mine"
    assert not (tmp_path / "p.yaml").exists()


def test_sampling(gatectl: Gatectl, table: Path, tmp_path: Path) -> None:
    """A seed takes the same prompts each time, another seed others; categories and challenges restrict."""

    def taken(name: str, *options: str) -> list[str]:
        ran = gatectl("suite", "import", "partiprompts", str(table), "-n", name, "-f", str(tmp_path), *options)
        assert ran.code == 0, ran.err
        return [prompt.prompt for prompt in load_suite(tmp_path / f"{name}.yaml").suite.prompts]

    first = taken("a", "--count", "3", "--seed", "4")
    assert len(first) == 3
    assert taken("b", "--count", "3", "--seed", "4") == first
    assert any(taken(f"c{seed}", "--count", "3", "--seed", str(seed)) != first for seed in range(5))
    assert taken("d", "--challenge", "Quantity") == ["five green pears"]
    assert taken("e", "--category", "Artifacts", "--challenge", "Properties & Positioning") == ["a lamp under a table"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--challenge", "Quantty"), "did you mean Quantity?"),
        (("--category", "Fish"), "no row is of Fish"),
        (("--category", "People", "--challenge", "Quantity"), "no prompt is left"),
        (("--count", "0"), "--count"),
    ],
)
def test_selections_that_select_nothing(
    gatectl: Gatectl, table: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    """A selection that can't be is a usage error that says what there is, and writes nothing."""
    ran = gatectl("suite", "import", "partiprompts", str(table), "-n", "none", "-f", str(tmp_path), *options)
    assert ran.code == 2
    assert words in ran.err
    assert not (tmp_path / "none.yaml").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a\tb\nc\td\n", "has no column Prompt, Category, Challenge"),
        (b"", "has no column"),
        (b"Prompt\tCategory\tChallenge\nonly a prompt\n", ":2:1: file: has 1 columns"),
        (b"Prompt\tCategory\tChallenge\nx\xff\tA\tB\n", ":2:1: file: is not UTF-8"),
        (b'Prompt,Category,Challenge\n"x,A,B\n', "is no table"),
        (b"Prompt\tCategory\tChallenge\n" + b"x" * 9 * 2**20, "larger than 8 MiB"),
    ],
    ids=["columns", "empty", "short", "encoding", "quotes", "huge"],
)
def test_what_is_not_the_table(gatectl: Gatectl, tmp_path: Path, content: bytes, words: str) -> None:
    """A file that is not the published table is exit code 3 with the place and the reason."""
    path = tmp_path / "x.tsv"
    path.write_bytes(content)
    ran = gatectl("suite", "import", "partiprompts", str(path), "-f", str(tmp_path))
    assert ran.code == 3
    assert words in ran.err


def test_a_table_with_commas(gatectl: Gatectl, tmp_path: Path) -> None:
    """The same columns with commas, quoted as spreadsheets do and in any order, are read as well."""
    path = tmp_path / "x.csv"
    path.write_text('Category,Prompt,Challenge\nArts,"a ""RED"" sign, drawn",Writing & Symbols\n')
    assert gatectl("suite", "import", "partiprompts", str(path), "-n", "csv", "-f", str(tmp_path)).code == 0
    [prompt] = load_suite(tmp_path / "csv.yaml").suite.prompts
    assert (prompt.prompt, prompt.expect.text) == ('a "RED" sign, drawn', "RED")
