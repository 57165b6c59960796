"""Batch jobs at work: what they do to each execution, where they reset to, and who does it."""
