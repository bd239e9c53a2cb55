"""Looking after a cluster: what is due by the calendar, and the checklist before production."""
