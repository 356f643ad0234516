"""Faults of messages: each connection's are lost, doubled, delayed or broken on their way out."""

from __future__ import annotations

from tickcast.sources.simulated.exchange.faults.board import Board, Running
from tickcast.sources.simulated.exchange.sockets.frames import header, text_frame
from tickcast.sources.simulated.exchange.sockets.link import Link

BENDING = ("skip", "double", "reorder", "malformed", "oversized")
HELD_S = 1.0
"""A message that is late is at most so late."""
MALFORMED = ("json", "utf8", "frame")
RSV1 = 0x40


class Held:
    """A message that comes later than it should."""

    __slots__ = ("after", "frame", "until_s")

    def __init__(self, frame: bytes, after: int, until_s: float) -> None:
        self.frame, self.after, self.until_s = frame, after, until_s


class VenueBending:
    """What is done to the messages of one venue."""

    def __init__(self, venue: str, board: Board, pairs: int) -> None:
        self._venue, self._board, self._pairs = venue, board, pairs
        self._held: dict[Link, list[Held]] = {}
        self.now_s = 0.0

    def bends(self, link: Link) -> bool:
        """Whether messages to this connection pass through a fault now."""
        running = self._board.running
        return link in self._held or any((self._venue, kind) in running for kind in BENDING)

    def send(self, link: Link, streams: list[int], texts: list[bytes]) -> None:
        """Send messages, bent."""
        frames: list[bytes] = []
        for stream, text in zip(streams, texts, strict=True):
            if self._hit("skip", stream):
                continue
            sent = [self._broken(stream, text)]
            if self._hit("double", stream):
                sent.append(sent[0])
            late = self._hit("reorder", stream)
            if late is None:
                frames += sent
                frames += self._released(link, len(sent))
            else:
                after = late.chance.randint(1, late.fault.usual("size"))
                self._held.setdefault(link, []).extend(Held(one, after, self.now_s + HELD_S) for one in sent)
        if frames:
            link.write(b"".join(frames), len(frames))

    def turn(self, now_s: float) -> None:
        """Let go of what was held for too long."""
        self.now_s = now_s
        for link, held in list(self._held.items()):
            due = [one.frame for one in held if one.until_s <= now_s]
            self._keep(link, [one for one in held if one.until_s > now_s])
            if due:
                link.write(b"".join(due), len(due))

    def _released(self, link: Link, count: int) -> list[bytes]:
        held = self._held.get(link)
        if held is None:
            return []
        for one in held:
            one.after -= count
        due = [one.frame for one in held if one.after <= 0]
        self._keep(link, [one for one in held if one.after > 0])
        return due

    def _keep(self, link: Link, held: list[Held]) -> None:
        if held and not link.transport.is_closing():
            self._held[link] = held
        else:
            self._held.pop(link, None)

    def _hit(self, kind: str, stream: int) -> Running | None:
        for found in self._board.of(self._venue, kind):
            if found.meets(stream, self._pairs) and found.hit():
                return found
        return None

    def _broken(self, stream: int, text: bytes) -> bytes:
        """One message as a frame, whole or not."""
        broken = self._hit("malformed", stream)
        if broken is not None:
            return malformed(text, broken.fault.how or broken.chance.choice(MALFORMED))
        grown = self._hit("oversized", stream)
        if grown is not None:
            text = text[:-1] + b" " * max(0, grown.fault.usual("size") - len(text)) + text[-1:]
        return text_frame(text)


def malformed(text: bytes, how: str) -> bytes:
    """A message that nobody can read.

    >>> malformed(b'{"a":1}', "json")
    b'\\x81\\x03{"a'
    """
    if how == "utf8":
        half = len(text) // 2
        return text_frame(text[:half] + b"\xff\xfe" + text[half:])
    if how == "frame":  # a compressed message, where no compression was agreed on
        head = header(1, len(text))
        return bytes((head[0] | RSV1,)) + head[1:] + text
    return text_frame(text[: len(text) // 2])
