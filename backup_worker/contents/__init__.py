"""What a cluster is beside its data, in each snapshot: configuration, users, sentinel state."""
