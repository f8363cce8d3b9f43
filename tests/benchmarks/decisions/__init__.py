"""How rollouts are decided here, how other tools' rules decide them, and what information theory allows.

    python -m tests.benchmarks.decisions            # what is missing, then the tables and plots of docs/decisions
    python -m tests.benchmarks.decisions --quick    # a few runs of a few cells, printed

The rules of other tools are ports that we wrote from their documentation and source; none of those programs runs
here. Worlds are drawn by `controller.sim.world`, for every rule alike.
"""
