"""The history role: owner of executions, their histories, timers and outgoing work."""
