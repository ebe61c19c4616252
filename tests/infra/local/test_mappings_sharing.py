"""Several mappings of one shard through the service, as `infra up` runs them, in virtual time; and what it logs."""

import asyncio
import json
import logging

import pytest

from infra.model.function import InvokeOutcome, Succeeded
from infra.model.mapping import Pace
from tests.support.mapping_house import EPOCH_S, House, blueprint, run, values

PUTS, EVERY_S = 80, 0.25


@pytest.mark.parametrize("read_on_put", [True, False])
def test_five_mappings_of_one_shard_all_lag_less_than_two_seconds(read_on_put: bool) -> None:
    """Facts 2.10, 2.17, 9.1: a record every quarter of a second, each of which each function gets once."""
    lags_s: dict[str, list[float]] = {}

    async def test() -> None:
        house = House(templates=False, pace=Pace(read_on_put=read_on_put))
        for number in range(5):
            function_arn = f"arn:aws:lambda:us-east-1:000000000000:function:work-{number}"
            house.service.add(blueprint(uuid=f"11111111-2222-3333-4444-00000000000{number}", function_arn=function_arn))

        async def note(request_id: str, payload: bytes) -> InvokeOutcome:
            role = json.loads(payload)["Records"][0]["invokeIdentityArn"]
            lags_s.setdefault(role, []).extend(house.clock() - EPOCH_S - float(each) for each in values(payload))
            return Succeeded(request_id, b"null")

        house.functions.answer = note
        await house.service.start()
        for _ in range(PUTS):
            house.put(str(house.clock() - EPOCH_S))
            await asyncio.sleep(EVERY_S)
        await asyncio.sleep(3.0)
        await house.service.stop()

    run(test())
    assert [len(each) for each in lags_s.values()] == [PUTS] * 5
    assert max(map(max, lags_s.values())) < 2.0


def test_a_record_too_large_to_be_sent_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Fact 4.4."""

    async def test() -> None:
        house = House(pace=Pace(event_bytes_max=2_000))
        house.put("x" * 3_000)
        await house.service.start()
        await asyncio.sleep(60.0)
        _, described = await house.get("11111111-2222-3333-4444-555555555555")
        assert described["LastProcessingResult"] == "PROBLEM: Function call failed"
        assert house.functions.calls == []
        await house.service.stop()

    run(test())
    (line,) = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert line.startswith("shardId-000000000000: record 4")
    assert "too large for an invocation" in line
