"""Events-only coin for a ratio of rates (statistics.md §4).

The thinning argument of Lindon and Malek (2022): given that a bad event happened, the arm it happened on is a
coin with P(candidate) <= pi rho / (pi rho + 1 - pi) when q1 <= rho q0. Only events are touched,

    e_k = m_k^A (pi rho + 1 - pi) / (pi rho m_k + 1 - pi),   m_k > 1 for harm, 1 / m_k for safety.

Exact for one flag per request at any rate; the base rate may drift.
"""

from controller.stats.elementary import log_of
from controller.stats.setting import CriterionSetting
from controller.stats.tally import Arm, WindowTally

MULTIPLES = (1.35, 2.2, 4.5, 10.0, 30.0)
"""A failure is a large step, so bets may lie far apart: seven took up to 3 % more images where rates differ tenfold."""


def events(setting: CriterionSetting, tally: WindowTally, arm: Arm) -> tuple[int, int]:
    """Return (bad events, requests with a value) of an arm."""
    bad = 1 if setting.higher_is_worse else 0
    happened = resolved = 0
    for item in tally.arms.get(arm, {}).values():
        cells = item.of(setting.metric)
        happened += cells.get(bad, 0)
        resolved += sum(cells.values())
    return happened, resolved


def coin_growth(
    share: float, ratio: float, n_candidate: int, n_incumbent: int, multiples: tuple[float, ...]
) -> list[float]:
    """Return the log factor of so many events per arm for each alternative multiple of the ratio."""
    fair = log_of(share * ratio + 1.0 - share)
    return [
        n_candidate * log_of(multiple)
        + (n_candidate + n_incumbent) * (fair - log_of(share * ratio * multiple + 1.0 - share))
        for multiple in multiples
    ]


HARM_MULTIPLES = MULTIPLES
SAFETY_MULTIPLES = tuple(1.0 / multiple for multiple in MULTIPLES)
