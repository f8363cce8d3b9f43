"""Train the transformer and its text encoders by flow matching on encoded samples."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from math import cos, pi
from time import monotonic
from typing import Final

import torch
from diffusers import StableDiffusion3Pipeline
from diffusers.models.attention_processor import JointAttnProcessor2_0
from torch import Tensor, nn

from serving.tinydiff.architecture import T5_TOKENS, TEXT_WIDTH
from serving.tinydiff.guidance import GuidedAttention, alignment_loss
from serving.tinydiff.parallel import Team
from serving.tinydiff.samples import EncodedSamples

BATCH: Final = 48
LEARNING_RATE: Final = 1.5e-3
WARMUP_STEPS: Final = 100
WEIGHT_DECAY: Final = 0.01
PROMPT_DROPOUT: Final = 0.08
ALIGNMENT_WEIGHT: Final = 0.1
TIME_MEAN, TIME_DEVIATION = 0.4, 1.1  # logit-normal: more steps near noise, where the letters are decided
AVERAGE_DECAY: Final = 0.998
TRAINED_PARTS: Final = ("transformer", "text_encoder", "text_encoder_2")


@dataclass(frozen=True, slots=True)
class Progress:
    """What one step did; ``average`` holds the smoothed weights that are shipped."""

    step: int
    loss: float
    alignment: float
    average: dict[str, nn.Module]


def encode_prompts(pipeline: StableDiffusion3Pipeline, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Token and pooled embeddings, joined and padded as the pipeline itself does without a T5."""
    wide = pipeline.text_encoder(ids, output_hidden_states=True)
    narrow = pipeline.text_encoder_2(ids, output_hidden_states=True)
    tokens = torch.cat([wide.hidden_states[-2], narrow.hidden_states[-2]], dim=-1)
    padding = tokens.new_zeros(ids.shape[0], T5_TOKENS, TEXT_WIDTH)
    return torch.cat([tokens, padding], dim=1), torch.cat([wide.text_embeds, narrow.text_embeds], dim=-1)


def learning_rate(progress: float, step: int) -> float:
    """Linear warm-up, then a cosine down to a hundredth over ``progress`` 0..1."""
    return LEARNING_RATE * min(1.0, (step + 1) / WARMUP_STEPS) * (0.01 + 0.99 * (1 + cos(pi * progress)) / 2)


@dataclass(frozen=True, slots=True)
class Run:
    """How long to train, on how many samples, from which seed."""

    seed: int
    samples: int
    steps: int
    limit_s: float


class FlowTrainer:
    """Holds the state of one run: optimizer, averaged weights, sample order."""

    def __init__(self, pipeline: StableDiffusion3Pipeline, samples: EncodedSamples, team: Team) -> None:
        self._team = team
        self._pipeline, self._samples = pipeline, samples
        self._empty_ids = pipeline.tokenizer("", padding="max_length", return_tensors="pt").input_ids
        self.parts: dict[str, nn.Module] = {name: getattr(pipeline, name) for name in TRAINED_PARTS}
        self._processors = [GuidedAttention() for _ in pipeline.transformer.transformer_blocks]
        for block, processor in zip(pipeline.transformer.transformer_blocks, self._processors, strict=True):
            block.attn.set_processor(processor)
        for name in ("text_encoder", "text_encoder_2"):
            self.parts[name].set_attn_implementation("eager")  # SDPA is slow backwards on CPU
        self.average = {name: deepcopy(part).requires_grad_(False).eval() for name, part in self.parts.items()}
        for block in self.average["transformer"].transformer_blocks:
            block.attn.set_processor(JointAttnProcessor2_0())
        self._weights = [weight for part in self.parts.values() for weight in part.parameters() if weight.requires_grad]
        matrices = [weight for weight in self._weights if weight.ndim > 1]
        vectors = [weight for weight in self._weights if weight.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": WEIGHT_DECAY},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98), fused=True)

    def _losses(self, index: Tensor) -> tuple[Tensor, Tensor]:
        clean = self._samples.latents[index].float()
        dropped = torch.rand(len(index)) < PROMPT_DROPOUT
        ids = torch.where(dropped[:, None], self._empty_ids, self._samples.ids[index])
        share = torch.sigmoid(TIME_MEAN + TIME_DEVIATION * torch.randn(len(index)))
        noise = torch.randn_like(clean)
        noisy = torch.lerp(clean, noise, share[:, None, None, None])
        with torch.autocast("cpu", torch.bfloat16):
            tokens, pooled = encode_prompts(self._pipeline, ids)
            velocity = self._pipeline.transformer(noisy, tokens, pooled, share * 1000, return_dict=False)[0]
        error = (velocity.float() - (noise - clean)).square()
        aligned = self._samples.token_of_patch[index].masked_fill(dropped[:, None], -1)
        return (error * self._samples.weight[index]).mean(), alignment_loss(self._processors, aligned)

    def step(self, index: Tensor, rate: float) -> tuple[float, float]:
        """One optimizer step on the samples at ``index``; the flow loss and the alignment loss before it."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        flow, alignment = self._losses(self._team.share(index))
        self._optimizer.zero_grad(set_to_none=True)
        (flow + ALIGNMENT_WEIGHT * alignment).backward()
        self._team.average_gradients(self._weights)
        torch.nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._optimizer.step()
        return flow.item(), alignment.item()

    def update_average(self, step: int) -> None:
        """Move the averaged weights; early on they follow faster, to forget the random start."""
        decay = min(AVERAGE_DECAY, (1 + step) / (10 + step))
        for name, part in self.parts.items():
            pairs = zip(self.average[name].parameters(), part.parameters(), strict=True)
            averages, weights = (list(column) for column in zip(*pairs, strict=True))
            with torch.no_grad():
                torch._foreach_lerp_(averages, weights, 1 - decay)  # a loop over tensors is ten times slower


def train_flow(trainer: FlowTrainer, team: Team, run: Run, report: Callable[[Progress], None]) -> int:
    """Take ``run.steps`` steps, fewer if time is up first; the learning rate then falls with time."""
    started_s = monotonic()
    shuffle = torch.Generator().manual_seed(run.seed)  # the same order on all ranks
    torch.manual_seed(run.seed + 1 + team.rank)  # other noise on each
    batches = run.samples // BATCH
    order = torch.empty(0)
    for step in range(run.steps):
        progress = max(step / run.steps, team.agree((monotonic() - started_s) / run.limit_s))
        if progress >= 1:
            return step
        if step % batches == 0:
            order = torch.randperm(run.samples, generator=shuffle)
        start = step % batches * BATCH
        flow, alignment = trainer.step(order[start : start + BATCH], learning_rate(progress, step))
        if team.rank == 0:
            trainer.update_average(step)
            report(Progress(step, flow, alignment, trainer.average))
    return run.steps
