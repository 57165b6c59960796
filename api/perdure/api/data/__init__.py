"""What the control plane keeps, in a database of its own."""

from perdure.api.data.database import ControlDatabase, UnknownSchema
from perdure.api.data.transaction import Transaction

__all__ = ["ControlDatabase", "Transaction", "UnknownSchema"]
