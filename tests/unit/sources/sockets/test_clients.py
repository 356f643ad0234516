"""What every WebSocket client must do, against servers that are real sockets and do what networks do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest

from tests.unit.sources.sockets.playing import LIMIT, NOW_NS, sends
from tests.unit.sources.sockets.servers import (
    BINARY,
    CLOSE,
    PATIENCE_S,
    PING,
    PONG,
    TEXT,
    Ears,
    Handler,
    Peer,
    frame,
    goodbye,
    serving,
)
from tickcast.errors import ConfigError
from tickcast.sources.sockets.clients import client_for
from tickcast.sources.sockets.contract import Client, Socket

CONTINUED = 0
Scene = Callable[[Socket, Ears], Awaitable[None]]


def play(client: Client, handler: Handler, scene: Scene, limit: int = LIMIT) -> Ears:
    """Connect to a server and let a scene happen; the end has come exactly once when it is over."""

    async def run() -> Ears:
        ears = Ears()
        async with asyncio.timeout(PATIENCE_S), serving(handler) as url:
            link = await client.connect(url, ears, message_bytes_max=limit, timeout_s=10.0)
            await scene(link, ears)
            link.close()
            await ears.end()
            link.send(b"too late")
            link.ping(b"too late")
            link.close()
            await asyncio.sleep(0)
        assert len(ears.ends) == 1
        return ears

    return asyncio.run(run())


async def until_the_end(_: Socket, ears: Ears) -> None:
    await ears.end()


def after(count: int) -> Scene:
    """A scene that waits for so many messages."""

    async def scene(_: Socket, ears: Ears) -> None:
        await ears.until(lambda: len(ears.messages) >= count or ears.ends)

    return scene


def test_text_and_binary_messages_come_whole_in_order_with_the_clocks_time(client: Client) -> None:
    frames = [frame(TEXT, b'{"e":"trade"}'), frame(BINARY, b"\x00\xff"), frame(TEXT, "µ".encode() * 40_000)]

    ears = play(client, sends(*frames), after(3))

    assert [b'{"e":"trade"}', b"\x00\xff", "µ".encode() * 40_000] == ears.messages
    assert {NOW_NS} == set(ears.times)


def test_a_message_in_the_same_segment_as_the_handshake_is_heard(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        await peer.accept(frame(TEXT, b"first") + frame(TEXT, b"second"))
        await peer.goodbye()

    assert [b"first", b"second"] == play(client, handler, after(2)).messages


def test_the_pieces_of_a_message_are_put_together_around_a_ping(client: Client) -> None:
    pieces = [
        frame(TEXT, b"one ", fin=False),
        frame(PING, b"still there?"),
        frame(CONTINUED, b"two ", fin=False),
        frame(CONTINUED, b"", fin=False),
        frame(CONTINUED, b"three"),
        frame(TEXT, b"next"),
    ]

    ears = play(client, sends(*pieces), after(2))

    assert [b"one two three", b"next"] == ears.messages
    assert [None] == ears.signs


def test_a_frame_that_comes_byte_by_byte_is_one_message(client: Client) -> None:
    raw = frame(TEXT, b"x" * 300)

    assert [b"x" * 300] == play(client, sends(*(raw[at : at + 1] for at in range(len(raw)))), after(1)).messages


def test_a_ping_is_answered_with_its_payload_and_is_a_sign_of_life(client: Client) -> None:
    answers: list[tuple[int, bytes]] = []

    async def handler(peer: Peer) -> None:
        await peer.accept(frame(PING, b"abc"))
        answers.append(await peer.receive())
        await peer.send(frame(TEXT, b"thanks"))
        await peer.goodbye()

    ears = play(client, handler, after(1))

    assert [(PONG, b"abc")] == answers
    assert [None] == ears.signs


def test_our_messages_and_pings_arrive_and_the_pong_is_handed_on(client: Client) -> None:
    heard: list[tuple[int, bytes]] = []

    async def handler(peer: Peer) -> None:
        await peer.accept()
        heard.append(await peer.receive())
        heard.append(await peer.receive())
        await peer.send(frame(PONG, heard[1][1]))
        await peer.goodbye()

    async def scene(link: Socket, ears: Ears) -> None:
        link.send(b'{"op":"subscribe"}')
        link.ping(b"17")
        await ears.until(lambda: ears.signs)

    ears = play(client, handler, scene)

    assert [(TEXT, b'{"op":"subscribe"}'), (PING, b"17")] == heard
    assert [b"17"] == ears.signs


def test_a_message_as_long_as_allowed_is_heard_and_one_byte_more_ends_the_line(client: Client) -> None:
    ears = play(client, sends(frame(TEXT, b"x" * LIMIT), frame(TEXT, b"y" * (LIMIT + 1))), until_the_end)

    assert [b"x" * LIMIT] == ears.messages
    assert [f"sent a message of more than {LIMIT} bytes"] == ears.ends


def test_pieces_that_add_up_to_too_much_end_the_line(client: Client) -> None:
    pieces = [frame(TEXT, b"x" * 60_000, fin=False), frame(CONTINUED, b"x" * 60_000)]

    ears = play(client, sends(*pieces), until_the_end)

    assert [] == ears.messages
    assert [f"sent a message of more than {LIMIT} bytes"] == ears.ends


def test_an_announced_giant_is_refused_before_it_comes(client: Client) -> None:
    ears = play(client, sends(frame(TEXT, b"x" * 1000, length=1 << 50)), until_the_end)

    assert [f"sent a message of more than {LIMIT} bytes"] == ears.ends


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(frame(3, b"?"), id="an opcode that nobody knows"),
        pytest.param(frame(TEXT, b"squeezed", rsv=4), id="compressed though we did not ask for it"),
        pytest.param(frame(TEXT, b"?", rsv=1), id="a reserved bit"),
        pytest.param(frame(CONTINUED, b"?"), id="the continuation of nothing"),
        pytest.param(frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), id="a message inside another"),
        pytest.param(frame(PING, b"x" * 126), id="a control frame that is too long"),
        pytest.param(b"HTTP/1.1 500 Oops\r\n\r\n", id="no frame at all"),
    ],
)
def test_what_is_no_websocket_frame_ends_the_line_and_says_why(client: Client, raw: bytes) -> None:
    ears = play(client, sends(frame(TEXT, b"before"), raw, frame(TEXT, b"after")), until_the_end)

    assert [b"before"] == ears.messages
    assert "cut the line without a goodbye" != ears.ends[0]
    assert "" != ears.ends[0]


def test_half_a_goodbye_ends_the_line_too(client: Client) -> None:
    assert "broke the protocol" in play(client, sends(frame(CLOSE, b"\x03")), until_the_end).ends[0]


def test_the_venues_goodbye_is_told_in_its_own_words_and_answered(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        await peer.accept(frame(TEXT, b"last") + goodbye(4002, "come back later"))
        answered.put_nowait(await peer.receive())
        await peer.goodbye()

    answered: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

    async def scene(_: Socket, ears: Ears) -> None:
        await ears.end()
        assert CLOSE == (await answered.get())[0]

    ears = play(client, handler, scene)

    assert [b"last"] == ears.messages
    assert ["closed by the venue (4002, come back later)"] == ears.ends


@pytest.mark.parametrize("how", ["close", "abort"])
def test_a_line_that_is_cut_is_told_as_cut(client: Client, how: str) -> None:
    async def handler(peer: Peer) -> None:
        await peer.accept(frame(TEXT, b"last"))
        await asyncio.wait_for(cut.wait(), PATIENCE_S)
        if how == "abort":
            peer.writer.transport.abort()

    cut = asyncio.Event()

    async def scene(_: Socket, ears: Ears) -> None:
        await ears.until(lambda: ears.messages)
        cut.set()
        await ears.end()

    ears = play(client, handler, scene)

    assert [b"last"] == ears.messages
    assert ["cut the line without a goodbye"] == ears.ends


def test_closing_a_line_that_nobody_reads_any_more_does_not_hang(client: Client) -> None:
    """The other side neither reads nor answers, and what we sent fills every buffer on the way."""

    async def handler(peer: Peer) -> None:
        await peer.accept()
        peer.lose_power()
        await asyncio.sleep(PATIENCE_S)

    async def scene(link: Socket, ears: Ears) -> None:
        for _ in range(800):
            link.send(b"x" * 60_000)
            await asyncio.sleep(0)
        if not ears.ends:
            link.close()
            await ears.end()

    ears = play(client, handler, scene)

    assert ears.ends[0] in ("closed by us", "does not take what we send")


def test_closing_ends_though_the_other_side_talks_on(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        await peer.accept()
        while True:
            await peer.send(frame(TEXT, b"blah") * 100)
            await asyncio.sleep(0)

    ears = play(client, handler, after(1))

    assert ["closed by us"] == ears.ends


def test_pings_without_end_from_somebody_who_does_not_read_do_not_fill_the_memory(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        await peer.accept()
        peer.lose_power()
        pings = frame(PING, b"x" * 125) * 5000
        while True:
            await peer.send(pings)
            await asyncio.sleep(0)

    ears = play(client, handler, until_the_end)

    assert ["does not take what we send"] == ears.ends


def test_a_listener_that_fails_ends_the_line_and_is_not_hushed_up(client: Client) -> None:
    complaints: list[object] = []

    class Faulty(Ears):
        def message(self, recv_ns: int, raw: bytes) -> None:
            raise ArithmeticError(raw)

    async def run() -> list[str]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context.get("exception")))
        ears = Faulty()
        async with asyncio.timeout(PATIENCE_S), serving(sends(frame(TEXT, b"boom"))) as url:
            await client.connect(url, ears, message_bytes_max=LIMIT, timeout_s=10.0)
            await ears.end()
        return ears.ends

    assert ["our own listener failed"] == asyncio.run(run())
    assert [ArithmeticError] == [type(complaint) for complaint in complaints]


def test_picows_is_taken_where_it_is_and_a_name_forces_one() -> None:
    pytest.importorskip("picows", reason="picows has no wheel here")

    assert ["picows", "picows", "aiohttp"] == [client_for(name).name for name in ("", "picows", "aiohttp")]


def test_an_unknown_client_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean picows"):
        client_for("picow")


def test_without_picows_aiohttp_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tickcast.sources.sockets.picows_client", None)

    assert "aiohttp" == client_for("").name
    with pytest.raises(ConfigError, match="can not be imported"):
        client_for("picows")


def test_no_library_is_loaded_before_one_is_used() -> None:
    program = (
        "import sys, tickcast.sources.sockets.clients, tickcast.sources.sockets.connection\n"
        "print(sorted({'picows', 'aiohttp', 'aiohappyeyeballs'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert "[]\n" == done.stdout
