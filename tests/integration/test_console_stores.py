"""The console reads either store alike, and neither lets a page write."""

import re

import pytest

from federated.errors import FileProblem
from tests.integration.console_scale import fill
from tests.integration.console_world import console_world


def test_a_page_cannot_write_and_long_lists_are_read_from_their_middle(tmp_path, store_url):
    with console_world(tmp_path, database=store_url) as world, world.served() as served:
        plans = fill(world, 60)
        with pytest.raises(FileProblem, match=r"read-?only"):
            world.reading.releases.note_read(
                bytes.fromhex(plans[0]), reader="x", how="page", now=world.federation.now()
            )
        shown, path = [], "/questions"
        while path:
            page = served.ask(path).text
            shown += re.findall(r'<a class="govuk-link" href="/questions/([0-9a-f]{64})"', page)
            path = next(iter(re.findall(r'href="(/questions\?older=[^"]*)"', page)), None)
        assert len(shown) == len(set(shown)) == 60 + len(world.plans) + 1
        assert served.ask("/questions?state=planned").text.count('href="/questions/') >= 1
        for path, who in (
            (f"/budgets/{world.federation.councils[0]}", "reviewer"),
            ("/budgets", "reviewer"),
            ("/operations/rounds", "operator"),
        ):
            assert served.ask(path, who=who).status == 200


def test_an_answer_whose_time_is_over_is_gone_and_its_line_stays(tmp_path, store_url):
    with console_world(tmp_path, database=store_url) as world, world.served(publish=(world.agreement,)) as served:
        plan, release = world.plans["released"], bytes.fromhex(world.release)
        kept = world.federation.store.releases
        paths = [f"/releases/{world.release}{rest}" for rest in ("", "/release.json", "/release.ods")]
        assert [served.ask(path, who="analyst").status for path in paths] == [200, 200, 200]
        assert kept.delete_contents([release], now=world.federation.now()) == 1
        for who in ("", "analyst"):
            for path in paths:
                reply = served.ask(path, who=who)
                assert reply.status == 410
                assert "when its time was over" in reply.text
            page = served.ask(f"/questions/{plan}", who=who)
            assert page.status == 200
            assert "The answer was deleted here" in page.text
            assert world.release not in page.text
        assert served.ask("/questions").text.count(plan) == 1
