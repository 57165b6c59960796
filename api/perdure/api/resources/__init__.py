"""Resources of CloudService: a module for each kind has its handlers, by the names of the RPCs."""
