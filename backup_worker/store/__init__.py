"""Object stores: one contract, held by files, S3 and memory, and a retrying wrapper."""
