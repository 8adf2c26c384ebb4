"""`coordinator flower`: the centre on Flower, with a stock SuperLink."""

import json
import os
import subprocess
from pathlib import Path
from typing import Annotated, Final

import typer

from coordinator.settings import DEFAULT_FILE, Settings, load_settings
from federated.errors import ExitStatus, FederatedError, FileProblem
from federated.flower_bundle import BUNDLE_SHA256, connection_file, write_bundle
from federated.flower_process import QUIET, flower_command, quiet_environment, write_secret
from federated.shell import new_app, output

__all__ = ["app"]

app = new_app("The same coordinator over Flower, with a stock SuperLink.")

_AUTHORITY: Final = "authority.pem"
_PORT: Final = 9092
_SECRET: Final = "executor-secret"  # noqa: S105 - the name of a file

SettingsFile = Annotated[Path, typer.Option("--settings", "-s", help="The settings file.")]
Address = Annotated[str, typer.Option("--superlink", help="Host and port of the SuperLink.")]
Authority = Annotated[
    Path | None,
    typer.Option("--ca-file", help="Authority of the coordinator's certificate; authority.pem beside it if left out."),
]


@app.command("superlink")
def superlink(
    *,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "0.0.0.0",  # noqa: S104 - a server's purpose
    port: Annotated[int, typer.Option("--port", min=1, max=65_535, help="TCP port.")] = _PORT,
    ca_file: Authority = None,
    settings: SettingsFile = DEFAULT_FILE,
) -> None:
    """Run a stock SuperLink with the coordinator's certificate and node authentication, until stopped.

    Example: coordinator flower superlink --port 9092
    """
    read = load_settings(settings)
    home = _home(read)
    arguments = [
        *(flower_command("flower-superlink"), "--host", host, "--port", str(port), "--enable-supernode-auth"),
        *("--ssl-certfile", read.tls.certificate, "--ssl-keyfile", read.tls.key),
        *("--ssl-ca-certfile", str(_authority(read, ca_file))),
        *("--database", str(home / "superlink.db"), "--disable-runtime-dependency-installation"),
        *("--isolation", "process", "--superexec-auth-secret-file", str(home / _SECRET)),
    ]
    write_secret(home / _SECRET, os.urandom)
    os.execve(arguments[0], arguments, quiet_environment(home))  # noqa: S606 - no shell is wanted: signals go to Flower


@app.command("run")
def run(
    *,
    superlink: Address = f"localhost:{_PORT}",
    ca_file: Authority = None,
    ready_file: Annotated[Path | None, typer.Option(help="Write host:port here once analysts can connect.")] = None,
    settings: SettingsFile = DEFAULT_FILE,
) -> None:
    """Start a run of the SuperLink and serve it as coordinator, until stopped (SIGTERM, Ctrl-C or `flwr stop`).

    Example: coordinator flower run --superlink localhost:9092
    """
    os.environ.update(QUIET)
    from coordinator.flower_service import ServedRun, serve_run  # noqa: PLC0415 - after the switches, read on import
    from federated.flower_runtime import Runtime  # noqa: PLC0415 - as above

    read = load_settings(settings)
    home = _home(read)
    write_bundle(home / "app")
    answer = _json(_flwr(read, superlink, ca_file, ["run", str(home / "app"), "--format", "json"]))
    run_id = str(answer.get("run-id", ""))
    if not run_id.isdigit():
        raise FederatedError(f"The SuperLink at {superlink} did not start the run.", remedy="Look at its log.")
    output.print(f"Run {run_id} has started. Councils answer to bundle {BUNDLE_SHA256}.", markup=False)
    runtime = Runtime(address=superlink, secret=_read(home / _SECRET), ca=_read(_authority(read, ca_file)))
    serve_run(read, runtime, ServedRun(run_id=int(run_id), bundle=BUNDLE_SHA256), ready_file=ready_file)


@app.command("flwr", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def flwr(
    context: typer.Context,
    *,
    superlink: Address = f"localhost:{_PORT}",
    ca_file: Authority = None,
    settings: SettingsFile = DEFAULT_FILE,
) -> None:
    """Run Flower's own command on this coordinator's SuperLink: `supernode register`, `ls`, `log`, `stop`.

    Example: coordinator flower flwr supernode register flower-node.key.pub
    """
    output.print(_flwr(load_settings(settings), superlink, ca_file, context.args).rstrip(), markup=False)


def _flwr(settings: Settings, address: str, ca_file: Path | None, arguments: list[str]) -> str:
    home = _home(settings)
    connection_file(home, address=address, ca_file=_authority(settings, ca_file))
    done = subprocess.run(
        [flower_command("flwr"), *arguments],
        env=quiet_environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != ExitStatus.OK:
        lines = [line.strip(" │╭╮╰╯─") for line in (done.stderr + done.stdout).splitlines()]
        raise FederatedError(
            f"'flwr {arguments[0] if arguments else ''}' failed: {' '.join(line for line in lines if line)[-500:]}",
            remedy=f"Check that the SuperLink runs at {address}.",
        )
    return done.stdout


def _json(text: str) -> dict[str, object]:
    """The JSON object that Flower prints, which may stand after lines for people."""
    try:
        found = json.loads(text[text.index("{") :])
    except ValueError as error:
        raise FederatedError(f"'flwr run' said what is not understood: {text[:200]}") from error
    return found if isinstance(found, dict) else {}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileProblem(
            f"{path}: the file cannot be read ({error.strerror}).",
            remedy="Start the SuperLink on this machine with 'coordinator flower superlink'.",
        ) from error


def _home(settings: Settings) -> Path:
    """Flower's own folder, inside the coordinator's state."""
    home = Path(settings.state) / "flower"
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise FileProblem(f"{home}: the folder cannot be made ({error.strerror}).") from error
    return home


def _authority(settings: Settings, given: Path | None) -> Path:
    path = given or Path(settings.tls.certificate).with_name(_AUTHORITY)
    if not path.exists():
        raise FileProblem(f"{path}: there is no such file.", remedy="Give the certificate's authority with --ca-file.")
    return path
