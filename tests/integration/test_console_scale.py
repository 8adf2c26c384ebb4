"""Long lists stay quick: a page asks the database for as much among 10,000 questions as among a hundred."""

import re

import pytest

from tests.integration.console_scale import effort_of, every_council, fill
from tests.integration.console_world import console_world

FEW, MANY = 100, 10_000
YEARS = 4
COUNCILS_SHOWN = 50
SLACK = 1.3
"""An index of more rows is a level or two deeper."""


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    with console_world(tmp_path_factory.mktemp("few")) as few, console_world(tmp_path_factory.mktemp("many")) as many:
        yield (few, fill(few, FEW)), (many, fill(many, MANY))


def cost(world, path, who):
    """Statements and steps of a page that is asked for the second time, when the signed files are known."""
    with world.served() as served:
        assert served.ask(path, who=who).status == 200
        with effort_of(world.reading) as found:
            reply = served.ask(path, who=who)
        assert reply.status == 200
    return found, reply.text


def from_the_middle(plans, world):
    return f"older={plans[len(plans) // 2]}"


PATHS = {
    "newest": ("/questions", ""),
    "middle": ("/questions?{middle}", ""),
    "answered": ("/questions?state=done&{middle}", ""),
    "planned": ("/questions?state=planned", ""),
    "budget": ("/budgets/{council}", "reviewer"),
    "rounds": ("/operations/rounds", "operator"),
    "question": ("/questions/{plan}", ""),
    "release": ("/releases/{release}", ""),
}


@pytest.mark.drawn(4)
@pytest.mark.parametrize("name", PATHS)
def test_a_page_costs_the_database_no_more_among_many_questions(worlds, name):
    found = []
    for world, plans in worlds:
        path, who = PATHS[name]
        parts = {
            "middle": from_the_middle(plans, world),
            "council": world.federation.councils[1],  # in none of the many rounds, as the others are
            "plan": world.plans["released"],
            "release": world.release,
        }
        effort, text = cost(world, path.format(**parts), who)
        found.append(effort)
        if name in {"newest", "middle", "answered"}:
            assert len(re.findall(r'href="/questions/[0-9a-f]{64}"', text)) == 25
    few, many = found
    assert many.statements == few.statements
    assert many.statements <= 30
    assert many.steps <= SLACK * few.steps + 500, found


def test_the_count_of_effort_sees_a_list_that_is_read_whole(worlds):
    few, many = ((world.reading, len(plans)) for world, plans in worlds)
    efforts = []
    for store, _ in (few, many):
        with effort_of(store) as found:
            store.proposals.counts()
            store.proposals.in_states(["failed"])
        efforts.append(found.steps)
    assert efforts[1] > 10 * efforts[0]


@pytest.mark.parametrize("state", ["", "done", "failed"])
def test_the_parts_of_a_long_list_hold_every_question_once_in_both_directions(worlds, state):
    (world, plans), _ = worlds
    query = f"?state={state}" if state else ""
    with world.served() as served:
        forth, path = [], f"/questions{query}"
        while path:
            last, page = path, served.ask(path).text.replace("&amp;", "&")
            forth.append(re.findall(r'<a class="govuk-link" href="/questions/([0-9a-f]{64})"', page))
            path = next(iter(re.findall(r'href="([^"]*older=[^"]*)"', page)), None)
        back, path = [], last
        while path:
            page = served.ask(path).text.replace("&amp;", "&")
            back.append(re.findall(r'<a class="govuk-link" href="/questions/([0-9a-f]{64})"', page))
            path = next(iter(re.findall(r'href="([^"]*newer=[^"]*)"', page)), None)
    shown = [plan for part in forth for plan in part]
    assert len(shown) == len(set(shown))
    everything = {row.plan_digest.hex(): row.state for row in world.reading.proposals.page(frozenset(), size=MANY)}
    wanted = {"done": "released"}.get(state, state)
    assert set(shown) == {plan for plan, stands in everything.items() if stands == (wanted or stands)}
    # Backwards the parts are cut elsewhere, but hold the same.
    assert {plan for part in back for plan in part} == set(shown)
    assert len(forth) == -(-len(shown) // 25)
    assert set(plans) <= set(everything)


@pytest.mark.parametrize("wrong", ["older=x", "older=2026-02-01T12:00:00Z_00", "newer=", f"older={'00' * 32}"])
def test_a_place_that_is_none_is_the_beginning(worlds, wrong):
    (world, _), _ = worlds
    with world.served() as served:
        assert served.ask(f"/questions?{wrong}").text == served.ask("/questions").text


def test_the_budgets_of_every_council_over_four_years_are_read_a_page_at_a_time(tmp_path):
    with console_world(tmp_path) as world:
        councils = every_council(world, tmp_path, years=YEARS)
        assert len(councils) > 290
        names = []
        with world.served() as served:
            path = "/budgets"
            while path:
                with effort_of(world.reading) as effort:
                    page = served.ask(path, who="reviewer").text.replace("&amp;", "&")
                assert effort.statements <= 12
                rows = re.findall(
                    r'<th scope="row" class="govuk-table__header"><a class="govuk-link" href="/budgets/(\w+)"', page
                )
                assert len(rows) <= COUNCILS_SHOWN * YEARS
                assert "does not hold" not in page
                names += rows
                path = next(iter(re.findall(r'href="([^"]*page=\d+)" rel="next"', page)), None)
            assert sorted(names) == sorted(list(councils) * YEARS)
            year = served.ask("/budgets?year=2024", who="reviewer").text
        assert len(re.findall(r"page-bar__spent", year)) == COUNCILS_SHOWN
