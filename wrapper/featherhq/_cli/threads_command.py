"""`featherhq thread`."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from featherhq._cli.output import output
from featherhq._cli.records import print_threads, thread_data, thread_lines
from featherhq._cli.settings import agent_option, connection, connects, mapping, needed_agent, pairs_options
from featherhq.errors import UsageError


@click.group(no_args_is_help=False)
def thread() -> None:
    """Make, find, change and close threads."""


@thread.command("list")
@click.option("--agent", metavar="ID", help="Only threads with this agent.")
@click.option("--open/--closed", "is_active", default=None, help="Only open threads, or only closed ones.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Print no more threads than this.")
@connects
@click.pass_context
def list_(context: click.Context, agent: str | None, is_active: bool | None, limit: int | None) -> None:  # noqa: FBT001
    """Print the threads of your organization, in Feather's order.

    On a terminal it prints a table. Else it prints a line for each thread, with tabs between id, state, time and agent.
    """
    out = output(context)
    with connection(context).client() as feather:
        found = (thread_data(one) for one in islice(feather.threads.list(agent_id=agent, is_active=is_active), limit))
        if not out.as_json:
            print_threads(found)
            return
        for data in found:
            out.result("", data)


@thread.command
@pairs_options
@agent_option
@connects
@click.pass_context
def create(context: click.Context, /, agent: str | None, **given: Any) -> None:
    """Make a thread, and print its id."""
    agent = needed_agent(agent)
    maps = _maps(given)
    with connection(context).client() as feather:
        made = feather.threads.create(agent, **maps)
        output(context).result(made.id, thread_data(made))


@thread.command
@click.argument("thread_id", metavar="THREAD")
@connects
@click.pass_context
def get(context: click.Context, thread_id: str) -> None:
    """Print a thread."""
    with connection(context).client() as feather:
        data = thread_data(feather.threads.get(thread_id))
        output(context).result(thread_lines(data), data)


@thread.command
@click.argument("thread_id", metavar="THREAD")
@pairs_options
@connects
@click.pass_context
def update(context: click.Context, /, thread_id: str, **given: Any) -> None:
    """Add metadata and variables to a thread, or replace their values. Print the thread."""
    maps = _maps(given)
    if not any(maps.values()):
        raise UsageError("there is nothing to update", hint="Give --metadata NAME=VALUE or --variable NAME=VALUE.")
    with connection(context).client() as feather:
        data = thread_data(feather.thread(thread_id).update(**maps))
        output(context).result(thread_lines(data), data)


@thread.command
@click.argument("thread_id", metavar="THREAD")
@click.option("--reason", metavar="TEXT", help="Why.")
@connects
@click.pass_context
def close(context: click.Context, thread_id: str, reason: str | None) -> None:
    """Close a thread. It then takes no more messages. Print the thread."""
    with connection(context).client() as feather:
        data = thread_data(feather.thread(thread_id).close(reason))
        output(context).result(thread_lines(data), data)


def _maps(given: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": mapping("--metadata", given["metadata"]), "variables": mapping("--variable", given["variable"])}
