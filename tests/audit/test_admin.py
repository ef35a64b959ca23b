"""The audit log in the console."""

from migration_portal.audit import chain
from tests.console.browsing import browser
from tests.world import World


def test_the_chain_is_verified_by_button(world: World) -> None:
    chain.record("start")
    client = browser("support")
    assert (
        "All 1 events are as they were written"
        in client.post("/admin/audit/event/verify/", follow=True).content.decode()
    )
    with world.portal() as portal:
        portal.execute("ALTER TABLE audit_event DISABLE TRIGGER USER")
        portal.execute("UPDATE audit_event SET actor = 'x' WHERE id = 1")
    assert "broken at event 1" in client.post("/admin/audit/event/verify/", follow=True).content.decode()


def test_times_are_written_with_their_zone(world: World) -> None:
    event = chain.record("start")
    page = browser("support").get("/admin/audit/event/").content.decode()
    assert f"{event.at:%Y-%m-%d %H:%M:%S} UTC" in page


def test_old_verbs_are_filtered_by_todays_words(world: World) -> None:
    chain.record("ask_move")
    chain.record("start")
    answer = browser("support").get("/admin/audit/event/?verb=request_move")
    assert len(answer.context["shown"]) == 1 and "request move" in answer.content.decode()
