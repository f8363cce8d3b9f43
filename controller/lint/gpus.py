"""GPU classes: memory as the driver reports it, rounded down, and the compute capability that decides on bfloat16."""

from collections.abc import Mapping
from dataclasses import dataclass

NATIVE_BFLOAT16 = 80


@dataclass(frozen=True, slots=True)
class Gpu:
    """`memory_gib` of one device; `capability` is ten times the compute capability."""

    name: str
    memory_gib: float
    capability: int

    @property
    def native_bfloat16(self) -> bool:
        """Say whether bfloat16 runs at full speed instead of being emulated."""
        return self.capability >= NATIVE_BFLOAT16


GPUS: Mapping[str, Gpu] = {
    gpu.name.lower(): gpu
    for gpu in (
        Gpu("T4", 14.7, 75),
        Gpu("P100", 15.8, 60),
        Gpu("V100", 15.7, 70),
        Gpu("V100-32GB", 31.7, 70),
        Gpu("A10G", 22.0, 86),
        Gpu("L4", 22.0, 89),
        Gpu("RTX3090", 23.5, 86),
        Gpu("RTX4090", 23.5, 89),
        Gpu("A100-40GB", 39.3, 80),
        Gpu("L40S", 44.3, 89),
        Gpu("A100-80GB", 79.1, 80),
        Gpu("H100", 79.1, 90),
        Gpu("H200", 139.7, 90),
    )
}
LARGEST_ASSUMED = GPUS["h100"]
"""What a configuration that names no GPU is judged by: nothing larger has a price in the shipped book."""
