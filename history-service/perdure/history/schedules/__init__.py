"""PURE: schedules: when they fire (`spec`), and what they do about it (`machine`)."""
