"""The kinds of executions: what sets each apart on the shards that all share."""
