"""The pub/sub channels of the witnesses. `infra/acl.py` has to allow them, and a test compares."""

# What witnesses tell each other.
VOTES = "__redis-ha__:witness"
# Who wants to know how the witnesses are asks on the one and listens on the other.
QUESTIONS = "__redis-ha__:witness:asked"
ANSWERS = "__redis-ha__:witness:told"
