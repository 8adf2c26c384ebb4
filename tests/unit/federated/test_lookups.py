"""Groups from lookups: carried over the project's history of codes from 2018 to 2025, and refused where that is a guess."""

from collections import Counter
from datetime import date

import pytest
import yaml
from typer.testing import CliRunner

from federated import lookups
from federated.agreement import parse_agreement
from federated.agreement_words import describe
from federated.cli import app
from federated.errors import FileProblem
from federated.geography import load_code_history
from federated.lookups import Columns, carry, read_lookup
from federated.schema import load_schema
from federated.schema.code_history import parse_code_history
from tests.unit.council_node.policy_cases import AGREEMENT_FORM

SCHEMA, HISTORY = load_schema(), load_code_history()
V2018, V2024, BEFORE, AFTER = date(2018, 4, 1), date(2024, 4, 1), date(2025, 3, 31), date(2025, 4, 1)
HEADER = "council_code,group_code,group_name"
SOUTH_YORKSHIRE = ("E08000016", "E08000017", "E08000018", "E08000019")
BARNSLEY, SHEFFIELD = "E08000038", "E08000039"
SOMERSET = "E06000066"


def read(*rows, vintage=V2018, source="A list", header=HEADER, **options):
    return read_lookup("\n".join([header, *rows]).encode(), file="l.csv", vintage=vintage, source=source, **options)


def rows(codes, group="G1", name="The Group"):
    return [f"{code},{group},{name}" for code in codes]


def carried(lookup, on=AFTER, history=HISTORY):
    return {group.code: group for group in carry(lookup, on, schema=SCHEMA, history=history)}


def councils(lookup, on=AFTER, history=HISTORY):
    return carried(lookup, on, history)["G1"].councils


# The history that is held here


def test_a_lookup_of_2018_is_carried_over_the_new_codes_of_2025():
    lookup = read(*rows(SOUTH_YORKSHIRE))
    assert councils(lookup, BEFORE) == SOUTH_YORKSHIRE
    assert councils(lookup) == ("E08000017", "E08000018", BARNSLEY, SHEFFIELD)
    (group,) = carried(lookup).values()
    assert group.changed == ("E08000016", "E08000019")
    assert group.made_from == "G1 in: A list; codes of 2018-04-01, carried to 2025-04-01"


def test_a_lookup_of_2025_is_carried_back():
    later = read(*rows(["E08000017", BARNSLEY]), vintage=AFTER)
    assert councils(later, BEFORE) == ("E08000016", "E08000017")


def test_every_authority_of_today_can_be_grouped_and_only_two_codes_change():
    by_region = [f"{item.id},{item.region},Region {item.region}" for item in SCHEMA.councils.values()]
    lookup = read(*by_region, vintage=V2024)
    for on, changes in ((BEFORE, 0), (AFTER, 2)):
        groups = carried(lookup, on)
        assert sum(len(group.changed) for group in groups.values()) == changes
        found = {code: group.code for group in groups.values() for code in group.councils}
        assert len(found) == 296
        assert all(SCHEMA.council(code).region == region for code, region in found.items())


MERGERS = sorted({change.successor for change in HISTORY.changes if change.predecessor is None})


@pytest.mark.parametrize("successor", MERGERS)
def test_a_merger_whose_old_codes_nobody_printed_is_never_guessed(successor):
    """Cumbria, North Yorkshire, Somerset, Northamptonshire, Buckinghamshire, Dorset and Suffolk, 2019 to 2023."""
    assert councils(read(*rows([successor]), vintage=V2024)) == (successor,)
    with pytest.raises(FileProblem, match=f"whether {successor} was a council's code on 2018-04-01"):
        carried(read(*rows([successor])))
    with pytest.raises(FileProblem, match="is not known here"):
        carried(read(*rows([successor]), vintage=V2024), V2018)


def test_a_code_of_2018_that_is_no_council_s_any_more_is_refused():
    with pytest.raises(FileProblem, match=r"1 code.s. are of no council that can be asked.*E07000001"):
        carried(read(*rows(["E08000017", "E07000001"])))


def test_a_code_that_did_not_stand_on_the_lookups_day_is_refused():
    with pytest.raises(FileProblem, match="E08000038 was not the code of a council on 2018-04-01"):
        carried(read(*rows([BARNSLEY])))
    with pytest.raises(FileProblem, match="E08000016 was not the code of a council on 2025-04-01"):
        carried(read(*rows(["E08000016"]), vintage=AFTER))


# Mergers and splits: a history made for the test, since the one held here prints no codes of a merger


def history(*lines):
    head = "successor,name,predecessor,change,since,source,licence"
    return parse_code_history("\n".join([head, *(f"{line},project-research,Apache-2.0" for line in lines)]))


MERGED = history(
    f"{SOMERSET},Merged,E07000001,merger,2023-04-01",
    f"{SOMERSET},Merged,E07000002,merger,2023-04-01",
)
SPLIT = history(
    "E06000063,One half,E07000001,merger,2023-04-01",
    "E06000064,Other half,E07000001,merger,2023-04-01",
    "E06000064,Other half,E07000002,merger,2023-04-01",
)


def test_councils_that_merged_whole_become_the_new_one():
    assert councils(read(*rows(["E07000001", "E07000002"])), history=MERGED) == (SOMERSET,)
    assert councils(read(*rows([SOMERSET]), vintage=AFTER), V2024, MERGED) == (SOMERSET,)


@pytest.mark.parametrize("stranger", [[], ["E07000002,G2,Another"]])
def test_a_merger_with_a_council_outside_the_group_is_refused(stranger):
    with pytest.raises(FileProblem, match="E06000066 is made of E07000001, E07000002, and E07000002 was not in 'The G"):
        carried(read(*rows(["E07000001"]), *stranger), history=MERGED)


def test_without_the_check_the_group_would_grow(monkeypatch):
    monkeypatch.setattr(lookups, "_check_whole", lambda *_: None)
    assert councils(read(*rows(["E07000001"])), history=MERGED) == (SOMERSET,)


def test_a_council_split_inside_the_group_is_carried_and_across_its_edge_refused():
    both = read(*rows(["E07000001", "E07000002"]))
    assert councils(both, history=SPLIT) == ("E06000063", "E06000064")
    for one in ("E07000001", "E07000002"):
        with pytest.raises(FileProblem, match="The group has no boundary among today's councils"):
            carried(read(*rows([one])), history=SPLIT)


def test_a_merger_of_which_one_old_code_is_not_known_is_refused():
    half_known = history(f"{SOMERSET},Merged,E07000001,merger,2023-04-01", f"{SOMERSET},Merged,,merger,2023-04-01")
    with pytest.raises(FileProblem, match="it is not known whether all of them were in 'The Group'"):
        carried(read(*rows(["E07000001"])), history=half_known)


# What a file may say


def test_published_headings_are_named_and_further_columns_passed_over():
    columns = Columns(council="LAD25CD", group="CAUTH25CD", name="CAUTH25NM")
    lookup = read(
        "E08000017,x,E47000002,South Yorkshire", header="LAD25CD,LAD25NM,CAUTH25CD,CAUTH25NM", columns=columns
    )
    (group,) = carried(lookup).values()
    assert (group.code, group.name, group.label) == ("E47000002", "south-yorkshire", "South Yorkshire")


def test_the_day_and_the_source_may_stand_in_the_file():
    content = f"{HEADER},vintage,source\nE08000017,G1,A,2018-04-01,A list\nE08000018,G1,A,2018-04-01,A list\n"
    found = read_lookup(content.encode(), file="l.csv")
    assert (found.vintage, found.source) == (V2018, "A list")
    for old, new in (("2018-04-01,A list\n", "2019-04-01,A list\n"), ("2018-04-01,A list\n", "2018-04-01,\n")):
        with pytest.raises(FileProblem, match=r"must have one (vintage|source) for all its rows"):
            read_lookup(content.replace(old, new, 1).encode(), file="l.csv")


def test_councils_without_a_group_and_places_outside_england_are_left_out():
    lookup = read("E08000017,G1,A", "E08000018,,", "W06000001,W92,Wales", "S12000005,S1,Scotland")
    assert councils(lookup) == ("E08000017",)
    assert lookup.outside == ("S12000005", "W06000001")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["E10000020,G1,Norfolk"], "line 2: E10000020 is a county"),
        (["E08000017,G1,A", "E01000001,G1,A"], "line 3: 'E01000001' is not the code of a housing authority"),
        (["Barnsley,G1,A"], "'Barnsley' is not the code"),
        (["E08000017,G1,A", "E08000017,G2,B"], "E08000017 is in the groups 'G1' and 'G2'"),
        (["E08000017,G1,A", "E08000018,G1,B"], "the group 'G1' has no name, or two"),
        (["E08000017,G1,"], "the group 'G1' has no name, or two"),
        (["E08000017,G1"], "line 2 has more or fewer cells"),
        (["E08000017,G1,A,B"], "line 2 has more or fewer cells"),
        (["E08000017,,"], "puts no housing authority into a group"),
    ],
)
def test_a_faulty_file_is_refused_with_its_line(lines, said):
    with pytest.raises(FileProblem, match=said):
        read(*lines)


def test_a_missing_column_a_day_that_is_none_and_other_files_are_refused():
    with pytest.raises(FileProblem, match="no column 'group_code'"):
        read("E08000017,G1,A", header="council_code,x,group_name")
    with pytest.raises(FileProblem, match="no column 'vintage'"):
        read("E08000017,G1,A", vintage=None)
    with pytest.raises(FileProblem, match="the vintage '2018', which is not a day"):
        read("E08000017,G1,A,2018", header=f"{HEADER},vintage", vintage=None)
    with pytest.raises(FileProblem, match="not a CSV file in UTF-8"):
        read_lookup(b"\xff\xfe\x00", file="l.csv")


def test_two_groups_of_one_short_name_are_refused():
    with pytest.raises(FileProblem, match="two groups that would both be called 'tees-valley'"):
        carried(read("E08000017,G1,Tees Valley", "E08000018,G2,Tees-Valley"))
    assert carried(read("E08000017,G1,3 Rivers"))["G1"].name == "group-g1"


# The command

TEES = next(tuple(sorted(group["councils"])) for group in AGREEMENT_FORM["groups"] if group["name"] == "tees-valley")


def command(folder, *lines, options=(), header=HEADER):
    file = folder / "l.csv"
    file.write_text("\n".join([header, *lines]), encoding="utf-8")
    day = ["--vintage", "2025-01-01", "--source", "A list", "--on", "2025-03-31"]
    return CliRunner().invoke(app, ["agreement", "groups", str(file), *day, *options])


def test_the_command_writes_groups_that_an_agreement_takes(tmp_path):
    written = tmp_path / "groups.yaml"
    large = sorted(code for code in SCHEMA.councils if SCHEMA.councils[code].region == "E12000001")
    shire = rows(["E08000017", "E08000018"], "E47000002", "Half of it")
    result = command(tmp_path, *rows(large, "E12", "North"), *shire, options=["--out", str(written)])
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "North: 12 councils, as 'north'." in said
    assert "Half of it: too small to be asked by itself" in said
    (group,) = yaml.safe_load(written.read_bytes())["groups"]
    assert group["profile"] == "standard"
    form = AGREEMENT_FORM | {"groups": [group]}
    made = parse_agreement(yaml.safe_dump(form, allow_unicode=True).encode())
    assert made.groups[0].councils == tuple(large)
    assert any("Made from a lookup: E12 in: A list; codes of 2025-01-01" in line for line in describe(made))
    agreement = tmp_path / "agreement.yaml"
    agreement.write_text(yaml.safe_dump(form, allow_unicode=True), encoding="utf-8")
    check = ["--check", str(agreement)]
    assert "as in the lookup" in command(tmp_path, *rows(large, "E12", "North"), options=check).output
    # A group that says it is the lookup's and is not.
    other = command(tmp_path, *rows([*large[1:], "E08000017"], "E12", "North"), options=check)
    assert other.exit_code != 0
    assert f"has {large[0]} besides and lacks E08000017" in " ".join(other.output.split())
    strange = command(tmp_path, *rows(large, "E12", "South"), options=check)
    assert isinstance(strange.exception, FileProblem)


def test_the_command_writes_nothing_where_no_group_can_be_asked(tmp_path):
    written = tmp_path / "groups.yaml"
    result = command(tmp_path, *rows(TEES), options=["--out", str(written)])
    assert isinstance(result.exception, FileProblem)
    assert not written.exists()
    assert command(tmp_path, *rows(TEES), options=["--min-cohort", "5", "--out", str(written)]).exit_code == 0
    assert Counter(len(item["councils"]) for item in yaml.safe_load(written.read_bytes())["groups"]) == {5: 1}


def test_changes_of_the_users_own_complete_a_merger_that_is_held_without_its_old_codes(tmp_path):
    changes = tmp_path / "changes.csv"
    head = "successor,name,predecessor,change,since,source,licence"
    made = [f"{SOMERSET},Merged,E0700000{number},merger,2023-04-01,A published list,OGL" for number in (1, 2)]
    changes.write_text("\n".join([head, *made]), encoding="utf-8")
    large = sorted(code for code in SCHEMA.councils if SCHEMA.councils[code].region == "E12000001")
    old = [*rows(large, "E12", "North"), *rows(["E07000001", "E07000002"], "E12", "North")]
    own = ["--vintage", "2018-04-01", "--history", str(changes), "--out", str(tmp_path / "groups.yaml")]
    assert isinstance(command(tmp_path, *old, options=own[:2]).exception, FileProblem)
    result = command(tmp_path, *old, options=own)
    assert result.exit_code == 0, result.output
    (group,) = yaml.safe_load((tmp_path / "groups.yaml").read_bytes())["groups"]
    assert group["councils"] == sorted([*large, SOMERSET])
    part = command(tmp_path, *old[:-1], options=own)
    assert "E07000002 was not in 'North'" in str(part.exception)
    for wrong, said in ((made[0].replace("A published list", ""), "line 2"), (f"{made[0]}\n{made[0]}", "twice")):
        changes.write_text(f"{head}\n{wrong}", encoding="utf-8")
        assert said in str(command(tmp_path, *old, options=own).exception)
    # A change that is held here already, given again, is no contradiction; another successor of it is.
    known = "E08000038,Barnsley,E08000016,recode,2025-04-01,A published list,OGL"
    for line, ended in ((known, type(None)), (known.replace("E08000038", "E08000017"), FileProblem)):
        changes.write_text(f"{head}\n{line}", encoding="utf-8")
        options = ["--vintage", "2018-04-01", "--history", str(changes)]
        assert isinstance(command(tmp_path, *rows(large, "E12", "North"), options=options).exception, ended)


@pytest.mark.parametrize("option", ["--vintage", "--on"])
def test_an_option_that_is_no_day_is_refused(tmp_path, option):
    assert "not a day" in str(command(tmp_path, *rows(TEES), options=[option, "2025"]).exception)
