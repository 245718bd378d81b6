"""Formats: one file per provider family, each named by a row of `table`. Floor 2 (think)."""
