"""Reports of benches and rollouts: values in, text out, for reading offline or in a pull request.

A page is built once from the facts (`report_bench`, `report_rollout`) and rendered as HTML or as Markdown.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from controller.gate import report_html, report_markdown, report_pairs
from controller.gate.report_bench import bench_page
from controller.gate.report_images import Pictures
from controller.gate.report_rollout import bench_of, rollout_page

Json = Mapping[str, Any]

__all__ = ["bench_html", "bench_markdown", "bench_of", "images_wanted", "rollout_html", "rollout_markdown"]


def images_wanted(result: Json) -> tuple[str, ...]:
    """Return the digests of the images that a bench's report shows."""
    return report_pairs.images_of(report_pairs.worst(result))


def bench_html(result: Json, images: Pictures) -> str:
    """Return the report of a bench as one HTML file; `images` holds what to show for each wanted digest."""
    return report_html.render(bench_page(result), images)


def bench_markdown(result: Json) -> str:
    """Return the summary of a bench for a pull request."""
    return report_markdown.render(bench_page(result))


def rollout_html(view: Json, log: Sequence[Json]) -> str:
    """Return the report of a rollout as one HTML file; `log` holds its audit entries in order."""
    return report_html.render(rollout_page(view, log), {})


def rollout_markdown(view: Json, log: Sequence[Json]) -> str:
    """Return the summary of a rollout for a pull request."""
    return report_markdown.render(rollout_page(view, log))
