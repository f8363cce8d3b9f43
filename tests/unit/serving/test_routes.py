"""Routes: fencing by epoch, leases on the monotonic clock, the boot configuration."""

import time
from dataclasses import replace

from controller.core.spec import app_name
from serving.routes import BOOT_EPOCH, RouteTable
from tests.unit.serving.worlds import CANDIDATE_APP, INCUMBENT, INCUMBENT_APP, LANE, route


def test_boot_configuration_serves_the_incumbent() -> None:
    """A gateway that has never heard from the database knows the incumbent and no candidate."""
    table = RouteTable([LANE])
    booted = table.get("preview")
    assert booted is not None
    assert booted.split.incumbent == app_name("preview", INCUMBENT.digest)
    assert not booted.live(time.monotonic())
    assert table.ready
    assert table.epochs() == {}


def test_without_lanes_it_is_ready_once_the_database_was_read() -> None:
    """No lane at all is an answer, but only the database can give it."""
    table = RouteTable([])
    assert not table.ready
    table.apply([], 1.0)
    assert table.ready


def test_an_older_epoch_is_ignored() -> None:
    """A delayed message can't bring an old split back, nor renew its lease."""
    table = RouteTable([LANE])
    assert [split.epoch for split in table.apply([route(epoch=5)], 1.0)] == [5]
    assert table.apply([route(epoch=4)], 2.0) == []
    known = table.get("preview")
    assert known is not None
    assert known.split.epoch == 5


def test_the_same_epoch_renews_the_lease_without_being_new() -> None:
    """A renewed lease is taken over and not acknowledged again."""
    table = RouteTable([])
    table.apply([route(lease_s=0.0)], 1.0)
    assert table.apply([route(lease_s=60.0)], 2.0) == []
    known = table.get("preview")
    assert known is not None
    assert known.live(time.monotonic())


def test_a_lease_that_ran_out_is_not_live() -> None:
    """Only time is needed for the candidate to lose its traffic."""
    stale = route(lease_s=-0.001)
    assert stale.experiment
    assert not stale.live(time.monotonic())


def test_a_candidate_nobody_knows_is_not_live() -> None:
    """A split that names a candidate without a model wants a coin, but it can't be tossed."""
    unknown = replace(route(), candidate=None)
    assert unknown.experiment
    assert not unknown.live(time.monotonic())


def test_a_missing_lane_keeps_its_incumbent() -> None:
    """A read that lacks a lane doesn't take it out of service."""
    table = RouteTable([LANE])
    table.apply([], 1.0)
    assert table.get("preview") is not None


def test_names_what_may_be_called() -> None:
    """Incumbent and candidate of every lane are kept warm, nothing else."""
    table = RouteTable([])
    table.apply([route()], 1.0)
    assert table.names() == {INCUMBENT_APP, CANDIDATE_APP}
    assert BOOT_EPOCH not in table.epochs().values()
