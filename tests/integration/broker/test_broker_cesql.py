"""Checklist point 12: triggers that filter with CloudEvents SQL, in real processes."""

from tests.integration.broker.rig import Rig, trigger


async def test_12_cesql_chooses_the_triggers(rig: Rig) -> None:
    await rig.start(
        trigger(
            "trades", filters=[{"cesql": "type LIKE 'com.alphapulse.trade.%' AND tenantid IN ('a', 'b')"}]
        ),
        trigger("late", filters=[{"cesql": "EXISTS sequence AND sequence > 9"}]),
        trigger("erring", filters=[{"cesql": "sequence > 0 OR TRUE"}]),
        trigger("others", filters=[{"not": {"cesql": "company = 'café 100%'"}}]),
    )

    await rig.send(
        "1", event_type="com.alphapulse.trade.filled.v1", tenantid="a", company="caf%C3%A9%20100%25"
    )
    await rig.send("2", event_type="com.alphapulse.trade.filled.v1", tenantid="c", sequence="10")
    await rig.send("3", event_type="com.alphapulse.order.placed.v1", tenantid="b", sequence="x")
    await rig.until_delivered("trades", "1")
    await rig.until_delivered("late", "2")
    await rig.until_delivered("erring", "2")
    await rig.until_delivered("others", "2", "3")
    for name in ("trades", "late", "erring", "others"):
        await rig.until_empty(name)

    assert rig.sinks.ids("trades") == ["1"]
    assert rig.sinks.ids("late") == ["2"]
    assert rig.sinks.ids("erring") == ["2"]
    assert sorted(rig.sinks.ids("others")) == ["2", "3"]
