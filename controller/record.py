"""What the audit log says of a proposal and of a step."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from controller.core.rollout import Event, Rollout
from controller.core.split import Split
from controller.ports import AuditDraft
from controller.reading import Reading


def proposal_entry(rollout: Rollout, warnings: Sequence[str] = (), license_ack: str = "") -> AuditDraft:
    """Return the entry of a proposal.

    `warnings`: what its proposer was told; `license_ack`: which agreement is said to cover the weights.
    """
    return AuditDraft(
        actor=rollout.proposed_by,
        action="propose",
        reason=rollout.reason,
        lane=rollout.lane,
        to_state=rollout.state.value,
        detail={
            "name": rollout.name,
            "owner": rollout.owner,
            "candidate": rollout.candidate.to_json(),
            "candidate_digest": rollout.candidate.digest,
            "incumbent_digest": rollout.incumbent.digest,
            "policy": rollout.policy.to_json(),
            "policy_digest": rollout.policy.digest,
            "tradeoffs": dict(rollout.tradeoffs),
            "overrides": list(rollout.overrides),
            "warnings": list(warnings),
            **({"license_ack": license_ack} if license_ack else {}),
        },
    )


def step_entry(
    before: Rollout,
    after: Rollout,
    event: Event,
    split: Split | None,
    reading: Reading | None,
    versions: Mapping[str, str],
) -> AuditDraft:
    """Return the entry of a step: who, what, why, on which evidence, under which policy, models and versions."""
    return AuditDraft(
        actor=event.actor,
        action=event.kind.value,
        reason=after.reason,
        lane=after.lane,
        rollout=after.id,
        from_state=before.state.value,
        to_state=after.state.value,
        detail={
            "stage": after.stage,
            "policy_digest": after.policy.digest,
            "candidate_digest": after.candidate.digest,
            "incumbent_digest": after.incumbent.digest,
            "split": asdict(split) if split else None,
            "evidence": {"seq": reading.seq, "digest": reading.digest} if reading else None,
            "assessment": reading.assessment.to_json() if reading else None,
            "versions": dict(versions),
            **event.detail,
        },
    )


def repair_entry(rollout: Rollout | None, found: Split, written: Split) -> AuditDraft:
    """Return the entry of a split that had to be written although nothing happened: somebody changed it."""
    detail: dict[str, Any] = {"found": asdict(found), "written": asdict(written)}
    return AuditDraft(
        actor="swapgate",
        action="repair",
        reason="the stored split differed from the wanted one",
        lane=written.lane,
        rollout=rollout.id if rollout else None,
        detail=detail,
    )
