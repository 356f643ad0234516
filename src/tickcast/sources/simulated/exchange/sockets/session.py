"""What all venues' sessions share: which streams a connection wants, and how it is told what is due."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickcast.sources.simulated.exchange.hall import Hall
from tickcast.sources.simulated.exchange.limits import Window
from tickcast.sources.simulated.exchange.sockets.frames import text_frames
from tickcast.sources.simulated.exchange.sockets.link import Link
from tickcast.sources.simulated.exchange.sockets.tellers import KINDS, Told

POLICY = 1008


class Session:
    """One connection of one venue. The server calls: `opened`, then `heard`, `tell` and `beat` as time goes."""

    sends_per_s = 0
    enveloped = False
    """Whether each connection puts something of its own around the texts that all are told."""

    def __init__(self, link: Link, hall: Hall, real_s: float) -> None:
        self.link, self.hall = link, hall
        self.opened_s = self.beaten_s = self.said_s = real_s
        self.mask = np.zeros(KINDS * len(hall.world.pairs), np.bool_)
        """The streams it wants."""
        self._stalled: NDArray[np.bool_] | None = None
        self._sends = Window(self.sends_per_s, 1.0)

    def opened(self) -> None:
        """The handshake is done."""

    def heard(self, raw: bytes, real_s: float) -> None:
        """A message of the client."""
        raise NotImplementedError

    def beat(self, real_s: float) -> None:
        """Time has passed: a few times a second."""

    def allowed(self, real_s: float) -> bool:
        """Count a message of the client; one that sends too many is closed."""
        if self._sends.take(real_s):
            return True
        self.too_many()
        return False

    def too_many(self) -> None:
        """What the venue does with a client that talks too much."""
        self.link.close(POLICY, "Too many requests")

    def tell(self, told: Told, real_s: float) -> None:
        """Send what it wants of what is due."""
        mask = self.mask if self._stalled is None else self.mask & ~self._stalled
        wanted = mask[told.streams]
        if not wanted.any():
            return
        picks = None if wanted.all() else np.flatnonzero(wanted).tolist()
        self.said_s = real_s
        faults = self.hall.faults
        if faults is not None and faults.bends(self.link):
            texts = self.texts(told, picks)
            streams = told.streams if picks is None else told.streams[picks]
            faults.send(self.link, streams.tolist(), texts)
        elif self.enveloped:
            frames = text_frames(self.texts(told, picks))
            self.link.write(b"".join(frames), len(frames))
        elif picks is None:
            self.link.write(b"".join(told.frames), len(told))
        else:
            frames = told.frames
            self.link.write(b"".join([frames[i] for i in picks]), len(picks))

    def stall(self, streams: list[int], stalled: bool) -> None:
        """Stop telling some streams, or go on."""
        if self._stalled is None:
            if not stalled:
                return
            self._stalled = np.zeros_like(self.mask)
        self._stalled[streams] = stalled
        if not self._stalled.any():
            self._stalled = None

    def texts(self, told: Told, picks: list[int] | None) -> list[bytes]:
        """The messages as this connection gets them."""
        return told.texts if picks is None else [told.texts[i] for i in picks]

    def say(self, value: Any) -> None:
        """Send one message that is not about the market."""
        self.link.say(msgspec.json.encode(value))


def names_in(found: Any) -> list[str]:
    """A list of names, as clients write it: a list, or one name alone."""
    if isinstance(found, str):
        return [found]
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
