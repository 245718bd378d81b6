"""`firsttoken demo`: the main job on real sockets, with an answer for each way a stream can go wrong.

Three places: an upstream in a process of its own, a chat app on uvicorn in a thread of its own, and real
clients in another. The main thread starts them, draws, and ends them.
"""

from __future__ import annotations

import argparse
import os
import socket
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

from firsttoken.cli._extras import CLI_PACKAGES, require
from firsttoken.cli._plan import MAX_STREAMS, MIN_SECONDS, Plan
from firsttoken.cli._wire import content_type_of
from firsttoken.errors import ConfigError

_SECONDS: Final = 8.0
_RELAY_SECONDS: Final = 60.0
_FRAME_S: Final = 0.1
_ALWAYS_ON: Final = ("always_on", "parentbased_always_on")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument(
        "--seconds",
        type=float,
        help=f"how long the run takes, at least {MIN_SECONDS:g} (default {_SECONDS:g}); "
        f"with --upstream: may take (default {_RELAY_SECONDS:g})",
    )
    parser.add_argument(
        "--streams", type=int, default=5, help="how many clients, the five roles in turn (default 5)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the scripted text and pace (default 1)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--replay", metavar="FILE", help="send a recorded body: .sse, .ndjson, .json (array), .eventstream"
    )
    source.add_argument(
        "--upstream",
        metavar="URL",
        help="ask a real server that speaks the OpenAI wire, such as http://127.0.0.1:11434/v1",
    )
    parser.add_argument("--model", help="the model to ask for, with --upstream")
    parser.add_argument(
        "--key-env",
        metavar="NAME",
        help="the environment variable with the key for --upstream (default OPENAI_API_KEY)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument(
        "--viewer",
        action=argparse.BooleanOptionalAction,
        help="start a viewer and keep it until Ctrl-C (default: on a terminal, if no collector answers)",
    )


def plan_of(options: argparse.Namespace) -> Plan:
    """Return the plan for the options of the command line.

    Raises: ConfigError: if one of them has a value that is not allowed.
    """
    least = 1.0 if options.upstream else MIN_SECONDS
    seconds = options.seconds or (_RELAY_SECONDS if options.upstream else _SECONDS)
    if not least <= seconds <= 3600:
        raise ConfigError(f"--seconds is between {least:g} and 3600, not {seconds:g}")
    if not 1 <= options.streams <= MAX_STREAMS:
        raise ConfigError(f"--streams is between 1 and {MAX_STREAMS}, not {options.streams}")
    common: dict[str, Any] = {"streams": options.streams, "seconds": seconds, "seed": options.seed}
    if options.upstream:
        if not options.model:
            raise ConfigError("--upstream needs --model NAME")
        url = completions_url(options.upstream)
        if options.key_env:
            common["key_env"] = options.key_env
        return Plan("relay", model=options.model, url=url, **common)
    for name, value in (("--model", options.model), ("--key-env", options.key_env)):
        if value is not None:
            raise ConfigError(f"{name} needs --upstream URL: nobody else is asked for a model")
    if options.replay:
        return Plan("replay", file=_recording(options.replay), **common)
    return Plan("script", model="scripted-1", **common)


def _recording(file: str) -> str:
    """Return the full path of a recorded body that can be sent."""
    path = Path(file)
    if not path.is_file():
        raise ConfigError(f"--replay: there is no file {file}")
    content_type_of(file)  # refuses an ending that no framing has
    if not path.stat().st_size:
        raise ConfigError(f"--replay: {file} is empty")
    return str(path.resolve())


def completions_url(url: str) -> str:
    """Return the URL to post to, given it or the base URL of an API.

    Raises: ConfigError: if it is no http or https URL.
    """
    if not url.startswith(("http://", "https://")):
        from firsttoken.export._endpoint import without_credentials

        raise ConfigError(f"--upstream is an http or https URL, not {without_credentials(url)!r}")
    url = url.rstrip("/")
    return url if url.endswith("/completions") else f"{url}/chat/completions"


def reason_to_refuse(environ: Mapping[str, str]) -> str | None:
    """Return why nothing would be traced with these environment variables; None if all is well."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return "OTEL_SDK_DISABLED is true: nothing would be traced; unset it for the demo"
    sampler = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    if sampler and sampler not in _ALWAYS_ON:
        return f"OTEL_TRACES_SAMPLER is {sampler}: not every stream would be traced; unset it for the demo"
    return None


def main(options: argparse.Namespace) -> int:
    """Run the demo; return 0, or 1 if anything was lost.

    Raises: ConfigError: if an option or the environment does not allow it, or a package is missing.
    """
    require("cli", CLI_PACKAGES)
    plan = plan_of(options)
    if options.json and options.viewer:
        raise ConfigError("--json ends with its document, --viewer with Ctrl-C: only one of them")
    if refusal := reason_to_refuse(os.environ):
        raise ConfigError(refusal)
    return _run(plan, as_json=options.json, viewer=options.viewer)


def wants_viewer(
    said: bool | None, environ: Mapping[str, str], *, is_terminal: bool, is_sent: bool
) -> tuple[bool, str]:
    """Return whether to start a viewer, and what to say of it.

    said: on the command line; None if nothing was.
    is_terminal: whether somebody looks at the output.
    is_sent: whether a collector takes the traces already.
    """
    if said is not None:
        return said, ""
    if is_sent or environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return False, ""
    if not is_terminal or environ.get("CI"):
        return False, "No viewer is started, as nobody seems to look (--viewer starts one)."
    return True, ""


def _run(plan: Plan, *, as_json: bool, viewer: bool | None) -> int:
    # Only now: these load a web framework, an HTTP client and a terminal library.
    from rich.console import Console

    from firsttoken.cli._collector import find_collector
    from firsttoken.cli._report import document, print_head, print_link, print_result
    from firsttoken.cli._screen import Lines, LiveTable, Screen, Silence
    from firsttoken.cli._server import LIVE_PATH, listen, url_of
    from firsttoken.cli._traces import Traces
    from firsttoken.cli._viewer import ViewerProcess

    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 120
    collector, where = find_collector(os.environ)
    starts, why = wants_viewer(
        False if as_json else viewer,
        os.environ,
        is_terminal=console.is_terminal,
        is_sent=collector is not None,
    )
    screen: Screen = (
        Silence() if as_json else LiveTable(console, plan) if console.is_terminal else Lines(console)
    )
    with ExitStack() as stack:
        bound = stack.enter_context(listen())
        own = stack.enter_context(ViewerProcess((url_of(bound) + LIVE_PATH,))) if starts else None
        if own is not None:
            where = f"A viewer takes the traces, and shows streams while they run: {own.url}/"
        places = [each for each in (collector, own.collector if own else None) if each]
        traces = stack.enter_context(Traces(places))
        if not as_json:
            print_head(console, plan, f"{where} {why}".rstrip())
        rows, lost = _measure(plan, traces, screen, bound)
        if as_json:
            print(document(plan, rows, traces, lost))
        else:
            print_result(console, rows, traces, lost)
            print_link(console, rows, traces, waits=own is not None)
        if own is not None:
            # Ctrl-C is how it is meant to end here.
            with suppress(KeyboardInterrupt):
                own.wait()
            console.print()
    return 1 if lost else 0


def _measure(plan: Plan, traces: Any, screen: Any, bound: socket.socket) -> tuple[list[Any], list[str]]:
    """Run the plan; return a row for each stream, and a line for everything that was lost."""
    from firsttoken.cli._audit import losses, whole_outcome
    from firsttoken.cli._rows import Row
    from firsttoken.cli._traces import told

    whole = whole_outcome(plan)
    all_seen, reports = _play(plan, traces, screen, bound)
    spans = traces.collect(expected=plan.streams)
    rows = [
        Row(
            part=seen.part,
            seen=seen,
            told=told(found[0]) if (found := spans.get(seen.part.number)) else None,
            report=reports.get(seen.part.number, {}),
        )
        for seen in all_seen
    ]
    return rows, losses(rows, plan, whole, spans) + traces.flush()


def _play(
    plan: Plan, traces: Any, screen: Any, bound: socket.socket
) -> tuple[list[Any], dict[int, dict[str, Any]]]:
    """Let the clients read; return what they saw and what the upstream reports."""
    from anyio.from_thread import start_blocking_portal

    from firsttoken.cli import chat
    from firsttoken.cli._child import UpstreamProcess
    from firsttoken.cli._clients import Clients
    from firsttoken.cli._server import AppServer

    with UpstreamProcess(plan) as upstream:
        wiring = chat.Wiring(
            upstream=upstream.url,
            model=plan.model,
            content_type=plan.content_type,
            log_every_s=plan.log_every_s,
            log_takes_s=plan.block_s,
            traced=traces.note,
        )
        with AppServer(chat.chat_app(wiring), bound) as server, start_blocking_portal() as portal:
            clients = Clients(plan, server.url)
            with screen:
                screen.show(clients.seen)
                done: Future[None] = portal.start_task_soon(clients.run)
                while not done.done():
                    began_s = time.monotonic()
                    screen.show(clients.seen)
                    # Drawing shares the interpreter with the app: a tenth of the time at most.
                    time.sleep(max(_FRAME_S, 9 * (time.monotonic() - began_s)))
                screen.show(clients.seen)
            done.result()
            _wait_for_reports(plan, upstream.reports)
    return clients.seen, upstream.reports


def _wait_for_reports(plan: Plan, reports: Mapping[int, Any], timeout_s: float = 1.0) -> None:
    """Give the upstream the moment it takes to notice that everybody is gone."""
    deadline_s = time.monotonic() + timeout_s
    with suppress(RuntimeError):  # the reader thread may add one while we look
        while len(reports) < plan.streams and time.monotonic() < deadline_s:
            time.sleep(_FRAME_S / 5)
