"""`python -m controller.cli`, for processes that `gatectl up` starts."""

from controller.cli.app import main

main()
