"""docker:index/container:Container: its schema, request, state, files, health and operations."""
