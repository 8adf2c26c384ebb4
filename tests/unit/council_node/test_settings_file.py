import re
from pathlib import Path

import pytest

from council_node.settings import LogLevel, Settings, check_files, read_settings, template, write_template
from federated.errors import FileProblem
from federated.keys import make_key, public_line

KEYS = [public_line(make_key(lambda n, s=seed: bytes([s]) * n).public) for seed in (1, 2, 3, 4)]


def filled(**changes):
    """The template as a council would fill it in."""
    text = template(council_id="E06000001", name="Hartlepool", coordinator="pilot", address="coordinator.example:8443")
    for key in KEYS:
        text = re.sub(r'"FILL IN: ed25519[^"]*"', key, text, count=1)
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def write(tmp_path, text):
    path = tmp_path / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_filled_in_template_is_read(tmp_path):
    settings = read_settings(write(tmp_path, filled()))
    assert settings.council.id == "E06000001"
    assert settings.coordinator.id == "pilot"
    assert settings.coordinator.address == "coordinator.example:8443"
    assert settings.coordinator.ca_file is None
    assert len(settings.trust.roster) == 2
    assert (len(settings.trust.agreement), settings.trust.agreement_threshold) == (2, 2)
    assert settings.log_level is LogLevel.INFO
    assert settings.limits.memory_mib == 300


def test_relative_paths_start_at_the_settings_file(tmp_path, monkeypatch):
    folder = tmp_path / "node"
    folder.mkdir()
    text = filled().replace("state: state", "state: /var/lib/node").replace("# ca_file", "ca_file")
    path = write(folder, text)
    monkeypatch.chdir(tmp_path)
    settings = read_settings(Path("node/settings.yaml"))
    assert settings.keys.identity == folder / "identity.pem"
    assert settings.data == {"case": folder / "case-mapping.yaml"}
    assert settings.coordinator.ca_file == folder / "coordinator-ca.pem"
    assert settings.state == Path("/var/lib/node")
    assert settings.ledger_file == Path("/var/lib/node/ledger.db")
    assert settings == read_settings(path)


def test_an_unfilled_template_is_refused_with_the_line(tmp_path):
    path = tmp_path / "settings.yaml"
    write_template(path, council_id="E06000001")
    with pytest.raises(FileProblem, match=r"settings\.yaml, line 7: council\.name is still to be filled in"):
        read_settings(path)


def test_a_template_never_overwrites(tmp_path):
    path = tmp_path / "settings.yaml"
    write_template(path, name="King's Lynn: 'west'")
    assert "King''s Lynn" in path.read_text()
    before = path.read_bytes()
    with pytest.raises(FileProblem, match="already"):
        write_template(path)
    assert path.read_bytes() == before
    with pytest.raises(FileProblem, match="cannot be written"):
        write_template(tmp_path / "absent" / "settings.yaml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("settings: 1", "settings: 2", r"line 3: settings must be 1"),
        ("state: state", "stat: state", r"state is missing"),
        ("log_level: info", "log_level: loud", r"line \d+: log_level must be"),
        ("log_level: info", "colour: red", r"line \d+: colour is not a field"),
        ("  threads: 2", "  threads: 0", r"line \d+: limits\.threads must be at least 1"),
        ("  threads: 2", "  threads: '2'", r"limits\.threads must be a whole number"),
        ("  threads: 2", "  threads: 2\n  threads: 3", r"twice"),
        ("roster_threshold: 2", "roster_threshold: 1", r"trust\.roster_threshold must be at least 2"),
        (
            "agreement_threshold: 2",
            "agreement_threshold: 3",
            r"agreement_threshold is 3, but agreement_keys has only 2",
        ),
        ("'coordinator.example:8443'", "coordinator.example", r"coordinator\.address"),
        ("case: case-mapping.yaml", "Case: x.yaml", r"data\.Case"),
        ("agreements: agreements", "agreements: state", r"two folders"),
        ("'E06000001'", "'two words'", r"line 6: council\.id cannot be used"),
        ("council:", "council: [", r"not valid YAML"),
    ],
)
def test_a_fault_is_one_sentence_with_line_and_setting(tmp_path, old, new, said):
    with pytest.raises(FileProblem, match=said) as caught:
        read_settings(write(tmp_path, filled(**{old: new})))
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("named", ["  agreement_threshold: 2\n", ""])
def test_one_person_for_agreements_is_only_what_the_settings_say(tmp_path, named):
    one = filled(**{f"    - {KEYS[3]}\n": "", "  agreement_threshold: 2\n": named})
    said = r"line \d+: trust agreement_threshold is 2 .* write agreement_threshold: 1 if one person alone may change"
    with pytest.raises(FileProblem, match=said):
        read_settings(write(tmp_path, one))
    explicit = one.replace("keys:\n  identity", "  agreement_threshold: 1\n\nkeys:\n  identity")
    explicit = explicit.replace("  agreement_threshold: 2\n", "")
    assert read_settings(write(tmp_path, explicit)).trust.one_person_decides


def test_one_roster_key_twice_is_not_two_people(tmp_path):
    with pytest.raises(FileProblem, match="same key twice"):
        read_settings(write(tmp_path, filled(**{KEYS[1]: KEYS[0]})))


def test_a_missing_or_enormous_file_is_named(tmp_path):
    with pytest.raises(FileProblem, match="cannot be read: No such file"):
        read_settings(tmp_path / "absent.yaml")
    with pytest.raises(FileProblem, match="larger than"):
        read_settings(write(tmp_path, "#" * 2_000_000))


def complete(tmp_path):
    settings = read_settings(write(tmp_path, filled().replace("# ca_file", "ca_file")))
    for path in (settings.keys.identity, settings.policy, settings.coordinator.ca_file, *settings.data.values()):
        path.write_text("x")
    for path in (settings.state, settings.agreements):
        path.mkdir()
    return settings


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("identity.pem", "keys.identity"),
        ("policy.yaml", "policy"),
        ("coordinator-ca.pem", "coordinator.ca_file"),
        ("case-mapping.yaml", "data.case"),
        ("state", "state"),
        ("agreements", "agreements"),
    ],
)
def test_what_the_settings_name_must_be_there(tmp_path, name, setting):
    settings = complete(tmp_path)
    check_files(settings)
    gone = tmp_path / name
    gone.rmdir() if gone.is_dir() else gone.unlink()
    with pytest.raises(FileProblem, match=re.escape(f"The setting {setting} names")):
        check_files(settings)


def test_a_proxy_password_is_not_in_the_repr(tmp_path):
    text = filled().replace("  # proxy: http://proxy", "  proxy: http://me:pa55word@proxy")
    settings = read_settings(write(tmp_path, text))
    assert "pa55word" in settings.coordinator.proxy
    assert "pa55word" not in repr(settings)


def test_the_template_shows_every_setting():
    def names(model, prefix=""):
        for name, field in model.model_fields.items():
            yield name
            if hasattr(field.annotation, "model_fields"):
                yield from names(field.annotation)

    text = template()
    assert [name for name in names(Settings) if not re.search(rf"^[ #]*{name}:", text, re.MULTILINE)] == []
