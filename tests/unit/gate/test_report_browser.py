"""The reports in a real browser, where this machine has one."""

from pathlib import Path

import pytest

from controller.gate.report import bench_html, images_wanted, rollout_html
from controller.gate.report_images import pictures
from tests.unit.gate.browser import Tab, chromium, opened
from tests.unit.gate.report_example import example
from tests.unit.gate.test_report_rollout import facts_of
from tests.unit.world import World

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine")

OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
CONTRASTS = """
(() => {
  const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = (c) => {
    const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = parse(c).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor, parts = parse(c);
      if (parts.length === 3 || parts[3] === 1) return c;
    }
    return "rgb(255, 255, 255)";
  };
  let worst = [21, ""];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest("svg") || e.closest("details")) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < worst[0]) worst = [ratio, e.outerHTML.slice(0, 120)];
  }
  return worst;
})()
"""


@pytest.fixture(scope="module", params=["bench", "rollout"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report in a file."""
    path = tmp_path_factory.mktemp("report") / f"{request.param}.html"
    if request.param == "bench":
        bench = example()
        page = bench_html(bench.result, pictures((d, bench.images[d]) for d in images_wanted(bench.result)))
    else:
        world = World()
        world.slower = 3.5
        world.propose()
        world.run_until(lambda: world.rollout().state == "reverted")
        page = rollout_html(*facts_of(world))
    path.write_text(page, encoding="utf-8")
    return path


def quiet(tab: Tab) -> None:
    """Assert that the browser complained of nothing and fetched nothing but the file."""
    assert tab.told("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
    addresses = [told["request"]["url"] for told in tab.told("Network.requestWillBeSent")]
    assert {address.split(":", 1)[0] for address in addresses} <= {"file", "data"}


@pytest.mark.parametrize("width_px", [380, 1280])
def test_it_opens_from_a_file(report: Path, width_px: int, tmp_path: Path) -> None:
    """On a phone and on a desk: no complaint, nothing fetched, nothing wider than the window, every picture decoded."""
    with opened(report, width_px, tmp_path / "profile") as tab:
        assert tab.evaluate(OVERFLOW) <= 0
        assert tab.evaluate("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")
        assert tab.evaluate("document.querySelector('.verdict').getBoundingClientRect().top") < 200
        quiet(tab)


@pytest.mark.parametrize("width_px", [380, 1280])
def test_a_word_without_end_stays_on_the_page(width_px: int, tmp_path: Path) -> None:
    """Prompts, readings and reasons of one endless word make nothing wider than the window."""
    bench, endless = example(), "W" * 3000
    for pair in bench.result["pairs"]:
        pair["prompt"] = pair["expect"]["text"] = pair["prompt_id"] = endless
    for item in bench.result["criteria"]:
        item["title"] = item["reason"] = endless
    bench.result["machine"] = {endless: endless}
    path = tmp_path / "endless.html"
    path.write_text(bench_html(bench.result, {}), encoding="utf-8")
    with opened(path, width_px, tmp_path / "profile") as tab:
        assert tab.evaluate(OVERFLOW) <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_light_and_dark(report: Path, tmp_path: Path, scheme: str) -> None:
    """Every text has a contrast of at least 4.5 against its ground."""
    with opened(report, 1280, tmp_path / "profile", dark=scheme == "dark") as tab:
        ratio, where = tab.evaluate(CONTRASTS)
        assert ratio >= 4.5, where
