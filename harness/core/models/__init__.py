"""Frozen models and the rows that they write."""
