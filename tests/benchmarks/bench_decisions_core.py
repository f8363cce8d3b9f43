"""What deciding costs: a judgement, the gateway's recorder, the simulator, the memory of a long rollout, shards.

    python -m tests.benchmarks.bench_decisions_core

One process, CPU time, so that a busy machine hurts little. Judgements are timed at their typical and at their worst:
most windows only count, some retune. No figure is asserted here; the aims stand beside them.
"""

import json
import pickle
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
import typer

from controller.core.judge import Judge, Unit, assess, fold, start
from controller.core.policy import Policy
from controller.schema import POLICIES
from controller.schema.scenario import RequestClass, Scenario, load_scenario
from controller.sim.conditions import START_S
from controller.sim.run import Run
from controller.sim.world import World
from controller.stats.columns import NO_VALUE, Columns
from controller.stats.tally import WINDOW_S, Arm, ClassTally, WindowTally
from serving.outcome import Outcome
from serving.recorder import Recorder

CLASSES = 16
SHARE = 0.1
FIRST_WINDOW = int(START_S // WINDOW_S)
AIM_JUDGEMENT_MS, AIM_RECORDER_US, AIM_REQUESTS_PER_S, AIM_STATE_MB, AIM_LOG_E = 5.0, 10.0, 5e6, 5.0, 1e-9


def main() -> None:
    """Measure once and print one line a figure."""
    scenario = load_scenario(POLICIES / "scenarios" / "boundary-10.yaml")
    for requests in (25, 100, 1_000, 10_000, 100_000, 1_000_000):
        judgement(scenario, requests)
    recorder()
    for requests in (1, 50, 1_000, 10_000, 20_000, 100_000):
        simulator(scenario, requests)
    memory(scenario)
    shards(scenario)


def judgement(scenario: Scenario, requests: int) -> None:
    """Time windows of so many requests in 16 classes through the judge, each followed by an assessment."""
    judge = _judge(scenario.policy, windows(scenario, 5_000, 1)[0])
    folding, assessing = [], []
    for at, tally in enumerate(windows(scenario, requests, 40)):
        unit = _unit(judge, at, tally)
        before = time.process_time()
        judge = fold(judge, unit)
        between = time.process_time()
        assess(judge)
        folding.append(1000 * (between - before))
        assessing.append(1000 * (time.process_time() - between))
    typer.echo(
        f"window of {requests:,} in {CLASSES} classes: fold {_spread(folding)}, assess {_spread(assessing)}, "
        f"aim {AIM_JUDGEMENT_MS:g} ms for both"
    )


def recorder(requests: int = 50_000) -> None:
    """Time what the gateway does for each request: count it as assigned, count its outcome, count its score."""
    outcomes = [
        Outcome({"latency_s": 0.5 + at / 100, "cost_usd": 0.01, "failure": 0.0, "refusal": 0.0}) for at in range(100)
    ]
    recording = Recorder()
    before = time.process_time()
    for at in range(requests):
        ticket = recording.assign("lane", 1, Arm.CANDIDATE if at % 10 == 0 else Arm.INCUMBENT, f"class-{at % CLASSES}")
        ticket.resolve(outcomes[at % 100], score_follows=True)
        ticket.score("text_accuracy", 1.0)
    each_us = 1e6 * (time.process_time() - before) / requests
    typer.echo(f"recorder: {each_us:.1f} us a request with four values and a score, aim {AIM_RECORDER_US:g}")


def simulator(scenario: Scenario, requests: int) -> None:
    """Time one whole run in windows of so many requests."""
    n_windows = max(20, 100_000 // requests)
    crowded = replace(
        scenario,
        window_requests=requests,
        rate_per_s=requests / WINDOW_S,
        duration_s=n_windows * float(WINDOW_S),
    )
    before = time.process_time()
    result = Run(crowded, 1, 0).go()
    rate = result.requests / (time.process_time() - before)
    typer.echo(f"simulator, windows of {requests:,}: {rate:,.0f} requests a second, aim {AIM_REQUESTS_PER_S:,.0f}")


def memory(scenario: Scenario) -> None:
    """Print the size of a judge that read ten million candidate images in 16 classes."""
    judge = _judge(scenario.policy, windows(scenario, 5_000, 1)[0])
    images, at = 0, 0
    for tally in windows(scenario, 1_000_000, 100):
        judge = fold(judge, _unit(judge, at, tally))
        images, at = images + tally.assigned(Arm.CANDIDATE), at + 1
    state = {key: value for key, value in asdict(judge).items() if key != "policy"}
    sizes = len(pickle.dumps(judge)), len(json.dumps(_plain(state)))
    typer.echo(
        f"state after {images:,} candidate images: {sizes[0] / 1e6:.2f} MB pickled, {sizes[1] / 1e6:.2f} MB as JSON, "
        f"aim {AIM_STATE_MB:g}"
    )


def shards(scenario: Scenario, parts: int = 4) -> None:
    """Print by how much log e differs when every window comes in shards that are merged."""
    whole = merged = _judge(scenario.policy, windows(scenario, 5_000, 1)[0])
    rng = np.random.default_rng(3)
    for at, tally in enumerate(windows(scenario, 1_000, 30)):
        whole = fold(whole, _unit(whole, at, tally))
        together = sum(_split(tally, parts, rng), start=WindowTally())
        merged = fold(merged, _unit(merged, at, together))
    first, second = (
        [value for item in assess(judge).verdicts for value in (item.summary.log_harm, item.summary.log_safety)]
        for judge in (whole, merged)
    )
    worst = max(abs(a - b) for a, b in zip(first, second, strict=True))
    typer.echo(f"{parts} shards merged against a single stream: log e differs by {worst:.1e}, aim {AIM_LOG_E:g}")


def windows(scenario: Scenario, requests: int, n: int) -> Sequence[WindowTally]:
    """Return windows of so many requests whose classes differ in how long they take."""
    world = World(
        replace(scenario, window_requests=requests, rate_per_s=requests / WINDOW_S, classes=_classes(scenario)), 1, 0
    )
    span = world.draw(START_S, n, SHARE, 0).span(1, 0, SHARE)
    return [_tally(span.columns, at) for at in range(len(span.windows))]


def _classes(scenario: Scenario) -> tuple[RequestClass, ...]:
    [one] = scenario.classes
    even = replace(one, share=1 / CLASSES, share_end=1 / CLASSES)
    scales = [0.3 * 1.2**at for at in range(CLASSES)]
    return tuple(
        replace(even, name=f"class-{at}", scale={"latency_s": scale, "cost_usd": scale})
        for at, scale in enumerate(scales)
    )


def _tally(columns: Mapping[str, Columns], at: int) -> WindowTally:
    arms: dict[Arm, dict[str, ClassTally]] = {}
    cells: dict[tuple[Arm, str], dict[str, dict[int, int]]] = {}
    assigned: dict[tuple[Arm, str], int] = {}
    for metric, every in columns.items():
        rows = every.part(at, at + 1)
        for candidate, kind, cell, n in zip(
            rows.candidate.tolist(), rows.kind.tolist(), rows.cell.tolist(), rows.n.tolist(), strict=True
        ):
            key = Arm.CANDIDATE if candidate else Arm.INCUMBENT, rows.names[kind]
            if metric == "failure":
                assigned[key] = assigned.get(key, 0) + n
            if cell != NO_VALUE:
                counts = cells.setdefault(key, {}).setdefault(metric, {})
                counts[cell] = counts.get(cell, 0) + n
    for (arm, name), n in assigned.items():
        arms.setdefault(arm, {})[name] = ClassTally(n, cells.get((arm, name), {}))
    return WindowTally(arms)


def _split(tally: WindowTally, parts: int, rng: np.random.Generator) -> list[WindowTally]:
    """Deal every count out to shards."""
    shares = np.full(parts, 1 / parts)
    dealt: list[dict[Arm, dict[str, ClassTally]]] = [{} for _ in range(parts)]
    for arm, classes in tally.arms.items():
        for name, item in classes.items():
            assigned = rng.multinomial(item.assigned, shares).tolist()
            cells = {m: {c: rng.multinomial(n, shares).tolist() for c, n in of.items()} for m, of in item.cells.items()}
            for part, shard in enumerate(dealt):
                mine = {m: {c: n[part] for c, n in of.items() if n[part]} for m, of in cells.items()}
                shard.setdefault(arm, {})[name] = ClassTally(assigned[part], mine)
    return [WindowTally(shard) for shard in dealt]


def _judge(policy: Policy, history: WindowTally) -> Judge:
    return start(policy, 30.0, WindowTally({Arm.INCUMBENT: history.arms[Arm.INCUMBENT]}))


def _unit(judge: Judge, at: int, tally: WindowTally) -> Unit:
    readers = tuple(range(len(judge.processes)))
    return Unit(window=FIRST_WINDOW + at, epoch=1, stage=0, share=SHARE, readers=readers, tally=tally)


def _plain(value: object) -> object:
    """Return JSON values: keys as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return np.frombuffer(value).tolist()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _spread(values_ms: Sequence[float]) -> str:
    return f"median {statistics.median(values_ms):.2f} ms, worst {max(values_ms):.2f} ms"


if __name__ == "__main__":
    typer.run(main)
