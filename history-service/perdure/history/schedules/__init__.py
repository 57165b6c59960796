"""Schedules: when they fire, and what sets them apart from other kinds of executions. What they decide is in
`machines.schedule`.
"""
