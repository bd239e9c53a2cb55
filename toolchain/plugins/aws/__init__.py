"""Stand-in for the official `aws` provider 7.51.1, over boto3.

The types that this project's stack uses. What replaces, what is done in place and what the
provider fills in follows terraform-provider-aws 6, which the official provider bridges.
"""
