"""PURE: decisions. A module per machine; each function takes a `Transition` and says what happens, or raises.

Nothing here writes to the state: that is `perdure.history.fold`'s.
"""
