"""What an answer that is no page means."""

from __future__ import annotations

import pytest

from tickcast.sources.history.faults import BAN, BUSY, FINAL, GEO, MISSING, RATE, Fault, judge, refusal

BASE = "https://api.binance.com"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((429, RATE), (418, BAN), (451, GEO), (403, GEO), (404, MISSING), (500, BUSY), (502, BUSY), (503, BUSY)),
        *((504, BUSY), (408, BUSY), (400, FINAL), (401, FINAL), (302, FINAL)),
    ],
)
def test_each_status_has_its_meaning(status: int, kind: str) -> None:
    found = judge("binance", status, BASE, {}, b'{"code":-1121,"msg":"Invalid symbol."}')

    assert found is not None
    assert kind == found.kind
    assert "Invalid symbol." in found.detail


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("EAPI:Rate limit exceeded", RATE),
        ("EGeneral:Too many requests", RATE),
        ("EService:Throttled: 1688669448", RATE),
        ("EService:Unavailable", BUSY),
        ("EService:Busy", BUSY),
        ("EGeneral:Temporary lockout", BAN),
        ("EQuery:Unknown asset pair", FINAL),
    ],
)
def test_kraken_says_no_inside_an_answer_that_is_fine_by_its_status(text: str, kind: str) -> None:
    found = judge("kraken", 200, "https://api.kraken.com", {}, b'{ "error" : [ "%b" ] }' % text.encode())

    assert found is not None
    assert (kind, text) == (found.kind, found.detail)


@pytest.mark.parametrize("raw", [b'{"error":[],"result":{}}', b'{\n  "error": [],\n  "result": {}}', b"", b"garbage"])
def test_a_page_of_kraken_is_no_fault(raw: bytes) -> None:
    assert judge("kraken", 200, "https://api.kraken.com", {}, raw) is None


def test_a_refused_country_is_told_the_way_round() -> None:
    said = str(refusal("binance", Fault(GEO, f"{BASE} answers HTTP 451"), "BTCUSDT"))

    assert "https://data-api.binance.vision" in said
    assert "wss://data-stream.binance.vision" in said
    assert "vision" not in str(refusal("kraken", Fault(GEO, "HTTP 403"), "BTC/USD"))
