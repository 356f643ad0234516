"""An exchange on this machine: the simulated market over real sockets and HTTP, as three venues speak of it.

    settings ─→ world (market, archive, the venue's clock) ─┬→ sockets/  what is told as it happens
                                                            ├→ rest/     what is asked for later
                                                            └→ truth     what really happened, for tests
    faults/ stand between all of these and the wire: they change what is told, never what is true

One port serves all venues, under `/binance`, `/coinbase` and `/kraken`. Nothing is imported here: `server` pulls in
aiohttp and the compiler, `settings` neither.
"""
