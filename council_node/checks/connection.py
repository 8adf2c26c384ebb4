"""Whether the coordinator can be reached: the very connection the node would open, up to the point of signing.

The greeting stops before this council proves its key, so that a node that is running keeps its connection, and nothing
is signed for a check.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

import grpc

from council_node.checks.findings import Area, Finding, Verdict, attempt
from council_node.link_channel import NO_PROXY, LinkSettings, explain, open_channel
from council_node.link_session import NodeStream, open_stream
from council_node.settings import Settings
from federated.errors import TransportError
from protocols.identifiers import CouncilId
from protocols.wire.council_link_pb2 import CoordinatorFrame, Hello, NodeFrame
from protocols.wire.handshake import LINK_VERSION

__all__ = ["NotListedYet", "check_connection", "greet", "judge_greeting"]

PATIENCE_S: Final = 15.0
PROXY_VARIABLES: Final = ("grpc_proxy", "https_proxy", "http_proxy")
"""Where gRPC looks for a proxy, in its order."""
NOT_LISTED: Final = "is not in the coordinator's current roster"
"""How a coordinator turns away a council that the list of councils does not name yet: it was reached all the same."""


def check_connection(settings: Settings, link: LinkSettings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Connect to the coordinator and hear its name.

    Args:
        settings: Of the node.
        link: How to reach the coordinator.
        environment: Variables of this process, for the proxy.
    """
    yield _proxy(link, environment)
    yield _authorities(settings)
    yield judge_greeting(settings, link, lambda: asyncio.run(greet(link, CouncilId(settings.council.id))))


def _proxy(link: LinkSettings, environment: Mapping[str, str]) -> Finding:
    if link.proxy == NO_PROXY:
        said = "No proxy is used, because the settings say `direct`."
    elif link.proxy is not None:
        said = f"The proxy of the settings is used: {_without_password(link.proxy)}."
    else:
        found = next((environment[name] for name in PROXY_VARIABLES if environment.get(name)), None)
        said = f"The computer's own proxy is used: {_without_password(found)}." if found else "There is no proxy."
    return Finding(area=Area.CONNECTION, check="proxy", verdict=Verdict.GOOD, said=said)


def _without_password(proxy: str) -> str:
    scheme, separator, rest = proxy.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _authorities(settings: Settings) -> Finding:
    own = settings.coordinator.ca_file
    said = "The public certificate authorities are trusted." if own is None else "Only this authority is trusted."
    return Finding(
        area=Area.CONNECTION,
        check="authorities",
        verdict=Verdict.GOOD,
        said=said,
        where="" if own is None else str(own),
    )


def judge_greeting(settings: Settings, link: LinkSettings, call: Callable[[], str]) -> Finding:
    """What came of greeting the coordinator.

    Args:
        settings: Of the node.
        link: How to reach it.
        call: Does it, as `greet` says.
    """
    try:
        return attempt(Area.CONNECTION, "coordinator", lambda: _heard(settings, call()), where=link.address)
    except NotListedYet:
        return Finding(
            area=Area.CONNECTION,
            check="coordinator",
            verdict=Verdict.LOOK,
            where=link.address,
            said="The coordinator was reached over TLS; its list of councils does not name this council yet.",
            remedy="Enrol (`council-node enrol`), read the fingerprint out by telephone, and wait for the next list.",
        )


class NotListedYet(Exception):
    """The coordinator answered, and does not know this council."""


def _heard(settings: Settings, calls_itself: str) -> str:
    if calls_itself != settings.coordinator.id:
        raise TransportError(
            f"The coordinator calls itself '{calls_itself[:64]}'; the settings say '{settings.coordinator.id}'.",
            remedy="Check the address; if it is right, ask for the roster to be compared by telephone.",
        )
    return f"The coordinator '{calls_itself}' answers over TLS, with a certificate that is trusted and for its name."


async def greet(link: LinkSettings, council: CouncilId) -> str:
    """Open the link, say who we are, hear who the coordinator says it is, and leave without proving anything.

    Args:
        link: How to reach the coordinator.
        council: This council.

    Returns:
        The coordinator's id, as it says.

    Raises:
        TransportError: It cannot be reached, is not to be trusted, or is no coordinator.
        FileProblem: The settings cannot be used.
        NotListedYet: It was reached, and turned this council away because its list does not name it.
    """
    patient = replace(link, open_s=min(link.open_s, PATIENCE_S))
    async with open_channel(patient) as channel:
        stream = open_stream(channel)
        try:
            async with asyncio.timeout(patient.open_s):
                frame = await _first_frame(stream, council)
        except grpc.aio.AioRpcError as problem:
            if NOT_LISTED in (problem.details() or ""):
                raise NotListedYet from problem
            raise explain(problem, patient) from problem
        except TimeoutError as problem:
            raise TransportError(
                f"The coordinator at {link.address} did not answer within {patient.open_s:g} s.",
                remedy="Check host, port and proxy, and ask whether a firewall lets this computer out to it.",
            ) from problem
        finally:
            stream.cancel()
    if not isinstance(frame, CoordinatorFrame) or frame.WhichOneof("body") != "challenge":
        raise TransportError(f"What answers at {link.address} is not a coordinator.", remedy="Check host and port.")
    return str(frame.challenge.coordinator_id)


async def _first_frame(stream: NodeStream, council: CouncilId) -> object:
    with contextlib.suppress(asyncio.InvalidStateError):  # reading then raises the status the stream ended with
        await stream.write(NodeFrame(hello=Hello(versions=(LINK_VERSION,), council_id=council)))
    return await stream.read()
