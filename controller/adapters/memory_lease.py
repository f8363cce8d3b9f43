"""Leadership in memory."""

from dataclasses import dataclass

from controller.adapters.memory import NEVER_S, MemoryStore


@dataclass
class MemoryLease:
    """Implements `Lease` on a `MemoryStore`."""

    store: MemoryStore
    holder: str
    ttl_s: float = 10.0

    def acquire(self) -> int | None:
        """Take or renew leadership; return the fencing token, or None while another controller leads."""
        with self.store.transaction():
            leader, now_s = self.store.leader, self.store.clock_s()
            if leader.holder != self.holder:
                if leader.until_s >= now_s:
                    return None
                leader.holder, leader.token = self.holder, leader.token + 1
            leader.until_s = now_s + self.ttl_s
            return leader.token

    def release(self) -> None:
        """Give leadership up."""
        with self.store.transaction():
            if self.store.leader.holder == self.holder:
                self.store.leader.until_s = NEVER_S
