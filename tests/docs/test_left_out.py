"""What SECURITY.md says of the tests that `make test` leaves out is read from their marks."""

import pytest

from tests.docs import left_out

WHOLE = "tests/e2e/test_network_faults.py::test_dozens_of_questions_under_random_faults_of_the_network"
IN_PART = "tests/canary/test_canary_logs.py::test_no_case_value_in_any_log_error_dump_or_folder"
WALK = "tests/canary/test_canary_processes.py::test_no_sum"
ALWAYS = "tests/docs/test_security_table.py::test_every_module_and_test_is_there"


def test_a_test_that_no_run_of_every_day_has_is_refused(monkeypatch):
    monkeypatch.setattr(left_out, "_named", lambda: iter([ALWAYS, WHOLE]))
    with pytest.raises(ValueError, match="run in no `make test`"):
        left_out.in_part()


def test_files_and_tests_are_found_by_their_marks(monkeypatch):
    monkeypatch.setattr(left_out, "_named", lambda: iter([ALWAYS, IN_PART]))
    assert left_out.in_part() == [IN_PART]
    assert left_out.walks() == [IN_PART]


def test_of_a_file_that_runs_in_its_turn_whole_the_file_is_named(monkeypatch):
    monkeypatch.setattr(left_out, "_named", lambda: iter([ALWAYS, WALK]))
    assert left_out.walks() == [WALK.partition("::")[0]]
