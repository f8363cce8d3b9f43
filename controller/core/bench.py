"""A bench: a candidate and the incumbent on one suite, side by side on equal resources and away from all traffic."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from controller.core.lane import Lane
from controller.core.policy import Policy
from controller.core.rollout import Rollout
from controller.core.spec import Digest, ModelSpec, app_name, digest_of
from controller.stats.tally import Arm


def twin(spec: ModelSpec, replicas: int, name: str = "bench") -> ModelSpec:
    """Return a spec that draws the same images in an application of its own, with so many replicas.

    The live application has users in its queue: they would disturb a bench, and it them.
    """
    variant = "-".join(filter(None, (spec.variant, name)))
    return replace(spec, variant=variant, resources=replace(spec.resources, replicas=replicas))


def question(lane: str, candidate: ModelSpec, incumbent: ModelSpec, policy: Policy) -> Digest:
    """Return the identity of what a bench asks, whoever asks it."""
    return digest_of(
        {
            "lane": lane,
            "candidate": candidate.digest,
            "incumbent": incumbent.digest,
            "gate": policy.gate.to_json() if policy.gate else None,
            "criteria": [asdict(criterion) for criterion in policy.criteria],
            "budget": asdict(policy.budget),
        }
    )


@dataclass(frozen=True, slots=True)
class Bench:
    """One comparison. `policy` holds the gate with the suite's digest, the criteria and the error budget.

    `timeout_s` bounds an image, as on the lane. `rollout` is None for a bench that somebody asked for by itself.
    `created_at_s`: Unix seconds of the database's clock.
    """

    id: str
    lane: str
    name: str
    actor: str
    reason: str
    candidate: ModelSpec
    incumbent: ModelSpec
    policy: Policy
    timeout_s: float
    rollout: str | None = None
    created_at_s: float = 0.0

    @staticmethod
    def of(rollout: Rollout, lane: Lane) -> "Bench":
        """Return the bench of a rollout on its lane, without an id yet."""
        return Bench(
            id="",
            lane=rollout.lane,
            name=rollout.name,
            actor=rollout.proposed_by,
            reason=f"the offline gate of {rollout.id}",
            candidate=rollout.candidate,
            incumbent=rollout.incumbent,
            policy=rollout.policy,
            timeout_s=lane.timeout_s,
            rollout=rollout.id,
        )

    @property
    def specs(self) -> Mapping[Arm, ModelSpec]:
        """Return what the bench draws with; a rollout's candidate has no traffic yet and is drawn as it is."""
        replicas = self.candidate.resources.replicas
        candidate = self.candidate if self.rollout else twin(self.candidate, replicas, "bench-candidate")
        return {Arm.INCUMBENT: twin(self.incumbent, replicas), Arm.CANDIDATE: candidate}

    @property
    def apps(self) -> Mapping[Arm, str]:
        """Return the serving application of each arm."""
        return {arm: app_name(self.lane, spec.digest) for arm, spec in self.specs.items()}

    @property
    def question(self) -> Digest:
        """Return what makes two benches the same question: lane, models, suite and settings."""
        return question(self.lane, self.candidate, self.incumbent, self.policy)

    @property
    def key(self) -> Digest:
        """Return what makes two benches one: the question, and the rollout that asks."""
        return digest_of({"question": self.question, "rollout": self.rollout})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Bench":
        """Parse what `to_json` returned."""
        return Bench(
            **{
                **value,
                "candidate": ModelSpec.from_json(value["candidate"]),
                "incumbent": ModelSpec.from_json(value["incumbent"]),
                "policy": Policy.from_json(value["policy"]),
            }
        )
