"""Putting a snapshot back: into a directory, or into the live cluster without a restart."""
