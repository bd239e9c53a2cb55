"""Taking over a live Redis: its data goes into the cluster while it serves, then it is closed."""
