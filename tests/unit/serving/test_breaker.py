"""The breaker ejects a candidate that fails, probes it alone, and doubles its patience."""

from serving.breaker import FAILURES_IN_A_ROW, FIRST_PAUSE_S, LONGEST_PAUSE_S, Breaker


def opened() -> Breaker:
    breaker = Breaker()
    assert breaker.admits(0.0)
    breaker.failed(0.0, gone=True)
    return breaker


def test_opens_at_once_when_the_replica_is_gone() -> None:
    """A dead replica is not asked again before the first pause is over."""
    breaker = opened()
    assert not breaker.admits(FIRST_PAUSE_S - 0.01)
    assert breaker.admits(FIRST_PAUSE_S)


def test_tolerates_single_failures_of_the_model() -> None:
    """A model that raises now and then stays in use; only failures in a row open the breaker."""
    breaker = Breaker()
    for _ in range(FAILURES_IN_A_ROW - 1):
        breaker.failed(0.0, gone=False)
    assert breaker.admits(0.0)
    breaker.succeeded()
    for _ in range(FAILURES_IN_A_ROW):
        assert breaker.admits(0.0)
        breaker.failed(0.0, gone=False)
    assert not breaker.admits(0.0)


def test_sends_one_probe() -> None:
    """While the probe is under way nobody else is sent."""
    breaker = opened()
    assert breaker.admits(1.0)
    assert not breaker.admits(1.0)
    breaker.succeeded()
    assert breaker.admits(1.0)
    assert breaker.admits(1.0)


def test_late_failures_do_not_lengthen_the_pause() -> None:
    """Four calls that were under way when it opened are one failure."""
    breaker = opened()
    for _ in range(4):
        breaker.failed(0.1, gone=True)
    assert breaker.admits(FIRST_PAUSE_S)


def test_a_late_success_does_not_close_it() -> None:
    """An answer to a call from before the failure says nothing about now."""
    breaker = opened()
    breaker.succeeded()
    assert not breaker.admits(0.1)


def test_pause_doubles_up_to_its_limit() -> None:
    """Failed probes make it wait 0.5, 1, 2, 4, 5, 5 seconds."""
    breaker, now_s, pauses = opened(), 0.0, []
    for _ in range(6):
        pause_s = next(step / 2 for step in range(20) if breaker.admits(now_s + step / 2))
        now_s += pause_s
        pauses.append(pause_s)
        breaker.failed(now_s, gone=False)
    assert pauses == [0.5, 1.0, 2.0, 4.0, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_a_probe_whose_client_left_lets_the_next_one_try() -> None:
    """A probe without an answer blocks nobody for ever."""
    breaker = opened()
    assert breaker.admits(1.0)
    breaker.gave_up()
    assert breaker.admits(1.0)
