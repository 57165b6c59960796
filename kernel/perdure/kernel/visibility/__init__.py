"""PURE: the list-filter language, from text to a checked syntax tree. Drivers compile it; nobody pastes SQL."""
