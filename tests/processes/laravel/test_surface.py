"""Session, broadcasting, locks, tags, transactions: what Laravel does on Redis, on each master."""

from tests.processes.laravel.application import ClusterApplication


def test_what_laravel_does_on_redis_goes_on_after_a_crash(application: ClusterApplication) -> None:
    cluster = application.cluster
    listener = application.act("hear", 60)

    def heard(text: str) -> bool:
        with cluster.settled_master().client() as client:
            client.publish("test:news", text)
        return text in [line["value"] for line in listener.lines]

    cluster.wait_for(lambda: heard("before"))
    for visits in (1, 2):
        cluster.wait_for(lambda text=f"listening {visits}": heard(text))  # type: ignore[misc]
        actor = application.act("surface", 1, "visitor")
        assert actor.wait(20) == 0, actor.output.with_suffix(".err").read_text()
        assert actor.lines, actor.output.read_text()
        found = actor.lines[0]["value"]
        assert found == {
            "visits": visits,
            "locked": True,
            "remembered": "value",
            "tagged": True,
            "incremented": visits,
            "scanned": True,
            "watched": [True],
            "after": "2",
        }
        events = [line["value"] for line in listener.lines if "happened" in line["value"]]
        assert len(events) == visits, "broadcast"
        old = cluster.master
        if visits == 1:
            old.kill()
            cluster.wait_for_master(other_than=old)
