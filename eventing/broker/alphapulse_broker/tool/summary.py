"""The text of `status`."""

from alphapulse_broker.operations import BrokerStatus, ProcessStatus, RedisStatus
from alphapulse_broker.tool.output import as_age, as_bytes, as_table


def as_summary(found: BrokerStatus) -> str:
    """Return the broker's state as an operator reads it, problems in capitals."""
    name = f"{found.namespace}/{found.broker}"
    lines = [
        f"broker      {name}, {found.triggers} triggers",
        f"table       revision {found.revision}, change {found.generation}",
        *_redis(found.redis),
        "entries     " + ", ".join(f"{count} {state}" for state, count in found.totals.items()),
        *(
            f"leftover    {name} is not in the table any more and still has entries"
            for name in found.leftovers
        ),
        *(f"PROBLEM     {problem}" for problem in found.redis.problems),
        "",
        as_table([_process(process, found.revision) for process in found.processes])
        if found.processes
        else "no process has given a sign of life",
    ]
    return "\n".join(lines)


def _redis(redis: RedisStatus) -> list[str]:
    limit = as_bytes(redis.max_memory_bytes) if redis.max_memory_bytes else "no limit"
    append_only = "on" if redis.append_only_file else "OFF"
    writing = "" if redis.append_only_file_ok else ", the last write FAILED"
    memory = f"{as_bytes(redis.used_memory_bytes)} of {limit}, {redis.max_memory_policy}"
    return [
        f"redis       {redis.version} {redis.role}, {redis.replicas} replicas, {memory}",
        f"append-only {append_only}{writing}",
    ]


def _process(process: ProcessStatus, revision: str) -> dict[str, object]:
    current = process.revision == revision
    return {
        "process": process.name,
        "alive": "yes" if process.alive else "NO",
        "seen": as_age(process.seen_seconds_ago),
        "revision": process.revision if current else f"{process.revision} (OLD)",
    }
