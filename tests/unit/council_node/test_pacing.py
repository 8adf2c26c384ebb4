"""Replies for which the extract was opened leave on a schedule; on a clock of the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from council_node.pacing import OPENS_THE_EXTRACT, leaves_at, paced
from protocols.wire.link_message import REPLIES, Kind, LinkMessage

MS = 1_000_000
STEP_MS = 250
instants = st.integers(min_value=0, max_value=2**63)
spans = st.integers(min_value=0, max_value=10**15)


class Clock:
    """Time that passes by sleeping and working alone."""

    def __init__(self):
        self.now = 17 * MS

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += max(1, round(seconds * 1e9))


class Node:
    """Works for so long on each request, and notes when it began."""

    def __init__(self, *works_ms, fails=False, step_ms=STEP_MS):
        self.clock = Clock()
        self.works = list(works_ms)
        self.fails = fails
        self.began = []
        self.log = []
        self.answer = paced(
            self._work,
            step_ms=step_ms,
            log=lambda event, fields: self.log.append((event, dict(fields))),
            clock=self.clock,
            sleep=self.clock.sleep,
        )

    def _work(self, request):
        self.began.append(self.clock.now)
        self.clock.now += round(self.works.pop(0) * MS)
        if self.fails:
            raise OSError("no such file")
        return b"reply"

    def took_ms(self, request):
        """How long until the reply to a request leaves, or until it fails."""
        begun = self.clock.now
        if self.fails:
            with pytest.raises(OSError):
                self.answer(request)
        else:
            assert self.answer(request) == b"reply"
        return (self.clock.now - begun) / MS


def request(kind):
    return LinkMessage(kind=kind, reference=bytes(32), payload=b"").encode()


SHARES = request(Kind.SHARES)


@given(instants, spans, st.integers(min_value=1, max_value=10**12))
def test_a_reply_leaves_at_the_first_step_at_which_it_is_there(begun, took, step):
    leaves = leaves_at(begun, begun + took, step)
    steps, rest = divmod(leaves - begun, step)
    assert rest == 0
    assert steps >= 1
    assert leaves >= begun + took
    assert steps == 1 or leaves - step < begun + took


@pytest.mark.parametrize(
    ("work_ms", "leaves_ms"), [(0, 250), (1, 250), (249, 250), (250, 250), (251, 500), (990, 1000)]
)
def test_work_within_the_same_step_is_answered_at_the_same_time(work_ms, leaves_ms):
    assert Node(work_ms).took_ms(SHARES) == leaves_ms
    assert Node(work_ms, fails=True).took_ms(SHARES) == leaves_ms


def test_without_steps_the_time_tells_the_work():
    assert Node(12, step_ms=0).took_ms(SHARES) == 12


@pytest.mark.parametrize("kind", sorted(REPLIES))
def test_requests_that_open_the_extract_wait_and_others_do_not(kind):
    assert Node(3).took_ms(request(kind)) == (STEP_MS if kind in OPENS_THE_EXTRACT else 3)


def test_what_is_no_message_does_not_wait():
    assert Node(3).took_ms(b"no message") == 3


@pytest.mark.parametrize("work_ms", [1, 120, 249])
def test_what_comes_behind_is_begun_when_the_reply_has_left(work_ms):
    """Else the time of its own reply would tell how long the counting took."""
    node = Node(work_ms, 4)
    begun = node.clock.now
    node.took_ms(SHARES)
    node.took_ms(request(Kind.BUDGET_REQUEST))
    assert (node.began[1] - begun) / MS == STEP_MS


def test_the_log_says_when_a_step_was_too_short():
    node = Node(250, 900)
    node.took_ms(SHARES)
    assert node.log == []
    node.took_ms(SHARES)
    assert node.log == [("reply_took_steps", {"steps": 4})]


def test_a_sleep_that_ends_early_is_not_the_end():
    clock = Clock()
    answer = paced(
        lambda _request: b"reply",
        step_ms=STEP_MS,
        log=lambda *_: None,
        clock=clock,
        sleep=lambda seconds: clock.sleep(seconds / 2),
    )
    begun = clock.now
    answer(SHARES)
    assert clock.now - begun >= STEP_MS * MS
