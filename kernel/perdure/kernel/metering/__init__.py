"""What tenants pay for by the piece: the names of actions, and what the events of a history show of them."""
