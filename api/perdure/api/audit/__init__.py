"""Who did what: records that are only ever added, each vouching for the one before; and their way to others."""
