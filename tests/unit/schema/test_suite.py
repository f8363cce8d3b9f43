"""Suite files become core values; what ships is sound and within reach of the checks."""

import hashlib
import io
import re
import zlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from controller.core.suite import Category, Expectation, Prompt, Suite, Thing
from controller.schema import POLICIES
from controller.schema.document import parse
from controller.schema.png import size_px
from controller.schema.suite import MAX_PROMPTS, load_suite, parse_suite, suite_names
from controller.schema.suite_text import suite_text
from serving.tinydiff import vocabulary as vocab
from serving.tinydiff.marks import ASSETS, TINY_MARKS, marks

from .conftest import Refusal

HEAD = "schema_version: 1\nkind: suite\nname: shop\nversion: 1\ntitle: Shop\nseeds: [1, 2]\n"
SALE = "- {id: sale, category: typography, prompt: 'a sign \"SALE\"', expect: {text: SALE}}\n"
MARK = "- {id: mark, category: logos, prompt: our mark, expect: {logo: acme}}\n"


def png(width: int = 8, height: int = 8) -> bytes:
    """Return a small picture."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a reference picture inside and one outside."""
    inside = tmp_path / "suites"
    (inside / "assets").mkdir(parents=True)
    (inside / "assets" / "acme.png").write_bytes(png())
    (tmp_path / "secret.png").write_bytes(png())
    return inside


def written(folder: Path, text: str, name: str = "shop") -> Path:
    """Write a suite file and return its path."""
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_sound_suite_becomes_core_values(folder: Path) -> None:
    """Every value arrives in the core's own types; seeds default to the suite's, pictures to their digest."""
    text = (
        HEAD
        + "assets: {acme: assets/acme.png}\nprompts:\n"
        + SALE
        + "- {id: dots, category: small_objects, prompt: '', seeds: [9], lanes: [preview],\n"
        + "   expect: {no_text: true, logo: acme, things: [{count: 3, colour: red, shape: circle}, {count: 1}]}}\n"
    )
    loaded = load_suite(written(folder, text))
    assert loaded.assets == {"acme": png()}
    assert loaded.suite.assets == {"acme": hashlib.sha256(png()).hexdigest()}
    sale, dots = loaded.suite.prompts
    assert sale == Prompt("sale", Category.TYPOGRAPHY, 'a sign "SALE"', (1, 2), Expectation(text="SALE"))
    assert (dots.prompt, dots.seeds, dots.lanes) == ("", (9,), ("preview",))
    assert dots.expect == Expectation(None, True, (Thing(3, "red", "circle"), Thing(1)), "acme")


def test_a_picture_is_part_of_the_digest(folder: Path) -> None:
    """Another picture under the same path makes another suite."""
    path = written(folder, HEAD + "assets: {acme: assets/acme.png}\nprompts:\n" + MARK)
    before = load_suite(path).suite.digest
    (folder / "assets" / "acme.png").write_bytes(png(9))
    assert load_suite(path).suite.digest != before


def test_a_relative_path_starts_at_its_base(folder: Path) -> None:
    """A relative path is looked up in `base`, and its pictures below the file itself."""
    written(folder, HEAD + "assets: {acme: assets/acme.png}\nprompts:\n" + MARK)
    assert load_suite("suites/shop.yaml", base=folder.parent).assets == {"acme": png()}


@pytest.mark.parametrize(
    ("before", "after", "key", "words"),
    [
        ("category: typography", "category: typografy", "prompts[0].category", "did you mean typography?"),
        ("expect:", "expct:", "prompts[0].expct", "did you mean expect?"),
        ("text: SALE", "things: [{colour: rde}]", "prompts[0].expect.things[0].colour", "did you mean red?"),
        ("text: SALE", "things: [{shape: ring}]", "prompts[0].expect.things[0].shape", "allowed: circle"),
        ("text: SALE", "things: [{}]", "prompts[0].expect.things[0]", "at least one of count, colour, shape"),
        ("text: SALE", "things: [{count: 0}]", "prompts[0].expect.things[0].count", "at least 1"),
        ("text: SALE", 'text: "?!"', "prompts[0].expect.text", "no letter and no digit"),
        ("text: SALE", "text: NO", "prompts[0].expect.text", 'write "NO" in quotes'),
        ("text: SALE", "text: 50", "prompts[0].expect.text", "put it in quotes"),
        ("text: SALE", "text: SALE, no_text: true", "prompts[0].expect.no_text", "contradicts `text`"),
        ("text: SALE", "logo: acme", "prompts[0].expect.logo", "no asset is called acme"),
        ("seeds: [1, 2]", "seeds: []", "seeds", "must not be empty"),
        ("seeds: [1, 2]", "seeds: [1, 1]", "seeds[1]", "1 is listed before"),
        ("seeds: [1, 2]", "seeds: [-1]", "seeds[0]", "at least 0"),
        ("seeds: [1, 2]", "seeds: [2147483648]", "seeds[0]", "at most 2147483647"),
        ("\nversion: 1", "\nversion: 0", "version", "at least 1"),
        ("id: sale", "id: Sale Sign", "prompts[0].id", "lower-case letters"),
        ("prompt: 'a sign \"SALE\"'", "prompt: ~", "prompts[0].prompt", "has no value"),
        ("kind: suite", "kind: suit", "kind", "expected suite"),
        (SALE, SALE + SALE, "prompts[1].id", "is already prompt 1"),
        (SALE, " []", "prompts", "must not be empty"),
    ],
)
def test_faults_have_a_place_and_a_remedy(
    folder: Path, refusal: Refusal, before: str, after: str, key: str, words: str
) -> None:
    """Each fault is one problem that names the key and says what is allowed or what to do."""
    text = HEAD + "prompts:\n" + SALE
    assert before in text
    path = written(folder, text.replace(before, after))
    [problem] = refusal(lambda: load_suite(path))
    assert problem.key == key
    assert words in problem.message
    assert problem.path == str(path)


def test_a_hundred_faults_are_told_at_once(folder: Path, refusal: Refusal) -> None:
    """Faults of many prompts come in one run, in the order of their lines."""
    rows = "".join(f"- {{id: p{n}, category: nope, prompt: x}}\n" for n in range(100))
    problems = refusal(lambda: load_suite(written(folder, HEAD + "prompts:\n" + rows)))
    assert [problem.line for problem in problems] == [*range(8, 108)]


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("../secret.png", "leads out of the suite's folder"),
        ("assets/../../secret.png", "leads out of the suite's folder"),
        ("/etc/hostname", "leads out of the suite's folder"),
        ("assets/link.png", "leads out of the suite's folder"),
        ("assets/loop.png", ""),
        ("assets/gone.png", "no such file"),
        ("assets", "no such file"),
        ('"a\\0b"', "can't be read"),
        ("assets/text.png", "is no PNG"),
        ("assets/cut.png", "ends too early"),
        ("assets/flipped.png", "damaged"),
        ("assets/wide.png", "is 2049x1 px"),
        ("assets/heavy.png", "larger than 1024 KiB"),
    ],
)
def test_pictures_lie_in_the_folder_and_are_sound(folder: Path, refusal: Refusal, reference: str, words: str) -> None:
    """A reference that leaves the folder, a link included, is missing, or is no whole PNG is refused at its key."""
    assets = folder / "assets"
    (assets / "link.png").symlink_to(folder.parent / "secret.png")
    (assets / "loop.png").symlink_to(assets / "loop.png")
    (assets / "text.png").write_text("not a picture")
    (assets / "cut.png").write_bytes(png()[:-8])
    (assets / "flipped.png").write_bytes(png().replace(b"IDAT\x78", b"IDAT\x79", 1))
    (assets / "wide.png").write_bytes(png(2049, 1))
    (assets / "heavy.png").write_bytes(png() + b"\0" * 2**20)
    path = written(folder, HEAD + f"assets: {{acme: {reference}}}\nprompts:\n" + MARK)
    [problem] = refusal(lambda: load_suite(path))
    assert problem.key == "assets.acme"
    assert words in problem.message
    assert problem.line == 7


def test_a_picture_that_nobody_expects_is_a_fault(folder: Path, refusal: Refusal) -> None:
    """An asset without a prompt that names it is refused: it would be part of the digest for nothing."""
    path = written(folder, HEAD + "assets: {acme: assets/acme.png}\nprompts:\n" + SALE)
    [problem] = refusal(lambda: load_suite(path))
    assert problem.key == "assets.acme"


@given(st.binary(max_size=200), st.integers(0, 100), st.integers(0, 100))
def test_no_damage_to_a_png_goes_unseen(noise: bytes, at: int, length: int) -> None:
    """Bytes that differ from a PNG's within its chunks are refused with a reason, whatever they are."""
    sound = png()
    end = len(sound)
    damaged = sound[: at % end] + noise + sound[(at + length) % end :]
    if damaged.startswith(sound):
        assert size_px(damaged) == (8, 8)
    else:
        with pytest.raises(ValueError, match=r"PNG|px"):
            size_px(damaged)


def test_a_png_must_start_with_its_header() -> None:
    """Chunks in the wrong order are no picture."""
    body = b"IEND"
    chunk = b"\0\0\0\0" + body + zlib.crc32(body).to_bytes(4, "big")
    with pytest.raises(ValueError, match="without a header"):
        size_px(b"\x89PNG\r\n\x1a\n" + chunk)


def test_an_unknown_name_lists_what_is_there(folder: Path, refusal: Refusal) -> None:
    """A misspelt name is refused with the nearest and all known ones."""
    [problem] = refusal(lambda: load_suite("coer"))
    assert problem.message == "no suite is called coer; did you mean core? allowed: core, tiny (or give a path)"


def test_a_file_is_called_like_its_suite(folder: Path, refusal: Refusal) -> None:
    """A suite in the folder of suites must carry its file's name, as results refer to it by name."""
    written(folder, HEAD + "prompts:\n" + SALE, name="store")
    [problem] = refusal(lambda: load_suite("store", policies=folder.parent))
    assert problem.message == "the file store.yaml must call its suite store, found shop"


def test_too_many_prompts_are_refused_quickly(folder: Path, refusal: Refusal) -> None:
    """A suite beyond the limit of prompts, or of values, is refused; the limit itself is accepted."""
    rows = [f"- {{id: p{n}, category: style, prompt: x}}\n" for n in range(2000)]
    assert load_suite(written(folder, HEAD + "prompts:\n" + "".join(rows[:MAX_PROMPTS])))
    [problem] = refusal(lambda: load_suite(written(folder, HEAD + "prompts:\n" + "".join(rows[: MAX_PROMPTS + 1]))))
    assert problem.key == "prompts"
    [problem] = refusal(lambda: load_suite(written(folder, HEAD + "prompts:\n" + "".join(rows))))
    assert "more than 5000 values" in problem.message


# what ships


def test_both_suites_ship() -> None:
    """The suite for any model and the one for the small model are there, under their names."""
    assert suite_names() == ("core", "tiny")
    assert [load_suite(name).suite.name for name in suite_names()] == ["core", "tiny"]


def test_core_covers_every_category() -> None:
    """`core` has at least 150 prompts, at least eight in each category, and three seeds each."""
    suite = load_suite("core").suite
    counts = Counter(prompt.category for prompt in suite.prompts)
    assert len(suite.prompts) >= 150
    assert set(counts) == set(Category)
    assert min(counts.values()) >= 8
    assert {len(prompt.seeds) for prompt in suite.prompts} == {3}


@pytest.mark.parametrize("name", suite_names())
def test_prompts_are_distinct_and_ask_for_what_is_expected(name: str) -> None:
    """No prompt is asked twice, and every word of an expected text stands in its prompt."""
    prompts = load_suite(name).suite.prompts
    assert len({prompt.prompt for prompt in prompts}) == len(prompts)
    for prompt in prompts:
        missing = [word for word in (prompt.expect.text or "").split() if word not in prompt.prompt]
        assert missing == [], prompt.id


def test_core_has_the_edge_cases() -> None:
    """Empty, blank, very long and non-English prompts are among the edge cases."""
    edge = [prompt.prompt for prompt in load_suite("core").suite.prompts if prompt.category is Category.EDGE_CASES]
    assert "" in edge
    assert any(text and not text.strip() for text in edge)
    assert max(map(len, edge)) > 1000
    assert any(not text.isascii() for text in edge)


def _sentences(expect: Expectation) -> set[str]:
    """Return every sentence of the small model that could be asked with an expectation."""
    pairs = vocab.colour_pairs()
    if expect.text or expect.logo:
        words = [expect.text] if expect.text else vocab.HELD_OUT_WORDS
        plain = {vocab.prompt(word, c, b) for word in words for c, b in pairs}
        marked = {
            vocab.prompt_under_shape(word, c, b, shape, colour)
            for word in words
            for c, b in pairs
            for shape, (colour, ground) in TINY_MARKS.items()
            if b == ground and expect.logo == f"tiny-{shape}"
        }
        return marked if expect.logo else plain
    return {
        sentence
        for thing in expect.things
        for c, b in pairs
        if thing.colour == c
        for sentence in (
            vocab.prompt_dots(thing.count or 1, c, b),
            *(
                vocab.prompt_shape(shape, size, c, b)
                for size in vocab.SIZES
                for shape in vocab.SHAPES
                if thing.shape in {None, shape}
            ),
        )
    }


def test_the_small_model_understands_tiny() -> None:
    """Every prompt of `tiny` is one of the small model's sentences, in trained colours, and has a check that fits."""
    suite = load_suite("tiny").suite
    assert 40 <= len(suite.prompts) <= 60
    assert [prompt.id for prompt in suite.prompts if prompt.prompt not in _sentences(prompt.expect)] == []


def test_the_words_of_tiny_were_never_trained() -> None:
    """Words of `tiny` are held-out words or digits, and most prompts are typography on words."""
    prompts = load_suite("tiny").suite.prompts
    words = [re.findall(r'"(\w+)"', prompt.prompt) for prompt in prompts]
    quoted = [word for [word] in filter(None, words)]
    assert all(word in vocab.HELD_OUT_WORDS or word.isdecimal() for word in quoted)
    assert Counter(prompt.category for prompt in prompts).most_common(1)[0][0] is Category.TYPOGRAPHY


def test_the_reference_pictures_are_what_the_script_draws() -> None:
    """Drawing the marks again gives the pixels that ship, and nothing else ships."""
    drawn = marks()
    assert {path.stem for path in ASSETS.glob("*.png")} == set(drawn)
    for name, image in drawn.items():
        with Image.open(ASSETS / f"{name}.png") as shipped:
            assert shipped.convert("RGB").tobytes() == image.tobytes(), name


# as text

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
READABLE = ANY_TEXT.map(lambda text: f"{text}A")
NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,10}[a-z0-9]", fullmatch=True)
THINGS = st.builds(
    Thing, st.integers(1, 100), st.none() | st.sampled_from(["red", "blue"]), st.none() | st.just("star")
)
EXPECTATIONS = st.builds(
    Expectation, st.none() | READABLE, st.just(value=False), st.lists(THINGS, max_size=3).map(tuple)
)
SEEDS = st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=4, unique=True).map(tuple)
PROMPTS = st.builds(
    Prompt, NAMES, st.sampled_from(Category), ANY_TEXT, SEEDS, EXPECTATIONS, st.lists(NAMES, max_size=2).map(tuple)
)
SUITES: st.SearchStrategy[Suite] = st.builds(
    Suite,
    NAMES,
    st.integers(1, 99),
    READABLE,
    st.lists(PROMPTS, min_size=1, max_size=4, unique_by=lambda prompt: prompt.id).map(tuple),
    st.just({}),
    ANY_TEXT,
)


@given(SUITES)
def test_a_written_suite_reads_back_as_itself(suite: Suite) -> None:
    """Whatever characters a suite holds, its text is read back as the very same suite."""
    text = suite_text(suite, ["a comment", ""])
    assert parse_suite(parse(text.encode(), "x.yaml"), POLICIES).suite == suite


def test_assets_are_written_with_their_paths(folder: Path) -> None:
    """A suite with pictures, written with their paths, is the same suite."""
    loaded = load_suite(written(folder, HEAD + "assets: {acme: assets/acme.png}\nprompts:\n" + MARK))
    again = written(folder, suite_text(loaded.suite, paths={"acme": "assets/acme.png"}), name="again")
    assert load_suite(again).suite == loaded.suite


def test_lint_knows_suites(folder: Path) -> None:
    """`gatectl lint` reads a suite as a suite: nothing on a sound one, the fault's line on another."""
    from datetime import date

    from controller.adapters.lint_files import Surroundings

    here = Surroundings(date(2026, 11, 25))
    assert here.lint(POLICIES / "suites" / "tiny.yaml") == ()
    [finding] = here.lint(written(folder, HEAD + "prompts:\n" + SALE.replace("typography", "nope")))
    assert finding.line == 8
