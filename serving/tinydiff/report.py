"""Measure the model and its variants: ``python -m serving.tinydiff.report`` writes its report folder."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads stall on a shared machine
os.environ.setdefault("GOMP_SPINCOUNT", "0")

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Annotated, Final

import cv2
import diffusers
import numpy as np
import torch
import typer
from PIL import Image
from rich.progress import track

from serving.tinydiff.cases import Case, report_cases
from serving.tinydiff.drawing import draw
from serving.tinydiff.rendering import Pixels, Timing, load, paint, timings
from serving.tinydiff.scoring import GroupScore, Judged, judge, score
from serving.tinydiff.variants import FOLDER, INCUMBENT, VARIANTS, Variant

LATENCY_STEPS: Final = (4, 6, 8, 12, 16, 20, 30)
LATENCY_REQUESTS: Final = 20
SHEET_COLUMNS: Final = 8
SHEET_PER_GROUP: Final = 8
TIME_COLUMNS: Final = ("cpu p50 ms", "cpu p95 ms", "wall p50 ms", "wall p95 ms")
WORD_GROUPS: Final = ("held-out words", "random letters", "digits", "word under shape")

INTRODUCTION: Final = """\
# Report on the tiny model

Written by `python -m serving.tinydiff.report`. {machine}

Shares in %, pictures of 96 x 64 px. *exact*: RapidOCR reads exactly the asked word. *CER*: character
error rate. *shape*: one blob, most like the asked one of the six shapes, or the exact number of dots.
*clean*: that, and an overlap with the shape's outline of at least 0.8. *colour*: the named colour
nearest to the ink is the asked one. *deviation*: root of the mean variance over the seeds of a prompt,
pixels in 0..1. In the table of variants the words' columns are *exact*, and times are those of one
request at a time, *cpu* the processor's, *wall* the clock's, which other work on the machine stretches.
The sheets show, row by row, held-out words, random letters, digits, words under shapes, small shapes,
large shapes and dots.
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """All that was measured of one variant."""

    variant: Variant
    judged: list[Judged]
    timings: list[Timing]


def measure(variant: Variant, cases: list[Case]) -> Measured:
    """Paint and judge all cases, then time some of them one by one."""
    pipeline = load(variant)
    requests = [case.request for case in cases]
    pictures = paint(pipeline, variant, requests)
    judged = [judge(case, pixels) for case, pixels in zip(cases, pictures, strict=True)]
    return Measured(variant, judged, timings(pipeline, variant, requests[:LATENCY_REQUESTS]))


def drawn(cases: list[Case]) -> list[Judged]:
    """The same scenes drawn instead of painted: what the judge makes of perfect pictures."""
    return [judge(case, draw(case.scene, Random(case.seed)).pixels) for case in cases]  # noqa: S311


def _share(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f}"


def _table(columns: list[str]) -> str:
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"


def _groups(judged: list[Judged]) -> str:
    columns = ["group", "pictures", "exact", "CER", "shape", "clean", "colour", "deviation"]
    return _table(columns) + "\n".join(_group_row(row) for row in score(judged))


def _group_row(row: GroupScore) -> str:
    cells = (_share(row.exact), _share(row.error_rate), _share(row.shape), _share(row.clean), _share(row.colour))
    return f"| {row.group} | {row.pictures} | {' | '.join(cells)} | {row.deviation:.4f} |"


def _quantiles(timings: list[Timing]) -> str:
    columns = ([timing.cpu_ms for timing in timings], [timing.wall_ms for timing in timings])
    return " | ".join(f"{np.percentile(times_ms, share):.0f}" for times_ms in columns for share in (50, 95))


def _variant_row(measured: Measured) -> str:
    variant = measured.variant
    shares = [row.exact for row in score(measured.judged) if row.group in WORD_GROUPS]
    others = [mark.shape is True for mark in measured.judged if not mark.case.scene.word]
    settings = f"{variant.folder.name} | {variant.scheduler} | {variant.steps} | {variant.guidance_scale:g}"
    cells = " | ".join(_share(share) for share in [*shares, float(np.mean(others))])
    return f"| {variant.name} | {settings} | {cells} | {_quantiles(measured.timings)} |"


def _misread(measured: Measured) -> list[str]:
    missed = [mark for mark in measured.judged if mark.error_rate]
    return [f"| `{mark.case.scene.prompt}` | {mark.case.seed} | {mark.seen or '(nothing)'} |" for mark in missed]


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
    versions = f"torch {torch.__version__}, diffusers {diffusers.__version__}"
    return f"Machine: {model}, {os.cpu_count()} cores shared with other work, 1 thread used; {versions}."


def report_text(measured: list[Measured], ceiling: list[Judged], by_steps: dict[int, list[Timing]]) -> str:
    """The report as Markdown."""
    variant_columns = [
        "variant",
        "weights",
        "scheduler",
        "steps",
        "guidance",
        *WORD_GROUPS,
        "shapes and dots",
    ]
    sections = (
        INTRODUCTION.format(machine=_machine()),
        f"## The incumbent: {INCUMBENT.steps} steps, guidance {INCUMBENT.guidance_scale:g}\n",
        _groups(measured[0].judged),
        "\n## The judge's own limit: the same scenes as the training draws them\n",
        _groups(ceiling),
        "\n## Variants, the same prompts and seeds\n",
        _table([*variant_columns, *TIME_COLUMNS]) + "\n".join(_variant_row(one) for one in measured),
        "\n## Latency of the shipped weights by steps\n",
        _table(["steps", *TIME_COLUMNS])
        + "\n".join(f"| {steps} | {_quantiles(taken)} |" for steps, taken in by_steps.items()),
        "\n## Words that the incumbent got wrong\n",
        _table(["prompt", "seed", "read as"]) + "\n".join(_misread(measured[0])),
    )
    return "\n".join(sections) + "\n"


def contact_sheet(judged: list[Judged]) -> Image.Image:
    """The first pictures of each group, one group per row."""
    groups = dict.fromkeys(mark.case.group for mark in judged)
    rows: list[list[Pixels]] = [
        [mark.pixels for mark in judged if mark.case.group == group][: 2 * SHEET_PER_GROUP : 2] for group in groups
    ]
    height_px, width_px, _ = rows[0][0].shape
    sheet = Image.new("RGB", (SHEET_COLUMNS * width_px, len(rows) * height_px))
    for top, row in enumerate(rows):
        for left, pixels in enumerate(row):
            sheet.paste(Image.fromarray(pixels), (left * width_px, top * height_px))
    return sheet


def main(out: Annotated[Path, typer.Option(help="Folder to write.")] = FOLDER / "report") -> None:
    """Measure all variants on the fixed prompts and write tables and contact sheets."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    out.mkdir(parents=True, exist_ok=True)
    cases = report_cases()
    measured = [measure(variant, cases) for variant in track(VARIANTS, "variants")]
    pipeline, requests = load(INCUMBENT), [case.request for case in cases[:LATENCY_REQUESTS]]
    by_steps = {
        steps: timings(pipeline, replace(INCUMBENT, steps=steps), requests) for steps in track(LATENCY_STEPS, "latency")
    }
    for one in measured:
        contact_sheet(one.judged).quantize(128).save(out / f"{one.variant.name}.png", optimize=True)
    (out / "REPORT.md").write_text(report_text(measured, drawn(cases), by_steps), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
