"""PURE: the only code that writes to an `Execution`.

`evolve` folds an event, `amend` folds a change, `replay` folds a journal record. Live traffic, recovery, reset and the
tests all come through here, so the state that a machine decides on is by construction the one that a rebuild yields.
"""

from perdure.history.fold.registry import amend, evolve, number_buffered, replay

__all__ = ["amend", "evolve", "number_buffered", "replay"]
