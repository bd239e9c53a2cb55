"""What a machine on AWS tells of itself: metrics once a minute, and its units' journal as a log."""
