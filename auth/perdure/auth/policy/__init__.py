"""Who may call which RPC: one table, and decisions by it."""
