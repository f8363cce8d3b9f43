"""The report of a bench: what it says, in which order, and what no prompt can make it do."""

import copy
import hashlib
import math
import re

import pytest

from controller.gate import report_bench, report_html, report_markdown, report_pairs
from controller.gate.report import bench_html, bench_markdown, images_wanted
from controller.gate.report_images import LONGEST_SIDE_PX, MOST_BYTES, NoPicture, Picture, picture, pictures
from tests.unit.gate.report_example import HOSTILE, Example, example, png
from tests.unit.gate.report_reader import Reader


@pytest.fixture(scope="module")
def bench() -> Example:
    return example()


def page_of(bench: Example) -> str:
    """Return the HTML report with the images that it wants."""
    wanted = images_wanted(bench.result)
    return bench_html(bench.result, pictures((digest, bench.images.get(digest)) for digest in wanted))


@pytest.fixture(scope="module")
def page(bench: Example) -> str:
    return page_of(bench)


def test_the_verdict_comes_first(bench: Example, page: str) -> None:
    """Nothing but the title stands before the verdict and its reason, in both forms."""
    shown = Reader(page).shown
    verdict, reason = "The candidate fails the offline gate", bench.result["reason"]
    body = shown[shown.index("Bench b-0001", shown.index("Bench b-0001") + 1) :]
    assert body.index(verdict) < body.index(reason) < body.index("What stands in the way")
    first, _, third, *_ = bench_markdown(bench.result).splitlines()
    assert first == f"### ❌ {verdict}"
    assert third == report_markdown.plain(reason)


def test_what_failed_is_read_before_what_passed(page: str) -> None:
    """Failures lead the first section and the table of criteria; watched criteria come after those that decide."""
    shown = Reader(page).shown
    standing = shown[shown.index("What stands in the way") : shown.index("Measured against")]
    order = ("fail: text accuracy", "no evidence: logo match", "inconclusive (watch): sharpness")
    assert [standing.index(told) for told in order] == sorted(standing.index(told) for told in order)
    assert "latency p50" not in standing
    table = shown[shown.index("Measured against") :]
    order = [table.index(title) for title in ("text accuracy", "logo match", "latency p50", "sharpness (watch)")]
    assert order == sorted(order)


def test_numbers_stand_beside_their_limits(bench: Example, page: str) -> None:
    """Each criterion's row has the limit, both arms, the change and the evidence as powers of ten."""
    row = re.search(r'<tr role="row"><th scope="row" role="rowheader"><bdi>text accuracy.*?</tr>', page)
    assert row is not None
    item = next(item for item in bench.result["criteria"] if item["title"] == "text accuracy")
    means, change = (f"{item['candidate']:.3f}", "1.000"), f"{item['change']:+.3f}"
    for told in ("&gt;= -0.1", *means, change, f"{item['log_harm'] / math.log(10):+.1f}", "fail"):
        assert told in row[0]


def test_changes_stand_with_their_bounds(bench: Example, page: str) -> None:
    """The row of the p50 holds the change and the bounds that the document has, and they bracket it."""
    item = next(item for item in bench.result["criteria"] if item["title"] == "latency p50")
    assert item["change_low"] < item["change"] < item["change_high"]
    assert f"{item['change']:.2f}x [{item['change_low']:.2f}x, {item['change_high']:.2f}x]" in Reader(page).shown


def test_what_can_not_be_stated_says_why(bench: Example, page: str) -> None:
    """A refused quantile and a missing bound carry their reason; missing values are counted by reason."""
    shown = Reader(page).shown
    assert "not stated" in shown
    n = len(bench.result["pairs"])
    assert re.search(rf"p99 is not stated: a p99 needs 299 images, there are {n} \([^)]*latency, incumbent", shown)
    assert "p99 is not stated: a p99 needs 299 images, there are 60 (2 at a time, incumbent" in shown
    assert "0.5 a second, candidate" in shown
    assert re.search(r"logo match\s+scorer down\s+\d+", shown)


@pytest.mark.parametrize("verdict", ["pass", "fail", "inconclusive", "no_evidence"])
def test_only_a_pass_is_called_one(verdict: str) -> None:
    """The headline of every other verdict says that it is no pass."""
    told = report_bench.VERDICTS[verdict]
    assert ("passes" in told) == (verdict == "pass")
    assert told in bench_markdown(example(verdict=verdict).result)


def test_a_hostile_prompt_stays_a_text(page: str) -> None:
    """Markup in a prompt is shown, never parsed: no script, no handler, no foreign image; direction is isolated."""
    read = Reader(page)
    assert not read.all("script")
    assert read.handlers == []
    assert HOSTILE in " ".join(read.texts)
    assert f"<bdi>{report_html.text(HOSTILE)}</bdi>" in page


def test_the_page_asks_nobody_for_anything(page: str) -> None:
    """Every address is a data URI, styles import nothing, and the policy forbids the rest."""
    read = Reader(page)
    assert read.addresses
    assert all(address.startswith("data:") for address in read.addresses)
    assert not re.search(r"url\(|@import", page[page.index("<style>") : page.index("</style>")])
    assert any("default-src 'none'" in attributes.get("content", "") for attributes in read.all("meta"))


def test_the_only_addresses_are_prompts() -> None:
    """Without the hostile prompt the file does not hold http at all."""
    plain = example()
    for pair in plain.result["pairs"]:
        pair["prompt"] = "a sign"
    assert not re.search(r"https?:", page_of(plain))


def test_what_no_file_can_hold_is_replaced() -> None:
    """Control characters and lone surrogates in a prompt don't break the file."""
    broken = example()
    for pair in broken.result["pairs"]:
        pair["prompt"] = "a\x00b\ud800c\x1bd"
    assert "a\ufffdb\ufffdc\ufffdd" in page_of(broken).encode().decode()
    assert bench_markdown(broken.result).encode()


def test_every_picture_can_be_read_aloud(page: str) -> None:
    """Images have alternative texts with arm, prompt and reading; drawings have labels; tables have heads."""
    read = Reader(page)
    assert all("image of" in attributes["alt"] for attributes in read.all("img"))
    assert all(attributes.get("aria-label") for attributes in read.all("svg"))
    assert len(read.all("caption")) == len(read.all("table"))
    assert all(attributes["scope"] in {"col", "row"} for attributes in read.all("th"))


def test_the_worst_pairs_come_first(bench: Example) -> None:
    """What the candidate alone failed to draw, then by the loss of the failed score; each prompt once before twice."""
    worst = report_pairs.worst(bench.result)
    assert len(worst) == report_pairs.SHOWN
    assert worst[0]["candidate"]["fault"] == "timeout"
    assert len({pair["prompt_id"] for pair in worst}) == len(worst)
    scores = [pair["candidate"]["scores"]["text_accuracy"]["value"] for pair in worst[1:]]
    assert scores == sorted(scores)


def test_a_pair_shows_prompt_seed_reading_and_diff(bench: Example, page: str) -> None:
    """The reading of OCR stands beside what was asked for, letter by letter, with what is missing and extra."""
    pair = next(p for p in report_pairs.worst(bench.result) if p["candidate"]["scores"])
    read = pair["candidate"]["scores"]["text_accuracy"]["detail"]["read"]
    shown = Reader(page).shown
    assert f"seed {pair['seed']}" in shown
    assert f"the text “{pair['expect']['text']}”" in shown
    assert read in shown
    assert re.search(r'<del><span class="hidden">not read: </span>\w+</del>', page)
    assert "none: scorer down" in shown.replace("_", " ")
    assert "nothing was drawn: timeout (no answer within 20 s)" in shown


def test_pictures_are_bounded_in_number(bench: Example, page: str) -> None:
    """However many pairs there are, at most 24 of them are shown."""
    assert len(bench.result["pairs"]) > report_pairs.SHOWN
    assert len(Reader(page).all("article")) == report_pairs.SHOWN
    assert len(images_wanted(bench.result)) <= 2 * report_pairs.SHOWN


def test_large_pictures_are_made_smaller() -> None:
    """A picture beyond the longest side is scaled, a small one is kept byte by byte."""
    large, small = picture(png("BIG", (2000, 1000))), picture(png("SMALL"))
    assert isinstance(large, Picture)
    assert isinstance(small, Picture)
    assert (large.width_px, large.height_px, large.scaled) == (2000, 1000, True)
    assert len(large.uri) < LONGEST_SIDE_PX**2
    assert not small.scaled


@pytest.mark.parametrize("content", [b"", b"<svg onload='alert(1)'/>", png("CUT")[:80]])
def test_what_is_no_picture_is_never_shown(content: bytes) -> None:
    """Damaged bytes, markup and nothing at all become a sentence, not an image."""
    assert isinstance(picture(content), NoPicture)


def test_a_picture_bomb_is_not_decoded() -> None:
    """A small file that claims to be a very large picture is refused before it is decoded."""
    header = bytearray(png("X"))
    header[16:24] = (60_000).to_bytes(4) * 2
    assert isinstance(picture(bytes(header)), NoPicture)


def test_the_file_stays_small() -> None:
    """Pictures beyond the bound are left out, and said to be."""
    noise = [hashlib.sha256(bytes([i])).hexdigest() for i in range(3)]
    heavy = png("HEAVY") + b"\0" * (MOST_BYTES // 2)
    found = pictures((digest, heavy) for digest in noise)
    kinds = [type(shown) for shown in found.values()]
    assert kinds == [Picture, NoPicture, NoPicture]


def test_a_long_prompt_is_cut() -> None:
    """A prompt of a million characters is named by its length, in a file that stays small."""
    long = example()
    for pair in long.result["pairs"]:
        pair["prompt"] = "a" * 1_000_000
    page = page_of(long)
    assert len(page) < 2_000_000
    assert "999,400 characters more" in page


def test_an_image_that_is_gone_costs_no_report(bench: Example) -> None:
    """Without one stored image the report still has every number."""
    shown = Reader(bench_html(bench.result, pictures((d, None) for d in images_wanted(bench.result)))).shown
    assert "the image is not stored" in shown
    assert bench.result["reason"] in shown


def test_reproducibility_is_stated(page: str) -> None:
    """The largest difference of what was drawn twice is the tolerance; what differs anyhow is named."""
    shown = Reader(page).shown
    assert re.search(r"candidate\s+(\d+) of \1\s+0\s+0\.0039", shown)
    assert re.search(r"incumbent\s+(\d+) of \1\s+\1\s+0\.0000", shown)
    assert "Latency, queue time" in shown


def test_an_unmeasured_tolerance_is_not_zero() -> None:
    """With nothing drawn twice the report says so instead of claiming equality."""
    assert "not measured" in Reader(page_of(example(again=[]))).shown


def test_it_says_how_to_repeat_it(bench: Example, page: str) -> None:
    """The command has suite and load of the gate, quoted for a shell; digests stand in full."""
    shown = Reader(page).shown
    repeats = bench.result["repeats"]
    assert f"gatectl bench shiny.yaml --suite tiny --repeats {repeats} --concurrency 1,2 --rate 0.5" in shown
    assert bench.result["candidate"]["digest"] in shown
    named = copy.deepcopy(bench.result)
    named["candidate"]["name"] = "a; rm -rf ~"
    assert "gatectl bench 'a; rm -rf ~.yaml'" in bench_markdown(named)


def test_the_models_are_told_apart(page: str) -> None:
    """What differs between the two specs is a table of its own."""
    assert re.search(r"sampling.steps\s+20\s+8", Reader(page).shown)


def test_both_distributions_are_drawn(page: str) -> None:
    """Latency of both arms on one axis; a curve that lost requests to failures ends below 100 %."""
    ends = dict(re.findall(r'class="curve (\w+)" d="[^"]*V([\d.]+)H626"', page))
    assert float(ends["incumbent"]) == 12.0
    assert float(ends["candidate"]) > 12.0
    assert "ends below 100 % lost the rest to failures" in Reader(page).shown


def test_a_bench_without_a_single_image_has_a_report() -> None:
    """No pair, no quantile, no load: the report says so and draws nothing."""
    nothing = {"value": None, "reason": "there are no images"}
    times = dict.fromkeys(("latency_s", "queue_s", "service_s"), dict.fromkeys(("p50", "p95", "p99"), nothing))
    rest = {"n": 0, "failures": 0, "cost_usd_mean": None, "memory_gib_max": None, "memory_source": "", "steps": None}
    arm = times | rest
    empty = example(
        pairs=[], load=[], again=[], categories=[], arms={"incumbent": arm, "candidate": arm}, verdict="no_evidence"
    )
    read = Reader(page_of(empty))
    assert "No pair was drawn." in read.shown
    assert not read.all("svg")
    assert not read.all("img")


def test_markdown_can_do_nothing(bench: Example) -> None:
    """Names in the summary notify nobody, load nothing and are no markup; a table stays a table."""
    hostile = copy.deepcopy(bench.result)
    hostile["reason"] = HOSTILE + "\n# heading ![x](https://evil.test/x.png)"
    hostile["candidate"]["name"] = "x|y`z"
    told = bench_markdown(hostile)
    assert "@everyone" not in told
    assert "<script" not in told.replace("\\<", "")
    assert "\n# heading" not in told
    assert "https://" not in told
    assert "`` x\\|y`z" in told
    row = next(line for line in told.splitlines() if line.startswith("| text accuracy") and "fail" in line)
    assert row.replace("\\|", "").count("|") == 10


def test_the_summary_is_short(bench: Example) -> None:
    """A pull request takes 65,536 characters; the summary stays far below and shows no picture."""
    told = bench_markdown(bench.result)
    assert len(told) < 8_000
    assert "data:" not in told
