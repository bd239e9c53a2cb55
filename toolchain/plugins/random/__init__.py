"""Stand-in for the official `random` provider 4.21.4: passwords, strings, bytes, ids."""
