"""`gatectl down`."""

from controller.cli.output import OUTPUT, Output, emit
from controller.cli.progress import progress
from controller.platform.home import Home


def down(output: Output = OUTPUT) -> None:
    """Stop what `gatectl up` started here.

    Nothing else is touched, and what the platform knows stays on disk.
    """
    from controller.platform.lifecycle import take_down

    home = Home.current()
    with progress() as say:
        found = take_down(home, say)
    answer = f"stopped; {home.root} keeps the rollouts and the audit log" if found else f"nothing ran in {home.root}"
    emit(output, {"stopped": found, "home": str(home.root)}, lambda: answer)
