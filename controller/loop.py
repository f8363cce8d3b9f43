"""The loop: gather facts, persist the step with its audit entry in one transaction, then make the world follow.

Level-triggered: a tick looks at everything anew and does what is missing, so it does not matter which tick, or which
controller, saw the beginning. All state that a decision needs is in the database; what the loop keeps in memory can be
rebuilt by folding the stored evidence.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from controller.benching import Benching
from controller.core.desired import desired
from controller.core.facts import Facts, Phase, Wish, observe
from controller.core.policy import Mode
from controller.core.rollout import Epoch, Event, Rollout, step
from controller.core.split import Split
from controller.core.states import Kind, State
from controller.errors import ConflictError, UnavailableError
from controller.fleet_keeper import App, FleetKeeper
from controller.ports import AuditDraft, Change, Clock, Command, LaneRow, Lease, Notifier, Store, World
from controller.reading import EvidenceReader, Reading
from controller.record import repair_entry, step_entry
from controller.stats.tally import Arm

log = structlog.get_logger(__name__)

LEASE_S = 3.0
DEAD_AFTER_S = 10.0
"""A gateway replica that was silent for longer counts as dead: nobody waits for it."""
RECOVERY_S = 15.0
"""Right after (re)gaining the database, silence proves nothing about a gateway: it could not report either."""
FLUSHED_S = 2.5
"""Gateways flush every second; so much after a split everything assigned before it has been reported."""
EVENTS_A_TICK = 6


@dataclass(slots=True)
class _Lane:
    """What one lane's tick works on: the row as stored last, the evidence, and the wishes not yet answered."""

    row: LaneRow
    reading: Reading | None
    wishes: list[Command]


class Loop:
    """One controller's loop. Only the leader's writes are accepted; the fencing token sees to it.

    `versions` names what the audit log must know to repeat a decision: the code and each scorer.
    """

    def __init__(
        self,
        store: Store,
        lease: Lease,
        keeper: FleetKeeper,
        benching: Benching,
        notifier: Notifier,
        clock: Clock,
        versions: Mapping[str, str],
    ) -> None:
        self._store = store
        self._lease = lease
        self._keeper = keeper
        self._benching = benching
        self._notifier = notifier
        self._clock = clock
        self._versions = versions
        self._reader = EvidenceReader(store)
        self._reachable_since_s: float | None = None
        self._token = 0
        self.last_tick_s: float | None = None
        self.leads = False

    def run(self, stop: threading.Event, pause: Callable[[], None]) -> None:
        """Tick until `stop` is set; `pause` returns after a while or as soon as somebody asks for something."""
        while not stop.is_set():
            try:
                self.leads = self.tick()
                self.last_tick_s = self._clock.monotonic_s()
            except UnavailableError as error:
                self._reachable_since_s = None
                log.warning("tick skipped: a part can't answer", error=str(error))
            except ConflictError as error:
                self._reader.forget()
                log.warning("tick skipped: somebody else wrote first", error=str(error))
            except Exception:
                self._reader.forget()
                log.exception("tick failed")
            pause()
        if self.leads:
            self._lease.release()

    def tick(self) -> bool:
        """Do everything that is due; return whether this controller leads."""
        token = self._lease.acquire()
        if token is None:
            self._reader.forget()
            self._benching.rest()
            return False
        self._token = token
        world = self._store.world()
        self._benching.look()
        if self._reachable_since_s is None:
            self._reachable_since_s = self._clock.monotonic_s()
        self._store.renew({row.lane.name: LEASE_S for row in world.lanes if row.split.candidate}, token)
        rows = [self._advance_lane(row, world) for row in world.lanes]
        self._refuse_orphans(world)
        apps, probe = _wanted_apps(rows)
        self._keeper.want({**self._benching.settle(rows, world.gateways, token), **apps}, probe)
        return True

    def _advance_lane(self, row: LaneRow, world: World) -> LaneRow:
        """Bring one lane forward as far as the facts allow, and return it as stored."""
        rollout = row.rollout
        lane = _Lane(row, None, [item for item in world.commands if rollout and item.rollout == rollout.id])
        if rollout is not None and rollout.epochs:
            lane.reading = self._reader.read(row, rollout, world, self._live(world))
        for _ in range(EVENTS_A_TICK):
            event = self._observe(lane, world)
            if event is not None:
                self._write(lane, event)
            elif lane.wishes:
                self._refuse(lane, lane.wishes.pop(0))
            else:
                break
        if (lane.reading and lane.reading.unsaved) or _rerouted(lane.row) is not None:
            self._write(lane, None)
        return lane.row

    def _live(self, world: World) -> frozenset[str]:
        now_s = self._clock.monotonic_s()
        settled = now_s - (self._reachable_since_s or now_s) > RECOVERY_S
        patience_s = DEAD_AFTER_S if settled else 30 * DEAD_AFTER_S
        return frozenset(gateway.replica for gateway in world.gateways if gateway.silent_s < patience_s)

    # Facts

    def _observe(self, lane: _Lane, world: World) -> Event | None:
        rollout = lane.row.rollout
        if rollout is None or not rollout.open:
            return None
        status = self._keeper.status(rollout.candidate_app)
        wish = lane.wishes[0] if lane.wishes else None
        facts = Facts(
            now_s=world.now_s,
            phase=Phase(status.phase) if status else Phase.DEPLOYING,
            phase_message=status.message if status else "",
            wish=Wish(Kind(wish.kind), wish.actor, wish.reason, wish.detail) if wish else None,
            probe=self._keeper.probe(rollout.candidate_app),
            bench=self._benching.check(rollout),
            assessment=lane.reading.assessment if lane.reading else None,
            switched=_switched(lane.row, world),
        )
        if rollout.state is State.REVERTING:
            facts = self._last_words(facts, rollout, lane.row)
        return observe(rollout, facts)

    def _last_words(self, facts: Facts, rollout: Rollout, row: LaneRow) -> Facts:
        """Add what the sentence of a revert needs, and whether the last candidate request is over."""
        epochs = [item.epoch for item in rollout.epochs if item.mode is Mode.SHARE and not item.flipped]
        totals = self._store.totals(rollout.lane, epochs)
        classes = totals.arms.get(Arm.CANDIDATE, {}).values()
        given_up = row.split_age_s > row.lane.timeout_s + FLUSHED_S
        return replace(
            facts,
            settled_s=self._store.settled_s(rollout.lane, row.split.epoch),
            seen=sum(tally.answered for tally in classes),
            drained=given_up or (row.split_age_s > FLUSHED_S and not any(tally.under_way for tally in classes)),
        )

    # Steps

    def _write(self, lane: _Lane, event: Event | None) -> None:
        """Write one step, the split it causes and what was read, in one transaction; without an event, only those."""
        row, before = lane.row, lane.row.rollout
        after = step(before, event) if before is not None and event is not None else before
        moved = row.lane
        if after is not None and event is not None and after.state is State.PROMOTED:
            moved = replace(row.lane, incumbent=after.candidate)
        split = _rerouted(replace(row, lane=moved, rollout=after))
        if after is not None and split is not None and split.candidate is not None:
            version = after.version if event else after.version + 1
            after = replace(after, version=version, epochs=(*after.epochs, _epoch(after, split)))
        granted = _granted(lane.wishes, event)
        self._store.commit(
            Change(
                rollout=after if after is not before else None,
                split=split,
                lane=moved if moved is not row.lane else None,
                evidence=(lane.reading.unsaved,) if lane.reading and lane.reading.unsaved else (),
                audit=self._entries(lane, before, after, event, split),
                outcomes={granted.id: f"done: {after.state}"} if granted and after else {},
            ),
            self._token,
        )
        if granted:
            lane.wishes.pop(0)
        if lane.reading is not None and after is not None:
            lane.reading = replace(lane.reading, unsaved=None)
            self._reader.keep(after, lane.reading)
        lane.row = replace(
            row,
            lane=moved,
            rollout=after,
            split=split or row.split,
            split_age_s=0.0 if split else row.split_age_s,
        )
        if after is not None and event is not None:
            log.info("step", rollout=after.id, state=after.state.value, reason=after.reason)
            self._notifier.notify(after, event)

    def _entries(
        self, lane: _Lane, before: Rollout | None, after: Rollout | None, event: Event | None, split: Split | None
    ) -> tuple[AuditDraft, ...]:
        if event is not None and before is not None and after is not None:
            return (step_entry(before, after, event, split, lane.reading, self._versions),)
        return (repair_entry(after, lane.row.split, split),) if split is not None else ()

    def _refuse(self, lane: _Lane, wish: Command) -> None:
        state = lane.row.rollout.state.value if lane.row.rollout else "closed"
        outcome = f"refused: {wish.kind} is not possible while {state}"
        self._store.commit(Change(outcomes={wish.id: outcome}), self._token)

    def _refuse_orphans(self, world: World) -> None:
        """Answer wishes about rollouts that are over: nobody else will."""
        open_ids = {row.rollout.id for row in world.lanes if row.rollout}
        late = {item.id: "refused: the rollout is over" for item in world.commands if item.rollout not in open_ids}
        if late:
            self._store.commit(Change(outcomes=late), self._token)


def _wanted_apps(rows: list[LaneRow]) -> tuple[dict[str, App], set[str]]:
    """Return the applications that all lanes want together, and those whose first image must be drawn."""
    apps: dict[str, App] = {}
    probe: set[str] = set()
    for row in rows:
        for name, spec in desired(row.lane, row.rollout).apps.items():
            apps[name] = (spec, row.lane)
        if row.rollout is not None and row.rollout.state is State.PREPARING:
            probe.add(row.rollout.candidate_app)
    return apps, probe


def _rerouted(row: LaneRow) -> Split | None:
    """Return the split to write, None when the stored one is as wanted."""
    wanted = desired(row.lane, row.rollout).split
    return None if wanted.same_routing(row.split) else replace(wanted, epoch=row.split.epoch + 1)


def _epoch(rollout: Rollout, split: Split) -> Epoch:
    return Epoch(split.epoch, rollout.stage, split.share, split.mode, split.flipped)


def _switched(row: LaneRow, world: World) -> bool:
    """Say whether every live gateway applied the split; without any, the lease must have run out."""
    live = [gateway for gateway in world.gateways if gateway.silent_s < DEAD_AFTER_S]
    if not live:
        return row.split_age_s > LEASE_S + 1
    return all(gateway.epochs.get(row.lane.name, 0) >= row.split.epoch for gateway in live)


def _granted(wishes: list[Command], event: Event | None) -> Command | None:
    """Return the wish that an event fulfils, None when the event has another cause."""
    if event is None or not wishes:
        return None
    wish = wishes[0]
    return wish if (event.kind.value, event.actor) == (wish.kind, wish.actor) else None
