"""Says when the Redis at hand cannot keep what the broker promises."""

from alphapulse_broker.event_log import EventLog


async def durability_problems(log: EventLog) -> list[str]:
    """Return what is wrong with the server's settings, in an operator's words.

    Raises
    ------
    LogUnavailable
        Redis did not answer.
    """
    settings: dict[str, str] = {}
    for section in ("persistence", "memory"):
        text = (await log.command("INFO", section)).decode()
        settings |= dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    problems = []
    if settings.get("aof_enabled") == "0":
        problems.append("appendonly is off: a restart of redis loses accepted events")
    policy = settings.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        problems.append(f"maxmemory-policy is {policy}: redis may evict accepted events; set noeviction")
    return problems
