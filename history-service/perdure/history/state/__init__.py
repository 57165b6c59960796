"""PURE: what one execution is made of, and what changes it that no event records. No behaviour."""
