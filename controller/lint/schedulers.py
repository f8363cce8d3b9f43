"""The schedulers of diffusers that draw images, and what is known of them."""

FLOW = frozenset(
    {"FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "FlowMatchLCMScheduler"}
)  # fmt: skip
FLOW_BY_FLAG = frozenset(
    {
        "DPMSolverMultistepScheduler",
        "DPMSolverSinglestepScheduler",
        "UniPCMultistepScheduler",
        "DEISMultistepScheduler",
        "SASolverScheduler",
    }
)
"""Draw flow-matching models only with `use_flow_sigmas: true`."""

STOCHASTIC = frozenset(
    {
        "CMStochasticIterativeScheduler",
        "DDPMParallelScheduler",
        "DDPMScheduler",
        "DDPMWuerstchenScheduler",
        "DPMSolverSDEScheduler",
        "EulerAncestralDiscreteScheduler",
        "FlowMatchLCMScheduler",
        "KDPM2AncestralDiscreteScheduler",
        "LCMScheduler",
        "LTXEulerAncestralRFScheduler",
        "SASolverScheduler",
        "TCDScheduler",
    }
)
"""Draw fresh noise at every step, some of it from generators that a request's seed does not reach."""

SCHEDULERS = (
    FLOW
    | FLOW_BY_FLAG
    | STOCHASTIC
    | {
        "AmusedScheduler",
        "BlockRefinementScheduler",
        "CogVideoXDDIMScheduler",
        "CogVideoXDPMScheduler",
        "CosineDPMSolverMultistepScheduler",
        "DDIMInverseScheduler",
        "DDIMParallelScheduler",
        "DDIMScheduler",
        "DPMSolverMultistepInverseScheduler",
        "DiscreteDDIMScheduler",
        "EDMDPMSolverMultistepScheduler",
        "EDMEulerScheduler",
        "EntropyBoundScheduler",
        "EulerDiscreteScheduler",
        "FlowMapEulerDiscreteScheduler",
        "HeliosDMDScheduler",
        "HeliosScheduler",
        "HeunDiscreteScheduler",
        "IPNDMScheduler",
        "KDPM2DiscreteScheduler",
        "KarrasVeScheduler",
        "LMSDiscreteScheduler",
        "MiniMaxH3Scheduler",
        "PNDMScheduler",
        "PiflowScheduler",
        "RFD4ProteinaScheduler",
        "RePaintScheduler",
        "SCMScheduler",
        "ScoreSdeVeScheduler",
        "UnCLIPScheduler",
        "UniPCMultistepScheduler",
        "VQDiffusionScheduler",
    }
)
"""Every scheduler class of the pinned diffusers."""
