"""A bench's result as the real plan, judge and document make it, of drawings from a seed: images, readings, faults."""

import hashlib
import io
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image, ImageDraw

from controller.core.policy import Criterion, Gate, Policy, Role
from controller.core.shot import Score, ShotResult
from controller.core.spec import Digest
from controller.core.suite import Category, Expectation, Prompt, Suite
from controller.gate.judge import assess, conclude, fold, start
from controller.gate.plan import Plan, Shot, ShotPhase, plan
from controller.gate.result import About, document
from controller.stats.tally import Arm
from tests.unit.core.values import POLICY, spec

HOSTILE = "\u202e<script>alert('x')</script>\"><img src=x onerror=alert(1)> @everyone `tick` |pipe| https://evil.test"
WORDS = tuple(f"{a}{b}" for a in ("SALE", "OPEN", "CAFE", "EXIT", "MENU", "LIVE") for b in ("NOW", "HERE", "DAY", "24"))
BROKEN = "sign-03"
"""The candidate never answers for it."""

CRITERIA = (
    Criterion("latency_s", "p50", max_ratio=1.25),
    Criterion("sharpness", "mean", max_drop=0.1, role=Role.WATCH),
    Criterion("logo", "mean", max_drop=0.1),
    Criterion("text_accuracy", "mean", max_drop=0.1),
)


@dataclass(frozen=True, slots=True)
class Example:
    """The document and the images that it names."""

    result: dict[str, Any]
    images: Mapping[str, bytes]


def example(seed: int = 1, **changes: Any) -> Example:
    """Return a bench whose candidate is fast and bad at letters, with changes of its document; no logo was scored."""
    drawn = plan(_suite(), _policy(), "preview")
    judge, shots, images = start(drawn), {}, {}
    for shot in drawn.shots():
        shots[shot.key] = _draw(seed, drawn, shot, images)
        judge = fold(judge, shot, shots[shot.key])
        if assess(judge).stop:
            break
    shots |= {shot.key: _draw(seed, drawn, shot, images) for shot in drawn.load()}
    about = About(
        id="b-0001",
        rollout=None,
        candidate_name="shiny",
        candidate=spec(8),
        incumbent=spec(20),
        versions={"code": "0.1.0", "text_accuracy": "ocr-cer1"},
        machine={"cpu": "a processor", "cores": 2, "device": "cpu"},
        started_at="2026-11-25T10:00:00.000000Z",
        finished_at="2026-11-25T10:05:00.000000Z",
    )
    return Example(json.loads(json.dumps(document(about, drawn, conclude(judge), shots) | changes)), images)


def png(word: str, size: tuple[int, int] = (96, 64), ground: str = "white") -> bytes:
    """Return a PNG of a word."""
    image = Image.new("RGB", size, ground)
    ImageDraw.Draw(image).text((8, 24), word, fill="black")
    out = io.BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()


def _suite() -> Suite:
    prompts = [
        Prompt(
            f"sign-{index:02d}",
            Category.TYPOGRAPHY,
            HOSTILE if index == 0 else f'a sign that says "{word}"',
            (100, 200),
            Expectation(text=word, logo="fox"),
        )
        for index, word in enumerate(WORDS)
    ]
    return Suite("tiny", 2, "Signs", tuple(prompts), {"fox": Digest("f" * 64)})


def _policy() -> Policy:
    suite = _suite()
    gate = Gate("tiny", suite.digest, 2, 3, concurrency=(1, 2), rate_per_s=0.5, criteria=CRITERIA)
    return replace(POLICY, gate=gate)


def _draw(seed: int, drawn: Plan, shot: Shot, images: dict[str, bytes]) -> ShotResult:
    again = shot.phase is ShotPhase.AGAIN
    key = shot.partner if again else shot.key
    rng = random.Random(f"{seed} {key}")  # the same seed draws the same image again
    word = drawn.prompts[shot.prompt_id].expect.text or ""
    if shot.arm is Arm.CANDIDATE and shot.prompt_id == BROKEN and shot.phase is ShotPhase.PAIR:
        return ShotResult(latency_s=20.0, fault="timeout", message="no answer within 20 s")
    candidate = shot.arm is Arm.CANDIDATE
    read = "".join(c if rng.random() < 0.6 else rng.choice("XYZ") for c in word) if candidate else word
    content = png(read, ground=rng.choice(("white", "lightblue", "khaki")))
    digest = Digest(hashlib.sha256(content).hexdigest())
    images[digest] = content
    service_s = (0.25 if candidate else 0.5) * rng.lognormvariate(0, 0.2)
    right = sum(a == b for a, b in zip(word, read, strict=True)) / len(word)
    scores = {
        "text_accuracy": Score(right, detail={"read": read, "confidence": 0.9}),
        "sharpness": Score(rng.uniform(0.7, 0.9)),
        "logo": Score(None, "scorer_down"),
        "objects": Score(None, "not_applicable"),
    }
    if again:
        scores["reproducibility"] = Score(0.9961 if candidate else 1.0)
    return ShotResult(
        image=digest,
        latency_s=service_s + 0.01,
        queue_s=0.0,
        service_s=service_s,
        compute_s=service_s,
        cost_usd=0.0004,
        memory_gib=1.4,
        memory_source="process peak",
        steps=8 if candidate else 20,
        scores=scores,
    )
