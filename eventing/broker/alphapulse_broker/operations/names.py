"""Names of triggers: those of the table in force, and those that left entries behind."""

from alphapulse_broker.errors import NoTriggerTable, UnknownTrigger
from alphapulse_broker.event_log import EventLog
from alphapulse_broker.triggers import TriggerTable


async def table_in_force(log: EventLog) -> TriggerTable:
    """Return the published table; raises NoTriggerTable when there is none."""
    found = await log.published()
    if found is None:
        raise NoTriggerTable("no trigger table has been published")
    return TriggerTable.from_json(found[1])


async def leftovers(log: EventLog, table: TriggerTable) -> list[str]:
    """Return triggers that are not in the table any more and still have entries, sorted."""
    ever = {name.decode() for name in await log.command("SMEMBERS", log.keys.names)}
    gone = sorted(ever - set(table.names))
    surveys = [(name, await log.survey(name)) for name in gone]
    return [name for name, survey in surveys if survey.undelivered or survey.parked]


async def all_names(log: EventLog) -> list[str]:
    """Return the names of the table's triggers and of those that left entries behind, sorted."""
    table = await table_in_force(log)
    return sorted([*table.names, *await leftovers(log, table)])


async def known(log: EventLog, trigger: str) -> str:
    """Return the name; raises UnknownTrigger when the broker has no such trigger and no entry of one."""
    survey = await log.survey(trigger)
    if survey.undelivered or survey.parked or trigger in (await table_in_force(log)).by_name:
        return trigger
    raise UnknownTrigger(f"there is no trigger {trigger}")
