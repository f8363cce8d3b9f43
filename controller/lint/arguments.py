"""Arguments that nobody takes: of diffusers' pipelines, and of this platform's own providers."""

from collections.abc import Iterator, Mapping

from controller.lint import closest
from controller.lint.finding import Hit, Severity
from controller.lint.models import Family
from controller.lint.rule import rule
from controller.lint.subject import LOCAL, Subject
from controller.schema.document import shown

PROVIDER_OPTIONS: Mapping[str, tuple[str, ...]] = {
    LOCAL: ("max_sequence_length",),
    "fake": (
        "latency_s", "latency_sigma", "load_s", "memory_gib", "failure_share", "broken_share", "refusal_share",
        "blank_share", "hang_share", "text_error_share", "slow_factor", "faults_from", "load_failure",
    ),
}  # fmt: skip
"""What `model.options` may hold."""

MISTAKEN: Mapping[str, str] = {
    "batch_size": "a list of prompts, times num_images_per_prompt",
    "batch": "a list of prompts, times num_images_per_prompt",
    "num_steps": "num_inference_steps",
    "cfg": "guidance_scale",
    "cfg_scale": "guidance_scale",
    "sampler": "another pipeline.scheduler",
}
"""Names that pipelines are called with and don't take -> what was meant."""

_WITHOUT_SEQUENCE_LENGTH = frozenset({Family.SDXL, Family.SD, Family.UPSCALE})


@rule(Severity.ERROR, fix="the argument that the pipeline has")
def unknown_pipeline_kwarg(subject: Subject) -> Iterator[Hit]:
    """A pipeline refuses an argument that it does not have with a TypeError, on the first request."""
    if subject.ours:
        yield from _options(subject)
    elif subject.local:
        for name, meant in MISTAKEN.items():
            for found in subject.all((name,)):
                yield Hit(found.loc, f"no pipeline of diffusers takes {name}", meant)


def _options(subject: Subject) -> Iterator[Hit]:
    place = subject.place("model.options")
    given, allowed = subject.at(*place), PROVIDER_OPTIONS.get(subject.provider)
    if not isinstance(given, dict) or allowed is None:
        return
    if subject.family in _WITHOUT_SEQUENCE_LENGTH:
        allowed = ()
    for name in given:
        if name not in allowed:
            likely = closest.word(name, allowed)
            known = ", ".join(allowed) or "none"
            yield Hit(
                (*place, name),
                f"{shown(name)} is not an option of {subject.family or subject.provider}; allowed: {known}",
                likely or "remove it",
            )


RULES = (unknown_pipeline_kwarg,)
