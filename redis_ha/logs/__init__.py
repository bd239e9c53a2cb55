"""The lines of all nodes' logs, whoever wrote them, as one stream in the order of their times.

`line` parses one of them, `reading` a node's stream of them, `merging` brings the streams
together; `docker`, `files` and `cloudwatch` fetch them.
"""
