"""Tickcast: live market data to calibrated, provable forecasts."""

__version__ = "0.1.0"
