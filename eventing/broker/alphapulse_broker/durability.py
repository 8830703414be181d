"""Says when the Redis at hand cannot keep what the broker promises."""

from alphapulse_broker.event_log import EventLog


async def log_facts(log: EventLog, section: str) -> dict[str, str]:
    """Return a section of what Redis says of itself; raises LogUnavailable when it does not answer."""
    text = (await log.command("INFO", section)).decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


async def durability_problems(log: EventLog) -> list[str]:
    """Return what is wrong with the server's settings, in an operator's words.

    Raises
    ------
    LogUnavailable
        Redis did not answer.
    """
    settings = {**await log_facts(log, "persistence"), **await log_facts(log, "memory")}
    problems = []
    if settings.get("aof_enabled") == "0":
        problems.append("appendonly is off: a restart of redis loses accepted events")
    policy = settings.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        problems.append(f"maxmemory-policy is {policy}: redis may evict accepted events; set noeviction")
    return problems
