"""Values that core tests start from."""

from dataclasses import replace

from controller.core.lane import Lane
from controller.core.policy import Budget, Criterion, Mode, OnDeadline, Policy, Requires, Role, Stage
from controller.core.rollout import Rollout
from controller.core.spec import ModelSpec, Resources, Sampling, Scheduler
from controller.core.verdict import Assessment, CriterionVerdict, Verdict
from controller.stats.criterion import Summary

POLICY = Policy(
    name="test",
    budget=Budget(false_revert=0.01, false_promote=0.05),
    stages=(
        Stage(Mode.SHADOW, 0.1, 5, Requires.IMAGES),
        Stage(Mode.SHARE, 0.1, 10, Requires.IMAGES),
        Stage(Mode.SHARE, 0.25, 10, Requires.IMAGES, approval=True),
        Stage(Mode.SHARE, 0.5, 20, Requires.PASS),
    ),
    criteria=(
        Criterion("latency_s", "p95", max_ratio=1.25),
        Criterion("failure", "rate", max_increase=0.05),
        Criterion("text_accuracy", "mean", max_drop=0.1, role=Role.WATCH),
    ),
    deadline_s=3600,
    on_deadline=OnDeadline.REVERT,
    bake_s=60,
    holdback=0.02,
    ready_timeout_s=120,
    evidence_timeout_s=300,
    max_invalid_share=0.05,
)


def spec(steps: int = 20) -> ModelSpec:
    """Return a model spec that differs by its steps."""
    return ModelSpec(
        provider="fake",
        source="fake",
        revision="0" * 40,
        precision="float32",
        scheduler=Scheduler("FlowMatchEulerDiscreteScheduler", 50),
        sampling=Sampling(steps=steps, guidance_scale=3.0, width_px=96, height_px=64),
        resources=Resources(gpu="cpu", num_gpus=0, replicas=1),
    )


LANE = Lane(name="preview", timeout_s=20, incumbent=spec(20))

ROLLOUT = Rollout(
    id="r-0001",
    lane="preview",
    name="turbo",
    owner="imaging",
    proposed_by="ana",
    candidate=spec(10),
    incumbent=spec(20),
    policy=POLICY,
    salt="salt",
    created_at_s=1000.0,
    entered_at_s=1000.0,
)

NOTHING = Summary(
    log_harm=0.0,
    log_safety=0.0,
    incumbent=None,
    candidate=None,
    change=None,
    change_low=None,
    change_high=None,
    n_incumbent=0,
    n_candidate=0,
    missing_candidate=0,
    missing_incumbent=0,
)


def assessment(**changes: object) -> Assessment:
    """Return an assessment that nothing is wrong with and nothing is proven by, with changes."""
    verdicts = tuple(
        CriterionVerdict(item.title, item.role, "allowed", Verdict.INCONCLUSIVE, f"{item.title} is undecided", NOTHING)
        for item in POLICY.criteria
    )
    plain = Assessment(
        verdicts=verdicts,
        log_harm=0.0,
        log_needed=4.6,
        harm=None,
        safe=False,
        evident=True,
        elevated=False,
        images=0,
        log_sample_ratio=0.0,
        untrusted=None,
        environment=None,
        last_evidence_s=None,
        stage=len(POLICY.stages) - 1,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]
