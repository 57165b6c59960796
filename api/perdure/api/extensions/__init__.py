"""CloudExtensionService: what accounts have beyond CloudService."""
