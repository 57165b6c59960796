"""The public RPCs that belong to matching."""
