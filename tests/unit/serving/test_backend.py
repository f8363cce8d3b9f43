"""Ray's exceptions as faults: a dead platform is not a broken model, nor the other way round."""

import warnings

import pytest

from serving.backend import fault_of
from serving.providers.protocol import Fault

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray Serve's own use of pydantic, when it is imported
    from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError
    from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError


def raised_in_a_model(cause: Exception) -> Exception:
    error: Exception = RayTaskError("generate", "traceback", cause).as_instanceof_cause()
    return error


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ActorDiedError(), Fault.UNAVAILABLE),
        (DeploymentUnavailableError("Model"), Fault.UNAVAILABLE),
        (RequestCancelledError("id"), Fault.UNAVAILABLE),
        (OutOfMemoryError("host"), Fault.OUT_OF_MEMORY),
        (BackPressureError(64, 64), Fault.THROTTLED),
        (TimeoutError(), Fault.DEADLINE),
        (raised_in_a_model(TimeoutError("the model's own")), Fault.BROKEN),
        (raised_in_a_model(ValueError("x")), Fault.BROKEN),
        (KeyError("images"), Fault.BROKEN),
    ],
)
def test_faults(error: Exception, fault: Fault) -> None:
    """Only what the platform did may eject at once and be retried; what a model raised is its own."""
    assert fault_of(error) is fault
