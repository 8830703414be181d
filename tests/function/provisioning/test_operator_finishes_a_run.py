"""A store that refuses for good to give something up: an operator ends the run."""

import json
import os
import subprocess
import sys
import uuid
from typing import Any

import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.provisioning import operator
from alphapulse.provisioning.compensation import undo
from alphapulse.provisioning.steps import Step
from alphapulse.provisioning.sweep import request_deletion
from alphapulse.runtime.errors import Invalid
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import continue_trace
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.states import TenantStatus, change_status
from alphapulse.tenancy.tenant import TenantId
from tests.function.conftest import Functions
from tests.function.provisioning import faults
from tests.function.provisioning.conftest import SignUps
from tests.function.provisioning.courier import Courier
from tests.function.provisioning.faults import ALWAYS, Times
from tests.function.provisioning.inspection import ACCOUNT, REGISTRY, Stores
from tests.processes import ROOT


@pytest.fixture
def resources(functions: Functions) -> Resources:
    """Those of the function that undoes."""
    return functions.resources("provision_compensate")


@pytest.fixture
async def stuck(
    monkeypatch: pytest.MonkeyPatch, resources: Resources, sign_ups: SignUps, courier: Courier
) -> TenantId:
    """A tenant whose undoing the payment service refuses for good."""
    faults.have(monkeypatch, Step.VERIFY, Times(ALWAYS, faults.refused))

    async def never(_customer_id: str) -> None:
        raise Invalid("this customer is kept for the tax office")

    monkeypatch.setattr(resources.billing, "delete_customer", never)
    tenant, event = await sign_ups.new()
    courier.retries = 1
    await courier.carry(event)
    assert (await sign_ups.run(tenant))["status"] == "compensating"
    return tenant


async def test_what_is_left_is_shown_and_nothing_changed_before_it_is_confirmed(
    resources: Resources, sign_ups: SignUps, stores: Stores, stuck: TenantId
) -> None:
    run, before = await sign_ups.run(stuck), await stores.of(stuck, but=ACCOUNT)

    lines = await operator.finish(resources, run["id"], reason="kept", confirmed=False)

    assert lines[0] == f"billing: {before['stripe'][0]}"
    assert f"policy tenant-{stuck}" in lines[2]
    assert await stores.of(stuck, but=ACCOUNT) == before
    assert dict(await sign_ups.run(stuck)) == dict(run)


async def test_a_confirmed_finish_empties_what_it_can_and_records_who_why_and_what_is_left(
    resources: Resources, sign_ups: SignUps, stores: Stores, stuck: TenantId
) -> None:
    run_id = (await sign_ups.run(stuck))["id"]

    await operator.finish(resources, run_id, reason="kept for the tax office", confirmed=True)

    run, left = await sign_ups.run(stuck), await stores.of(stuck, but=ACCOUNT)
    (entry,) = await sign_ups.fetch(
        stuck,
        "SELECT actor_type, details FROM audit_log WHERE tenant_id = $1 AND action = 'provisioning.finished'",
    )
    details: dict[str, Any] = json.loads(entry["details"])
    assert (await sign_ups.status(stuck), run["status"], run["recheck_at"]) == ("failed", "failed", None)
    assert set(left) == {"stripe"}
    assert (entry["actor_type"], details["reason"]) == ("operator", "kept for the tax office")
    assert details["stores"][0] == {
        "store": "billing",
        "removed": {},
        "left": left["stripe"],
        "error": "this customer is kept for the tax office",
    }


async def test_a_deletion_a_store_refuses_is_finished_too(
    monkeypatch: pytest.MonkeyPatch, resources: Resources, sign_ups: SignUps, stores: Stores, active: TenantId
) -> None:
    async def never(_customer_id: str) -> None:
        raise Invalid("this customer is kept for the tax office")

    monkeypatch.setattr(resources.billing, "delete_customer", never)
    scope = Scope(resources=resources, tenant_id=active, trace=continue_trace(None))
    async with scope.platform_transaction() as work:
        run_id = await request_deletion(work)
        await change_status(work.session, active, TenantStatus.CANCELLED, now=work.now)
    with pytest.raises(Invalid):
        await undo(scope, run_id, failed=None, reason=None)

    await operator.finish(resources, run_id, reason="kept for the tax office", confirmed=True)

    assert (await sign_ups.status(active), (await sign_ups.run(active))["status"]) == ("deleted", "done")
    assert set(await stores.of(active, but=REGISTRY)) == {"stripe"}


async def test_a_run_that_is_not_being_undone_or_unknown_is_refused(
    resources: Resources, sign_ups: SignUps
) -> None:
    tenant, _ = await sign_ups.new()

    for run_id, why in (((await sign_ups.run(tenant))["id"], "is running"), (uuid.uuid4(), "no such run")):
        with pytest.raises(operator.Refused, match=why):
            await operator.finish(resources, run_id, reason="why not", confirmed=True)


async def test_the_command_lists_open_runs_with_the_errors_of_their_steps(
    database: DatabaseUrls, sign_ups: SignUps, stuck: TenantId
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alphapulse.provisioning.operator", "runs"],
        env=os.environ | {"FUNCTION": "provision_compensate", "PLATFORM_DATABASE_URL": database.platform},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    number = next(number for number, line in enumerate(lines) if str(stuck) in line)
    assert lines[number].startswith(str((await sign_ups.run(stuck))["id"]))
    assert "verify: the store will never do this" in " ".join(lines[number + 1 : number + 3])
