"""PURE: commands, one function per command type, all or none of a workflow task's."""

from perdure.history.commands.batch import Batch, CommandFailure, camel_case
from perdure.history.commands.registry import COMMANDS, apply, check_sequence

__all__ = ["COMMANDS", "Batch", "CommandFailure", "apply", "camel_case", "check_sequence"]
