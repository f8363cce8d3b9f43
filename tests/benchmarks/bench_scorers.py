"""What scoring costs, and how surely each score tells known good from known damaged.

    python -m tests.benchmarks.bench_scorers

Costs are processor time, which a busy machine changes less than the clock; images per second are per core. What scorers
share, decoding and the OCR reading, has lines of its own and is not in theirs. Alignment is measured when SWAPGATE_CLIP
names a checkpoint.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from random import Random
from statistics import fmean
from typing import Annotated

import typer

from serving.scorers.alignment import CLIP_VARIABLE, AlignmentScorer
from serving.scorers.app import Scorers
from serving.scorers.blank import SoundnessScorer
from serving.scorers.logo import LogoScorer
from serving.scorers.objects import ObjectsScorer
from serving.scorers.picture import Picture
from serving.scorers.protocol import Scorer, Subject
from serving.scorers.reading import Reader, text_of
from serving.scorers.sharpness import SharpnessScorer
from serving.scorers.stability import LikenessScorer, ReproducibilityScorer, StabilityScorer
from serving.scorers.text import NoTextScorer, TextScorer, WordsScorer, character_error_rate, normalised
from serving.tinydiff.scenes import Scene
from serving.tinydiff.variants import VARIANTS
from serving.tinydiff.vocabulary import COLOURS, HELD_OUT_WORDS, SHAPES
from tests.unit.serving.scorers import drawings
from tests.unit.serving.scorers.calibration import CALIBRATIONS, separate
from tests.unit.serving.scorers.painted import paint, scores_of

SIZES_PX = ((96, 64), (512, 512), (1024, 1024))
SEEDS = 4


def subjects(size_px: tuple[int, int], count: int) -> Iterator[tuple[Subject, dict[str, bytes]]]:
    """Yield pictures with a word above two things, everything expected of them, and the assets' bytes."""
    mark = drawings.logo(drawings.LOGOS[0])
    assets = {"mark": drawings.picture(mark).png}
    for number in range(count):
        rng = Random(number)
        image = drawings.arranged([("red", "star"), ("blue", "circle")], rng, size_px=size_px)
        word = rng.choice(HELD_OUT_WORDS)
        image.paste(drawings.written(word, size_px=(size_px[0], size_px[1] // 3), font_px=size_px[1] // 4))
        things = [{"count": 1, "colour": "red", "shape": "star"}]
        expect = {"text": word, "no_text": True, "things": things, "logo": "mark"}
        yield Subject(word, expect, drawings.picture(image)), assets


def spent_ms(work: Callable[[], object]) -> float:
    """Return the processor time of a call."""
    started_s = time.process_time()
    work()
    return 1000 * (time.process_time() - started_s)


def costs(scorers: list[Scorer], reader: Reader, size_px: tuple[int, int], count: int) -> dict[str, float]:
    """Return processor milliseconds per image of each part."""
    total: dict[str, float] = {}
    for subject, assets in subjects(size_px, count + 1):
        others = tuple(Picture(subject.picture.png) for _ in range(SEEDS - 1))
        marks = {name: Picture(png) for name, png in assets.items()}
        whole = Subject(subject.prompt, subject.expect, subject.picture, marks, others)
        spent = {
            "(decoding)": spent_ms(lambda whole=whole: whole.picture.pixels),
            "(reading by OCR)": spent_ms(lambda whole=whole: reader.read(whole.picture)),
        }
        _ = [other.pixels for other in others]
        for scorer in scorers:
            spent[scorer.metric] = spent_ms(lambda scorer=scorer, whole=whole: scorer.score(whole))
        # the first picture warms up
        total = {part: total[part] + ms for part, ms in spent.items()} if total else dict.fromkeys(spent, 0.0)
    return {part: ms / count for part, ms in total.items()}


async def calls(app: Scorers, size_px: tuple[int, int], count: int) -> dict[str, float]:
    """Return processor milliseconds per image of the replica's methods."""
    drawn = [(subject, assets) for subject, assets in subjects(size_px, count + 1)]
    total = {"live: score": 0.0, "bench: examine": 0.0}
    for number, (subject, assets) in enumerate(drawn):
        png = subject.picture.png
        started_s = time.process_time()
        await app.score(f'the word "{subject.prompt}"', [png])
        middle_s = time.process_time()
        await app.examine(subject.prompt, {**subject.expect, "no_text": False}, png, assets)
        ended_s = time.process_time()
        if number:
            total["live: score"] += 1000 * (middle_s - started_s)
            total["bench: examine"] += 1000 * (ended_s - middle_s)
    return {name: ms / count for name, ms in total.items()}


def show_costs(count: int) -> None:
    """Print the costs by size."""
    reader = Reader()
    reader.load()
    scorers: list[Scorer] = [
        TextScorer(reader),
        WordsScorer(reader),
        NoTextScorer(reader),
        ObjectsScorer(reader),
        LogoScorer(),
        SoundnessScorer(),
        SharpnessScorer(),
        *([AlignmentScorer()] if os.environ.get(CLIP_VARIABLE) else []),
        ReproducibilityScorer(),
        LikenessScorer(),
        StabilityScorer(),
    ]
    app = Scorers()
    by_size = [{**costs(scorers, reader, size, count), **asyncio.run(calls(app, size, count))} for size in SIZES_PX]
    heads = "".join(f"{f'{width}x{height}':>24}" for width, height in SIZES_PX)
    typer.echo(f"{'per image, one core':20}{heads}")
    for part in by_size[0]:
        cells = (f"{spent[part]:11.2f} ms {1000 / max(spent[part], 1e-3):7.0f}/s" for spent in by_size)
        typer.echo(f"{part:20}" + "".join(f"{cell:>24}" for cell in cells))


def show_reader(count: int) -> None:
    """Print the reader's own error on renderings whose text is known."""
    reader, rng = Reader(), Random(1)
    sets: dict[str, list[tuple[str, Picture]]] = {"word, 96x64": [], "two words, 256x128": [], "nothing written": []}
    for number in range(count):
        colour, ground = rng.choice(drawings.PAIRS)
        word, other = rng.sample(HELD_OUT_WORDS, 2)
        scene = drawings.scene_image(Scene(colour, ground, word=word), rng)
        sets["word, 96x64"].append((word, drawings.picture(scene)))
        both = f"{word} {other}"
        sets["two words, 256x128"].append((both, drawings.picture(drawings.written(both, colour, ground))))
        colours = [name for name in COLOURS if name != ground]
        things = [(rng.choice(colours), rng.choice(SHAPES)) for _ in range(1 + number % 5)]
        sets["nothing written"].append(("", drawings.picture(drawings.arranged(things, rng, ground))))
    typer.echo(f"\n{'the reader itself':22}{'pictures':>9}{'exact':>8}{'CER':>8}")
    for name, drawn in sets.items():
        read = [(normalised(asked), normalised(text_of(reader.read(shown)), like="A")) for asked, shown in drawn]
        exact = sum(asked == found for asked, found in read) / count
        rates = [character_error_rate(asked, found) for asked, found in read if asked]
        rate = f"{sum(rates) / len(rates):8.3f}" if rates else f"{'':8}"
        typer.echo(f"{name:22}{count:9}{exact:8.3f}{rate}")


def show_separation(count: int) -> None:
    """Print how surely each score tells good from damaged."""
    reader = Reader()
    typer.echo(f"\n{'score':20}{'pictures':>12}{'AUC':>8}{'good':>8}{'damaged':>9}")
    for calibration in CALIBRATIONS.values():
        for metric, found in separate(calibration, count, reader).items():
            sizes = f"{found.pictures} + {found.pictures}"
            typer.echo(f"{metric:20}{sizes:>12}{found.auc:8.3f}{found.good:8.3f}{found.damaged:9.3f}")


def show_models(count: int) -> None:
    """Print what the shipped variants' pictures score on average."""
    reader = Reader()
    by_variant = {variant.name: scores_of(paint(variant, count), reader) for variant in VARIANTS}
    metrics = list(next(iter(by_variant.values())))
    typer.echo(f"\n{'painted by':20}" + "".join(f"{metric:>16}" for metric in metrics))
    for name, values in by_variant.items():
        cells = (f"{fmean(values[metric]):10.3f} ({len(values[metric]):3})" for metric in metrics)
        typer.echo(f"{name:20}" + "".join(f"{cell:>16}" for cell in cells))


def main(
    images: Annotated[int, typer.Option(min=1, help="Images per size that costs are measured on.")] = 20,
    pictures: Annotated[int, typer.Option(min=1, help="Good ones, and as many damaged ones, per score.")] = 100,
    painted: Annotated[int, typer.Option(min=1, max=42, help="Scenes that each shipped variant paints.")] = 28,
) -> None:
    """Measure and print."""
    show_costs(images)
    show_reader(pictures)
    show_separation(pictures)
    show_models(painted)


if __name__ == "__main__":
    typer.run(main)
