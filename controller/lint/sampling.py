"""Sampling."""

from collections.abc import Iterator

from controller.lint import closest, hosted, keys
from controller.lint.finding import Hit, Severity
from controller.lint.models import MEDIUM
from controller.lint.rule import rule
from controller.lint.schedulers import FLOW, FLOW_BY_FLAG, SCHEDULERS, STOCHASTIC
from controller.lint.subject import Found, Subject
from controller.schema.document import shown

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
USUAL_SCHEDULER = "FlowMatchEulerDiscreteScheduler"
UNKNOWN_MODEL_GUIDANCE = 10.0


@rule(ERROR, fix=USUAL_SCHEDULER)
def scheduler_unknown(subject: Subject) -> Iterator[Hit]:
    """A scheduler that diffusers does not have fails when the model is loaded, after everybody has waited."""
    found = _scheduler(subject)
    if found and found.value not in SCHEDULERS:
        flow = subject.family is None or subject.family.flow
        likely = closest.word(found.value, FLOW - STOCHASTIC if flow else SCHEDULERS) or USUAL_SCHEDULER
        yield Hit(found.loc, f"diffusers has no scheduler {shown(str(found.value))}", likely)


@rule(ERROR, fix=USUAL_SCHEDULER)
def scheduler_not_flow_match(subject: Subject) -> Iterator[Hit]:
    """A flow-matching model drawn with a scheduler for noise prediction makes wrong images and no error."""
    found = _scheduler(subject)
    if not found or found.value not in SCHEDULERS - FLOW or not (subject.family and subject.family.flow):
        return
    if found.value not in FLOW_BY_FLAG:
        yield Hit(found.loc, f"{found.value} does not match {subject.family}, which was trained by flow matching")
    elif not _flow_sigmas(subject):
        message = f"{found.value} draws {subject.family} only with use_flow_sigmas: true"
        yield Hit(found.loc, message, f"{USUAL_SCHEDULER}, or use_flow_sigmas: true and the whole suite again")


@rule(WARNING, fix="a deterministic scheduler, such as FlowMatchEulerDiscreteScheduler")
def scheduler_stochastic(subject: Subject) -> Iterator[Hit]:
    """Ancestral and SDE schedulers draw noise at every step: one seed then makes different images."""
    found = _scheduler(subject)
    if found and found.value in STOCHASTIC:
        yield Hit(found.loc, f"{found.value} draws fresh noise at every step")
    for flag in subject.all(keys.STOCHASTIC):
        if flag.value is True:
            yield Hit(flag.loc, "stochastic sampling is switched on")
    algorithm = subject.text(keys.ALGORITHM)
    if algorithm and str(algorithm.value).startswith("sde-"):
        yield Hit(algorithm.loc, f"{shown(algorithm.value)} solves a stochastic equation")
    folder = subject.facts.folder
    if folder and folder.scheduler.get("stochastic_sampling") is True:
        yield Hit(subject.place("model.source"), "the folder's scheduler switches stochastic sampling on")


@rule(ERROR, fix="state steps, and a cap that requests can't exceed")
def steps_uncapped(subject: Subject) -> Iterator[Hit]:
    """Time and cost grow with steps: without a number and a cap one request can occupy a replica for minutes."""
    if not subject.local:
        return
    steps, cap, model = subject.number(keys.STEPS), subject.number(keys.MAX_STEPS), subject.model
    if not steps and not any(subject.all(keys.STEPS)):
        most = model.steps_cap if model else 40
        yield Hit(subject.place("sampling.steps"), "no steps are stated: the pipeline's default decides", f"{most}")
    if cap and model and cap.value > model.steps_cap:
        yield Hit(
            cap.loc, f"{model.source} needs at most {model.steps_cap} steps, found {cap.value}", f"{model.steps_cap}"
        )
    elif steps and not cap and model and steps.value > model.steps_cap:
        yield Hit(steps.loc, f"{model.source} needs at most {model.steps_cap} steps", f"{model.steps_cap}")
    if steps and cap and steps.value > cap.value:
        yield Hit(
            steps.loc, f"{steps.value} steps are stated, {cap.value} would be drawn: the cap wins", f"{cap.value}"
        )


@rule(WARNING, fix="28 to 40 steps")
def steps_below_model_floor(subject: Subject) -> Iterator[Hit]:
    """Below its floor a model leaves noise and unfinished letters that a glance at ten images misses."""
    steps, model = subject.number(keys.STEPS), subject.model
    if steps and model and steps.value < model.steps_floor:
        least = f"{model.steps_floor} or more"
        yield Hit(steps.loc, f"{model.source} needs at least {model.steps_floor} steps, found {steps.value}", least)


@rule(ERROR, fix="the maker's setting; 4.5 for Stable Diffusion 3.5")
def guidance_out_of_range(subject: Subject) -> Iterator[Hit]:
    """Guidance far above the maker's setting burns colours and breaks letters, and looks vivid in a quick review."""
    found, model = subject.number(keys.GUIDANCE), subject.model
    if not found or not subject.local:
        return
    warn = model.guidance_warn if model else UNKNOWN_MODEL_GUIDANCE
    if found.value > warn:
        wrong = model is not None and model.guidance_error is not None and found.value > model.guidance_error
        of = (
            f"; {model.source} is made for {model.guidance_best:g}" if model else ", far above what models are made for"
        )
        best = f"{model.guidance_best:g}" if model else "3.5 to 5"
        yield Hit(found.loc, f"guidance {found.value:g}{of}", best, ERROR if wrong else WARNING)


@rule(ERROR, fix="guidance 1.0 and 4 to 8 steps")
def turbo_with_cfg(subject: Subject) -> Iterator[Hit]:
    """A distilled model has its guidance built in: more of it, or more steps, cost twice and look worse."""
    model = subject.model
    if not model or not model.distilled:
        return
    guidance, steps = subject.number(keys.GUIDANCE), subject.number(keys.STEPS)
    if guidance and guidance.value > 1:
        yield Hit(guidance.loc, f"{model.source} is distilled: guidance {guidance.value:g} does harm", "1.0")
    if steps and steps.value > model.steps_cap:
        yield Hit(steps.loc, f"{model.source} is distilled: {steps.value} steps do harm", "4")


@rule(WARNING, fix="remove it, or say it in the prompt")
def negative_prompt_ineffective(subject: Subject) -> Iterator[Hit]:
    """Without guidance nothing reads the negative prompt, and some providers drop it: it promises what it can't do."""
    found = subject.any(keys.NEGATIVE_PROMPT)
    if not found:
        return
    model = subject.model
    turbo = "turbo" in str(subject.source.value) if subject.source else False
    if subject.local and (subject.value(keys.GUIDANCE, 7.0) <= 1 or (model and model.distilled)):
        yield Hit(found.loc, "with guidance of 1 or less, or a distilled model, nothing reads it")
    elif subject.provider in hosted.DROPS_NEGATIVE_PROMPT or (subject.provider == hosted.STABILITY and turbo):
        yield Hit(found.loc, f"{subject.provider} does not read it for this model")


@rule(INFO, fix="skip_guidance_layers [7, 8, 9], from 0.01 to 0.2 of the steps")
def slg_missing_on_medium(subject: Subject) -> Iterator[Hit]:
    """The makers draw SD3.5 medium with skip-layer guidance; without it bodies fall apart more often."""
    if subject.model is MEDIUM and subject.source and not subject.any(keys.SKIP_LAYERS):
        yield Hit(subject.source.loc, "drawn without skip-layer guidance, unlike the makers' own demo")


def _scheduler(subject: Subject) -> Found | None:
    return subject.text(keys.SCHEDULER) or subject.text(("scheduler.class",)) if subject.local else None


def _flow_sigmas(subject: Subject) -> bool:
    folder = subject.facts.folder
    stated = any(found.value is True for found in subject.all(keys.FLOW_SIGMAS))
    return stated or (folder is not None and folder.scheduler.get("use_flow_sigmas") is True)


RULES = (
    scheduler_unknown,
    scheduler_not_flow_match,
    scheduler_stochastic,
    steps_uncapped,
    steps_below_model_floor,
    guidance_out_of_range,
    turbo_with_cfg,
    negative_prompt_ineffective,
    slg_missing_on_medium,
)
