"""The border: numbers and positions go out and come back, also those that are no record's."""

from random import Random

import pytest

from infra.model.mapping import AfterSequenceNumber, AtSequenceNumber
from infra.model.stream import Entry, Stream, Written
from infra.sim.numbers import Border


@pytest.mark.parametrize("short", [False, True])
def test_a_number_that_the_stream_tells_leads_back_to_where_it_was(short: bool) -> None:
    """With fan-out a continuation may be told before there is any record."""
    stream = Stream("one", account_id="000000000000", region="us-east-1", shard_count=1, now=1_000.0)
    border = Border(Random(1), short=short, skew=0.5)
    (shard,) = stream.shards(1_000.0)
    begins = border.told(shard.shard_id, shard.starting_sequence_number)
    assert border.inside(shard.shard_id, begins) == shard.starting_sequence_number
    seen = [begins]
    for place in range(12):
        (outcome,) = stream.put([Entry(f"key-{place}", b"data")], 1_001.0 + place)
        assert isinstance(outcome, Written)
        number, _ = border.put(*outcome, 1_001_000)
        assert border.told(shard.shard_id, outcome.sequence_number) == number
        assert border.inside(shard.shard_id, number) == outcome.sequence_number
        for position, after in ((AfterSequenceNumber(number), 0), (AtSequenceNumber(number), 1)):
            found = border.position(shard.shard_id, position)
            assert getattr(found, "after", None) == outcome.sequence_number - after
        seen.append(number)
    assert seen == sorted(set(seen))
    assert (seen == list(range(13))) is short
