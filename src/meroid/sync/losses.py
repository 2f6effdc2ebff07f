"""What the transport dropped, counted by reason; the repair of gaps is others' work."""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Literal

import structlog

_log = structlog.get_logger(__name__)

Loss = Literal[
    "outgoing_full",
    "outgoing_stalled",
    "outgoing_failed",
    "incoming_full",
    "incoming_oversized",
    "incoming_malformed",
    "questions_full",
    "answer_oversized",
    "handles_full",
]


class Losses:
    """Counts by reason, safe for many threads."""

    def __init__(self) -> None:
        self._counts: Counter[Loss] = Counter()
        self._lock = threading.Lock()

    def count(self, reason: Loss) -> None:
        """Count one loss and warn at the first, second, fourth, eighth and so on."""
        with self._lock:
            self._counts[reason] += 1
            total = self._counts[reason]
        if total & (total - 1) == 0:
            _log.warning("transport_loss", reason=reason, total=total)

    def totals(self) -> Mapping[Loss, int]:
        """Losses so far; a reason that never occurred is absent."""
        with self._lock:
            return dict(self._counts)
