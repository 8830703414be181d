"""What is said, and how often, of a dependency that fails."""

import structlog
from uuid_utils.compat import uuid7

from alphapulse.runtime import cache_quotas
from alphapulse.runtime.cache_quotas import CacheQuotas
from alphapulse.runtime.errors import FunctionError, NotFound, Transient
from alphapulse.runtime.problems import as_function_error, is_our_fault
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.settings import Secret, Settings
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.vault.errors import VaultDenied, VaultUnavailable
from alphapulse_local.embedded.process import free_port


def test_a_denial_of_vault_may_pass_and_is_ours_to_look_into() -> None:
    answer = as_function_error(VaultDenied("Vault denies it: GET secret/data/tenants/1"))

    assert isinstance(answer, Transient)
    assert (answer.status, answer.code) == (503, "secret_store_denied")
    assert "tenants/1" not in answer.detail
    assert is_our_fault(answer)


def test_what_a_caller_did_or_an_outage_is_not_ours_to_look_into() -> None:
    answers = [as_function_error(error) for error in (VaultUnavailable("sealed"), NotFound("nothing there"))]

    assert [is_our_fault(answer) for answer in answers] == [False, False]
    assert is_our_fault(FunctionError("an unexpected error"))


async def test_quotas_that_no_database_tells_are_warned_of_once_in_a_while_without_a_traceback() -> None:
    url = f"postgresql://nobody:x@127.0.0.1:{free_port()}/nowhere"
    resources = Resources(Settings.from_environment({}).replace(database_url=Secret(url)))
    quotas = CacheQuotas(resources)

    with structlog.testing.capture_logs() as logs:
        for _ in range(5):
            assert quotas.of(TenantId(uuid7())) is None
            await resources.background.drain()
        quotas._silent_until -= cache_quotas.WARNED_EVERY_SECONDS
        quotas.of(TenantId(uuid7()))
        await resources.background.drain()
    await resources.close()

    assert [(line["event"], line["log_level"]) for line in logs] == [("cache_quota_not_read", "warning")] * 2
    assert not [line for line in logs if "exc_info" in line]
