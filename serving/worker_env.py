"""The environment of every Ray worker of ours: where our code is, and threads that don't fight.

`controller` and `serving` are generic names, so a worker must not find them by luck: their common folder is
put on its PYTHONPATH, whatever its working directory. Spinning OpenMP threads stall torch by 10-60x on a
busy machine.
"""

import os
from pathlib import Path
from typing import Final

import controller
import serving
from controller.errors import InvariantError

_THREADS: Final = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "OMP_NUM_THREADS": "1"}
_QUIET: Final = {
    "DIFFUSERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def code_folder() -> Path:
    """Return the folder that holds both packages; InvariantError when they aren't siblings on disk."""
    ours, theirs = (Path(str(package.__file__)).resolve().parent for package in (serving, controller))
    if ours.parent != theirs.parent:
        raise InvariantError(
            f"the packages `controller` ({theirs}) and `serving` ({ours}) must lie in one folder: another package "
            "of one of these names is on the path; install Swapgate into an environment of its own"
        )
    return ours.parent


def runtime_env() -> dict[str, dict[str, str]]:
    """Return Ray's `runtime_env` for every actor of ours."""
    path = os.pathsep.join(filter(None, (str(code_folder()), os.environ.get("PYTHONPATH"))))
    return {"env_vars": {"PYTHONPATH": path, **_THREADS, **_QUIET}}
