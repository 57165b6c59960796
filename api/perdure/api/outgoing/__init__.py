"""What tenants have us call, and which addresses it may be at."""
