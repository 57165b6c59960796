"""Measurements of the server under load. Not shipped."""
