"""RPCs that the gateway answers or composes itself; everything else is handed to its role."""
