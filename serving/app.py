"""Ray Serve applications as values: what runs where, with how much.

Logical CPUs only schedule: a small number keeps a laptop able to hold two arms, and real isolation is the
machine's business. A model's application is immutable: everything that changes its images is in its spec,
hence in its name.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from controller.core.lane import Lane
from controller.core.spec import ModelSpec
from serving.gateway import Gateway
from serving.names import GATEWAY_DEPLOYMENT, MODEL_DEPLOYMENT, SCORERS_DEPLOYMENT
from serving.replica import Replica
from serving.worker_env import runtime_env

HEALTH_PERIOD_S: Final = 1.0
HEALTH_TIMEOUT_S: Final = 10.0
MAX_QUEUED: Final = 64
MAX_GATEWAY_REQUESTS: Final = 512
MODEL_CPUS: Final = 0.5
SMALL_CPUS: Final = 0.1
_ONE_AT_A_TIME: Final = threading.Lock()  # Ray registers a module for pickling meanwhile, once for all threads


def build_model(spec: ModelSpec, lane: Lane) -> Any:
    """Return a model's application: one request at a time a replica, the rest waits at the caller."""
    return _deployment(
        Replica,
        MODEL_DEPLOYMENT,
        num_replicas=spec.resources.replicas,
        num_cpus=MODEL_CPUS,
        num_gpus=spec.resources.num_gpus,
        max_ongoing_requests=1,
        max_queued_requests=MAX_QUEUED,
        graceful_shutdown_timeout_s=lane.timeout_s,
    ).bind(spec.to_json())


def build_gateway(
    database_url: str,
    lanes: Sequence[Lane],
    usd_per_hour: Mapping[str, float],
    *,
    num_replicas: int = 2,
) -> Any:
    """Return the gateway's application; `lanes` are what it serves before it has heard from the database."""
    from ray import serve

    shutdown_s = max((lane.timeout_s for lane in lanes), default=30.0)
    return _deployment(
        serve.ingress()(Gateway),
        GATEWAY_DEPLOYMENT,
        num_replicas=num_replicas,
        num_cpus=SMALL_CPUS,
        num_gpus=0,
        max_ongoing_requests=MAX_GATEWAY_REQUESTS,
        max_queued_requests=-1,
        graceful_shutdown_timeout_s=shutdown_s,
    ).bind(database_url, [lane.to_json() for lane in lanes], dict(usd_per_hour))


def build_scorers(*, num_replicas: int = 1) -> Any:
    """Return the scorers' application."""
    from serving.scorers.app import Scorers

    return _deployment(
        Scorers,
        SCORERS_DEPLOYMENT,
        num_replicas=num_replicas,
        num_cpus=SMALL_CPUS,
        num_gpus=0,
        max_ongoing_requests=1,
        max_queued_requests=MAX_QUEUED,
        graceful_shutdown_timeout_s=5.0,
    ).bind()


def _deployment(cls: type, name: str, *, num_cpus: float, num_gpus: float, **options: Any) -> Any:
    from ray import serve

    with _ONE_AT_A_TIME:
        return serve.deployment(cls).options(
            name=name,
            ray_actor_options={"num_cpus": num_cpus, "num_gpus": num_gpus, "runtime_env": runtime_env()},
            health_check_period_s=HEALTH_PERIOD_S,
            health_check_timeout_s=HEALTH_TIMEOUT_S,
            logging_config={"enable_access_log": False, "log_level": "WARNING"},
            **options,
        )
