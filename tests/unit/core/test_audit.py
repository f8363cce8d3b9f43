from dataclasses import replace

from controller.core.audit import GENESIS, AuditEntry, seal, verify


def chain(length: int) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    for number in range(length):
        previous = entries[-1] if entries else None
        entries.append(seal(previous, at="2026-01-01T00:00:00Z", actor="ana", action="step", reason=f"n {number}"))
    return entries


def test_whole_chain_verifies():
    """An untouched chain has no break, and an empty one neither."""
    assert verify(chain(5)) is None
    assert verify([]) is None


def test_altered_entry_is_found():
    """Changing any field of an entry breaks the chain at that entry."""
    entries = chain(5)
    for change in ({"reason": "x"}, {"actor": "eve"}, {"at": "2027"}, {"detail": {"a": 1}}, {"to_state": "promoted"}):
        forged = [*entries[:2], replace(entries[2], **change), *entries[3:]]
        found = verify(forged)
        assert found is not None
        assert found.seq == 3


def test_resealed_entry_is_found_by_its_successor():
    """An entry that was altered and sealed again no longer fits the entry after it."""
    entries = chain(4)
    forged = seal(entries[0], at="2026-01-01T00:00:00Z", actor="eve", action="step", reason="n 1")
    found = verify([entries[0], forged, *entries[2:]])
    assert found is not None
    assert found.seq == 3


def test_missing_entry_is_found():
    """Removing an entry from the middle or the front is a break."""
    entries = chain(4)
    middle, front = verify([entries[0], *entries[2:]]), verify(entries[1:])
    assert middle is not None
    assert middle.seq == 2
    assert front is not None
    assert front.seq == 1


def test_first_entry_follows_genesis():
    """The first entry links to the well-known zero digest."""
    assert chain(1)[0].previous == GENESIS
