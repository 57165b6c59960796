"""Private database servers on this machine, for tests, load tests and a cluster of plain local processes."""
