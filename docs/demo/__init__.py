"""`make demo`: an order that survives the death of its worker and of the server. Documentation that runs."""
