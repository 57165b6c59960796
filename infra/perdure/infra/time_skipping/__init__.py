"""A test server: time that nobody works in is left out. For the test environments of SDKs."""
