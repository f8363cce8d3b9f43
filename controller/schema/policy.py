"""Policy files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from controller.core.policy import Assignment, Budget, Mode, OnDeadline, Policy, Requires, Stage
from controller.errors import InvalidFileError, Problem
from controller.schema.criteria import CriterionFile, faults_among
from controller.schema.document import Document, read, shown
from controller.schema.faults import Fault, FileModel, accept, nearest, refuse
from controller.schema.gate import GateFile, unprovable
from controller.schema.model import Name, SchemaVersion
from controller.schema.sources import ROOT

POLICIES = ROOT / "policies"
SHADOW_MIN_IMAGES = 50
SHARE_MIN_IMAGES = 100
_HOUR_S = 3600

Share = Annotated[float, Field(gt=0, lt=1)]
Images = Annotated[int, Field(ge=1, le=10_000_000)]


class BudgetFile(FileModel):
    """`budget:` error probabilities of the whole rollout."""

    false_revert: Annotated[float, Field(gt=0, lt=0.5)]
    false_promote: Annotated[float, Field(gt=0, lt=0.5)]


class StageFile(FileModel):
    """One entry of `stages:`; `shadow` or `share` is the probability that a request reaches the candidate."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["shadow"]}, {"required": ["share"]}]})

    shadow: Share | None = None
    share: Share | None = None
    min_images: Images | None = None
    requires: Literal["images", "pass"] | None = None
    approval: bool = False

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.shadow is None) == (self.share is None):
            refuse([((), "needs either `shadow` or `share`, the part of the requests that it sends")])
        return self

    def core(self, *, last: bool) -> Stage:
        """Return the core value; the last stage always asks for proof."""
        shadow = self.shadow is not None
        return Stage(
            mode=Mode.SHADOW if shadow else Mode.SHARE,
            share=float(self.shadow or self.share or 0),
            min_images=self.min_images or (SHADOW_MIN_IMAGES if shadow else SHARE_MIN_IMAGES),
            requires=Requires.PASS if last else Requires(self.requires or Requires.IMAGES),
            approval=self.approval,
        )


class PolicyFile(FileModel):
    """A policy file, whole."""

    schema_version: SchemaVersion
    kind: Literal["policy"]
    name: Name
    budget: BudgetFile
    assignment: Literal["request", "sticky"] = "request"
    deadline_h: Annotated[float, Field(gt=0, le=24 * 90)]
    on_deadline: Literal["revert", "hold"] = "revert"
    gate: GateFile | None = None
    stages: Annotated[tuple[StageFile, ...], Field(min_length=1)]
    bake_h: Annotated[float, Field(ge=0, le=24 * 90)]
    holdback: Annotated[float, Field(ge=0, lt=0.5)] = 0.02
    ready_timeout_s: Annotated[float, Field(gt=0, le=24 * _HOUR_S)] = 600.0
    evidence_timeout_s: Annotated[float, Field(gt=0, le=24 * _HOUR_S)] = 900.0
    max_invalid_share: Annotated[float, Field(gt=0, lt=1)] = 0.05
    criteria: Annotated[tuple[CriterionFile, ...], Field(min_length=1)]

    @field_validator("stages")
    @classmethod
    def _stages_climb(cls, stages: tuple[StageFile, ...]) -> tuple[StageFile, ...]:
        refuse(stage_faults(stages))
        return stages

    @field_validator("criteria")
    @classmethod
    def _criteria_agree(cls, criteria: tuple[CriterionFile, ...]) -> tuple[CriterionFile, ...]:
        refuse(faults_among(criteria))
        return criteria

    @model_validator(mode="after")
    def _gate_can_judge(self) -> Self:
        if self.gate is not None and self.gate.criteria is None:
            refuse((("gate",), fault) for fault in unprovable([item.core() for item in self.criteria]))
        return self

    def core(self) -> Policy:
        """Return the core value; times in seconds."""
        last = len(self.stages) - 1
        criteria = tuple(criterion.core() for criterion in self.criteria)
        return Policy(
            name=self.name,
            budget=Budget(self.budget.false_revert, self.budget.false_promote),
            stages=tuple(stage.core(last=index == last) for index, stage in enumerate(self.stages)),
            criteria=criteria,
            deadline_s=float(self.deadline_h * _HOUR_S),
            on_deadline=OnDeadline(self.on_deadline),
            bake_s=float(self.bake_h * _HOUR_S),
            holdback=self.holdback,
            ready_timeout_s=self.ready_timeout_s,
            evidence_timeout_s=self.evidence_timeout_s,
            max_invalid_share=self.max_invalid_share,
            gate=self.gate.core(criteria) if self.gate else None,
            assignment=Assignment(self.assignment),
        )


def stage_faults(stages: tuple[StageFile, ...]) -> Iterator[Fault]:
    """Yield what is wrong with stages that are sound one by one."""
    highest = 0.0
    for index, stage in enumerate(stages):
        if stage.shadow is not None and highest:
            yield (
                (index, "shadow"),
                "stands after a share; shadow stages come first, where no user sees the candidate",
            )
        if stage.share is not None:
            if stage.share <= highest:
                yield (
                    (index, "share"),
                    f"must be more than {highest:g}, the share before it; found {stage.share:g}",
                )
            highest = max(highest, stage.share)
    if stages[0].approval:
        yield (
            (0, "approval"),
            "the first stage starts when the gate has passed; ask for approval from the second on",
        )
    if stages[-1].requires == "images":
        yield (
            (len(stages) - 1, "requires"),
            "the last stage promotes, so it always requires pass; remove the key or write pass",
        )


def parse_policy(document: Document) -> Policy:
    """Return the policy that a document declares; InvalidFileError with every fault."""
    return accept(document, PolicyFile).core()


def load_policy(reference: str | Path, policies: Path = POLICIES, base: Path | None = None) -> Policy:
    """Return the policy that a name in `policies` or a path names; InvalidFileError when it is not sound.

    A relative path starts at `base`, by default the working directory.
    """
    text = str(reference)
    if isinstance(reference, Path) or "/" in text or text.endswith((".yaml", ".yml")):
        return parse_policy(read((base or Path()) / reference))
    path = policies / f"{text}.yaml"
    names = policy_names(policies)
    if text not in names:
        message = f"no policy is called {shown(text)}; {nearest(text, names)} (or give a path)"
        raise InvalidFileError((Problem(str(path), 1, 1, "file", message),))
    document = read(path)
    policy = parse_policy(document)
    if policy.name != text:
        message = f"the file {path.name} must call its policy {text}, found {policy.name}"
        raise InvalidFileError((document.problem(("name",), message),))
    return policy


def policy_names(policies: Path = POLICIES) -> tuple[str, ...]:
    """Return the names that `load_policy` knows: the files of the folder that declare a policy."""
    return tuple(
        path.stem for path in sorted(policies.glob("*.yaml")) if "kind: policy" in path.read_text("utf-8", "replace")
    )
