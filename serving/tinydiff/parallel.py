"""Split one training run over processes: part of a batch each, gradients averaged after every step.

Two processes of one thread are faster than one process of two threads, as the operations are small.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, distributed, multiprocessing

JOIN_LIMIT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Team:
    """This process's place among the processes of a run."""

    rank: int = 0
    size: int = 1

    def share(self, index: Tensor) -> Tensor:
        """The part of a batch that this process works on."""
        return index.tensor_split(self.size)[self.rank]

    def average_gradients(self, weights: list[Tensor]) -> None:
        """Replace each gradient by its mean over the team."""
        if self.size == 1:
            return
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def agree(self, progress: float) -> float:
        """Rank 0's value, so that all processes stop at the same step."""
        if self.size == 1:
            return progress
        shared = torch.tensor([progress], dtype=torch.float64)
        distributed.broadcast(shared, src=0)
        return float(shared.item())


def _join(team: Team, meeting_point: Path) -> None:
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{meeting_point}",
        rank=team.rank,
        world_size=team.size,
        timeout=JOIN_LIMIT,
    )


def _follow(rank: int, size: int, meeting_point: Path, work: Any, arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    team = Team(rank, size)
    _join(team, meeting_point)
    work(team, *arguments)


@contextmanager
def team_of(size: int, work: Any, arguments: tuple[Any, ...]) -> Iterator[Team]:
    """Start ``size`` - 1 processes that run ``work(team, *arguments)``; the caller does rank 0's part."""
    if size == 1:
        yield Team()
        return
    torch.set_num_threads(1)
    context = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder:
        meeting_point = Path(folder) / "meeting-point"
        followers = [
            context.Process(target=_follow, args=(rank, size, meeting_point, work, arguments), daemon=True)
            for rank in range(1, size)
        ]
        for follower in followers:
            follower.start()
        _join(Team(0, size), meeting_point)
        yield Team(0, size)
        for follower in followers:
            follower.join()
        distributed.destroy_process_group()
