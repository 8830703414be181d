"""What an operator does about a run that cannot end: `python -m alphapulse.provisioning.operator`.

    runs                                      list the runs that have not ended, with their steps' errors
    finish RUN --reason TEXT                  show what is left of a run whose undoing does not end
    finish RUN --reason TEXT --confirm        empty the stores that can be emptied, and end the run; what is
                                              left stands in its report and in the audit log

Settings are those of the function `provision_compensate`. What is left has to be removed by hand: nobody
looks for it again.
"""

import argparse
import asyncio
import getpass
import sys
import uuid
from collections.abc import Awaitable
from typing import Any, TypeVar

from alphapulse.data import audit
from alphapulse.data.audit import AuditEntry
from alphapulse.data.errors import DatabaseUnavailable
from alphapulse.provisioning import runs
from alphapulse.provisioning.compensation import end
from alphapulse.provisioning.runs import Run, sql
from alphapulse.provisioning.steps import Step
from alphapulse.provisioning.stores import STORES, Store
from alphapulse.runtime.errors import FunctionError
from alphapulse.runtime.problems import as_function_error
from alphapulse.runtime.resources import NotConfigured, Resources
from alphapulse.runtime.settings import InvalidSetting, Settings
from alphapulse.runtime.trace import continue_trace
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.states import TransitionRefused
from alphapulse.tenancy.tenant import TenantId

_ERRORS = (FunctionError, TransitionRefused, NotConfigured, InvalidSetting, DatabaseUnavailable)
T = TypeVar("T")


class Refused(Exception):
    """The command cannot be carried out; the message says why."""


async def open_runs(resources: Resources) -> list[str]:
    """Return a line per run that has not ended, and one per error of its steps."""
    lines = []
    async with resources.platform.session() as session:
        async for row in sql.open_runs(session):
            since = f"{row['created_at']:%Y-%m-%d %H:%M:%S}"
            lines.append(
                f"{row['id']}  tenant {row['tenant_id']}  {row['kind']}  {row['status']}  {since} UTC"
            )
            lines += [f"    {error}" for error in (row["error"], *row["step_errors"]) if error]
    return lines or ["every run has ended"]


async def finish(resources: Resources, run_id: uuid.UUID, *, reason: str, confirmed: bool) -> list[str]:
    """End a run that is being undone, or show what would be left of it.

    Parameters
    ----------
    reason
        Why, for the audit log.
    confirmed
        False changes nothing.

    Returns
    -------
    list of str
        What each store holds.

    Raises
    ------
    Refused
        There is no such run, or it is not being undone.
    Transient
        Somebody is working on it at this moment.
    """
    async with resources.platform.session() as session:
        tenant_id = await sql.tenant_of_run(session, run_id=run_id)
    if tenant_id is None:
        raise Refused("there is no such run")
    scope = Scope(resources=resources, tenant_id=TenantId(tenant_id), trace=continue_trace(None))
    async with scope.platform_transaction() as work:
        run = await runs.locked(work, run_id)
        if run.status != "compensating":
            raise Refused(f"the run is {run.status}; only one whose undoing has begun can be finished")
        stores = [await _asked(work, run, store, remove=confirmed) for store in STORES]
        if confirmed:
            await _end(work, run, stores, reason=reason)
    return [f"{part['store']}: {', '.join(part['left']) or 'nothing is left'}" for part in stores]


async def _asked(work: TenantWork, run: Run, store: Store, *, remove: bool) -> dict[str, Any]:
    """Return what a store holds, having tried to empty it; one that refuses keeps no other from its turn."""
    removed: dict[str, Any] | None = {}
    refusal = silence = None
    if store.step is Step.DATABASE:
        # Its errors end the transaction: without it nothing could be recorded.
        if remove:
            removed = await store.remove(work, run)
        left: list[str] | None = await store.left(work, run)
    else:
        if remove:
            removed, refusal = await _or_why(store.remove(work, run))
        left, silence = await _or_why(store.left(work, run))
    if silence is not None:
        left = [f"cannot be asked ({silence})"]
    part = {"store": store.step, "removed": removed or {}, "left": left or []}
    return part if refusal is None else part | {"error": refusal}


async def _or_why(asked: Awaitable[T]) -> tuple[T | None, str | None]:
    try:
        return await asked, None
    except DatabaseUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a store says, the operator must get past it
        answer = as_function_error(error)
        return None, answer.detail if type(answer) is not FunctionError else type(error).__name__


async def _end(work: TenantWork, run: Run, stores: list[dict[str, Any]], *, reason: str) -> None:
    failed = run.next_step if run.kind == "provision" else None
    why = run.steps[failed].error if failed else None
    report = {"stores": stores, "checked_at": work.now.isoformat()}
    # Looked for again, what is left would be refused again.
    await end(work, run, report, failed=failed, reason=why, recheck_at=None)
    entry = AuditEntry(
        actor_type="operator",
        actor_id=getpass.getuser(),
        action="provisioning.finished",
        resource_type="provisioning_run",
        resource_id=str(run.id),
        details={"reason": reason, "stores": stores},
    )
    await audit.append(work.session, work.tenant_id.value, entry)


async def _run(options: argparse.Namespace, resources: Resources) -> list[str]:
    try:
        if options.command == "runs":
            return await open_runs(resources)
        lines = await finish(resources, options.run, reason=options.reason, confirmed=options.confirm)
        said = "the run has ended" if options.confirm else "nothing was changed; --confirm ends the run"
        return [*lines, said]
    finally:
        await resources.close()


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must say something")
    return text.strip()


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m alphapulse.provisioning.operator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("runs")
    finishing = commands.add_parser("finish")
    finishing.add_argument("run", type=uuid.UUID)
    finishing.add_argument("--reason", type=_reason, required=True)
    finishing.add_argument("--confirm", action="store_true")
    options = parser.parse_args(arguments)
    try:
        resources = Resources(Settings.from_environment())
        print(*asyncio.run(_run(options, resources)), sep="\n")  # noqa: T201 - a command line
    except (Refused, *_ERRORS) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
