"""Several processes as one service: who is there, who owns what, and calls that find their way."""
