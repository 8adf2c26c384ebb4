"""Files of answers are made once and kept, within a limit."""

from coordinator.console.made_files import MadeFiles


def test_a_file_is_made_once_and_again_only_when_it_had_to_go():
    made, files = [], MadeFiles(most=10)

    def make(name):
        def makes():
            made.append(name)
            return b"x" * 4

        return makes

    for name in ("a", "b", "a", "c", "a", "b"):
        assert files.get("d", name, make(name)) == b"xxxx"
    assert made == ["a", "b", "c", "b"]
    assert files.get("e", "a", make("other")) == b"xxxx"
    assert made[-1] == "other"


def test_a_file_that_is_larger_than_all_that_is_kept_is_given_all_the_same():
    assert MadeFiles(most=1).get("d", "a", lambda: b"xx") == b"xx"


def test_a_file_that_cannot_be_made_is_tried_again():
    files = MadeFiles()

    def fail():
        raise MemoryError

    for _ in range(2):
        try:
            files.get("d", "a", fail)
        except MemoryError:
            continue
        raise AssertionError
    assert files.get("d", "a", lambda: b"x") == b"x"
