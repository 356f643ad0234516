"""What the configuration may name."""

from __future__ import annotations

import pytest

from tickcast.errors import ConfigError
from tickcast.indicators.spec import columns, parse


def test_one_output_is_named_by_the_function_and_its_numbers() -> None:
    assert ("adx_14", "cci_20", "bop") == columns(["ADX:14", "cci:20", "BOP"])


def test_several_outputs_are_named_each() -> None:
    assert ("stoch_5_3_3_slowk", "stoch_5_3_3_slowd") == columns(["STOCH:5:3:3"])


def test_what_is_not_given_is_the_default_and_shows_in_the_name() -> None:
    assert columns(["STOCH"]) == columns(["STOCH:5"]) == columns(["STOCH:5:3:3"])


def test_fractions_make_names_that_a_database_takes() -> None:
    assert ("sar_0p02_0p2",) == columns(["SAR"])


def test_a_kind_of_average_is_given_by_name_and_shows_when_it_is_not_the_default() -> None:
    assert ("stoch_5_3_3_slowkmatype1_slowk", "stoch_5_3_3_slowkmatype1_slowd") == columns(
        ["STOCH:5:3:3:slowk_matype=1"]
    )


def test_the_designs_own_indicators_and_repetitions_add_nothing() -> None:
    own = ["SMA:7", "SMA:14", "SMA:21", "EMA:12", "EMA:26", "RSI", "MACD", "BBANDS", "OBV", "VWAP", "ATR:14"]

    assert ("adx_14",) == columns([*own, "ADX", "ADX:14", "adx:timeperiod=14"])


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("ADXX:14", "did you mean ADX"),
        ("STOHC", "did you mean STOCH"),
        ("", "without a name"),
        ("::", "without a name"),
        ("ADX:14:3", "more numbers than parameters"),
        ("BOP:3", "give no numbers"),
        ("ADX:many", "timeperiod was 'many'"),
        ("ADX:1.5", "a whole number"),
        ("ADX:period=3", "its parameters are: timeperiod"),
        ("ADX:0", "TA-Lib refuses timeperiod=0"),
        ("ADX:99999999999", "TA-Lib refuses"),
        ("BBANDS:20:nan:2", "TA-Lib refuses timeperiod=20, nbdevup=nan"),
        ("SMA:513", "more than the 512 candles"),
        ("TEMA:200", "more than the 512 candles"),
        ("BETA", "series of its own"),
        ("CORREL:30", "series of its own"),
        ("MAVP", "series of its own"),
    ],
)
def test_what_can_not_be_computed_is_refused_with_the_cure(entry: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r"nothing was started") as refused:
        parse([entry])

    assert says in str(refused.value)


def test_the_longest_period_that_an_anchor_holds_is_taken() -> None:
    assert ("sma_512",) == columns(["SMA:512"])
