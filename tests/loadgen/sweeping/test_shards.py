"""A stream's shards in AWS's steps, on a stream whose time is moved by hand."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.model.stream import Stream, StreamError
from infra.ops.errors import CommandError
from loadgen.sweep.resharding import UPDATES_PER_DAY_MAX
from loadgen.sweeping.shards import StreamShards

STEP_S = 30.0
WAITED_S_MAX = 600.0


class Kinesis:
    """The two calls, of one stream whose every change takes 30 s. `asked`: the shard counts that were allowed."""

    def __init__(self, shards: int) -> None:
        self.now = 0.0
        self.asked: list[int] = []
        self.stream = Stream(
            "events", account_id="000000000000", region="us-east-1", shard_count=shards, now=0.0, ready=True,
            transition_s=STEP_S,
        )  # fmt: skip

    def describe_stream_summary(self, **_named: str) -> dict[str, Any]:
        self.stream.settle(self.now)
        shards = [shard for shard in self.stream.shards(self.now) if not shard.closed]
        return {"StreamDescriptionSummary": {"StreamStatus": self.stream.status, "OpenShardCount": len(shards)}}

    def update_shard_count(self, **named: Any) -> None:
        try:
            self.stream.scale(named["TargetShardCount"], self.now)
        except StreamError as error:
            problem: Any = {"Error": {"Code": error.code, "Message": error.message}}
            raise ClientError(problem, "UpdateShardCount") from error
        self.asked.append(named["TargetShardCount"])

    def until(self, what: str, is_so: Callable[[], bool]) -> bool:
        until_s = self.now + WAITED_S_MAX
        while not is_so():
            assert self.now < until_s, what
            self.now += 1
        return True

    def shards(self) -> StreamShards:
        return StreamShards(self, "events", self.until)

    def use_up(self, left: int) -> None:
        """Others change the shards until AWS allows only so many changes more; there are as many as before."""
        for number in range(UPDATES_PER_DAY_MAX - left):
            self.shards().change(3 if number % 2 == 0 else 2)
        self.asked.clear()


def test_every_step_is_waited_for_and_none_is_made_for_nothing() -> None:
    kinesis = Kinesis(2)
    shards = kinesis.shards()
    shards.change(9)
    assert (kinesis.asked, shards.open()) == ([4, 8, 9], 9)
    shards.change(9)
    assert kinesis.asked == [4, 8, 9]
    shards.put_back(2)
    assert (kinesis.asked, shards.open()) == ([4, 8, 9, 5, 3, 2], 2)


def test_a_change_that_is_still_under_way_is_waited_for_before_the_next() -> None:
    """As when somebody presses Ctrl-C while the shards are being split, and they are to be put back."""
    kinesis = Kinesis(2)
    kinesis.update_shard_count(TargetShardCount=4)
    assert kinesis.shards().open() == 0
    kinesis.shards().put_back(2)
    assert (kinesis.asked, kinesis.shards().open()) == ([4, 2], 2)


def test_an_interrupted_wait_begins_no_other_step() -> None:
    kinesis = Kinesis(2)
    StreamShards(kinesis, "events", lambda _what, is_so: is_so()).change(9)
    assert kinesis.asked == [4]


def test_a_refusal_says_which_step_was_refused_and_what_the_limit_is() -> None:
    kinesis = Kinesis(2)
    kinesis.use_up(left=2)
    with pytest.raises(CommandError) as refused:
        kinesis.shards().change(16)
    assert kinesis.asked == [4, 8]
    assert refused.value.exit_status == 3
    said = str(refused.value)
    assert "UpdateShardCount of the stream events from 8 to 16 shards is refused: LimitExceededException" in said
    assert "AWS allows 10 in 24 hours, those of others included" in said
    assert not re.search(r"\.[;:.]|  ", said)


def test_what_cannot_be_put_back_goes_as_far_as_it_can_and_names_the_commands_that_remain() -> None:
    kinesis = Kinesis(2)
    kinesis.use_up(left=4)
    shards = kinesis.shards()
    shards.change(16)
    with pytest.raises(CommandError) as refused:
        shards.put_back(2)
    assert (kinesis.asked, shards.open()) == ([4, 8, 16, 8], 8)
    said = str(refused.value)
    assert "the stream events has 8 shards and not its 2" in said
    assert "within 24 hours" in said
    command = "aws kinesis update-shard-count --stream-name events --scaling-type UNIFORM_SCALING --target-shard-count"
    assert f"`{command} 4`, then the same with 2" in said


def test_another_refusal_is_told_in_awss_words() -> None:
    class Broken(Kinesis):
        def update_shard_count(self, **_named: Any) -> None:
            problem: Any = {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}
            raise ClientError(problem, "UpdateShardCount")

    with pytest.raises(ClientError, match="not authorized"):
        Broken(2).shards().change(4)
