"""Reading back: every page of a chain, every position, and where what is missing can be found instead."""

import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from boto3.dynamodb.types import TypeSerializer

from loadgen.observing import chains
from loadgen.observing import quarantine as of_quarantine
from loadgen.observing.quarantine import rfc3339
from loadgen.observing.readback import Readback
from loadgen.offer.events import EventOptions, Generated, Generator
from loadgen.offer.items import Item, content_of
from loadgen.offer.truth import AddTo, More, Truth, Truths
from loadgen.outcome.account import imbalances_of
from loadgen.outcome.ledger import Expectations, Findings, Position, settle
from loadgen.outcome.results import PutResult, encode
from processor.core.effects import Scalar
from processor.core.errors import Reason
from processor.core.pages import SEALED_AT
from tests.support.deployed import STACK, Deployed

NOWHERE = Path(os.devnull)
PK, WINDOW = "loadgen.metered#r/key-000000", "2023-11-14T22:00:00Z"


def events(count: int) -> list[tuple[Generated, Truth]]:
    generator, truths = Generator(EventOptions("r", 1, 1.7e9, keys=1)), Truths(STACK.settings)
    made = [generator.next(0.0) for _ in range(count)]
    return [(event, truths.of_generated(event, 0)) for event in made]


def expecting(truths: Iterable[Truth]) -> Expectations:
    expected = Expectations()
    expected.acknowledged(truths, "shardId-0", "49")
    return expected


def write_page(deployed: Deployed, truths: Sequence[Truth], number: int = 0) -> None:
    names = ("sum_bytes", "sum_quantity")
    sums = [sum((Decimal(truth.amounts[name]) for truth in truths), Decimal(0)) for name in names]
    deployed.client("dynamodb").put_item(
        TableName="results",
        Item={
            "pk": {"S": PK},
            "sk": {"S": f"{WINDOW}#{number:05d}" if number else WINDOW},
            "events": {"N": str(len(truths))},
            "ids": {"SS": [truth.digest for truth in truths]},
            "sum_bytes": {"N": str(sums[0])},
            "sum_quantity": {"N": str(sums[1])},
        },
    )


def read(
    deployed: Deployed, expected: Expectations, results: Path = NOWHERE, since: datetime | None = None
) -> Findings:
    """As when a load has ended; `results`: none is like one that acknowledged nothing."""
    findings = Findings()
    readback = Readback(deployed.connection, deployed.stack, expected, since or datetime.now(UTC))
    readback.refresh(findings)
    readback.refresh(findings, everything=True)
    readback.look_into_quarantine(findings, results)
    readback.explain_missing(findings)
    return findings


@pytest.mark.parametrize("count", [1, SEALED_AT - 1, SEALED_AT, 3 * SEALED_AT + 1])
def test_a_window_is_read_with_every_page_of_its_chain(deployed: Deployed, count: int) -> None:
    truths = [truth for _, truth in events(count)]
    for number in range(0, count, SEALED_AT):
        write_page(deployed, truths[number : number + SEALED_AT], number // SEALED_AT)
    expected = expecting(truths)
    ledger = settle(expected, read(deployed, expected))
    assert (ledger.stored, ledger.lost, ledger.sums_different) == (count, 0, 0)
    assert ledger.balanced


@pytest.mark.parametrize("count", [SEALED_AT, 2 * SEALED_AT + 1])
def test_what_is_there_before_a_load_is_read_with_every_page_and_the_load_adds_to_it(
    deployed: Deployed, count: int
) -> None:
    truths = [truth for _, truth in events(count + 1)]
    for number in range(0, count, SEALED_AT):
        write_page(deployed, truths[:count][number : number + SEALED_AT], number // SEALED_AT)
    expected = Expectations()
    keys = sorted({(truth.pk, truth.window) for truth in truths} | {("nobody", WINDOW)})
    readback = Readback(deployed.connection, deployed.stack, expected, datetime.now(UTC))
    assert readback.before(keys) == count
    expected.acknowledged(truths, "shardId-0", "49")
    write_page(deployed, truths[count:], (count + SEALED_AT - 1) // SEALED_AT)
    ledger = settle(expected, read(deployed, expected))
    assert (ledger.stored, ledger.stored_before, ledger.windows) == (count + 1, count, 1)
    assert ledger.balanced


def test_an_identity_in_two_pages_is_seen(deployed: Deployed) -> None:
    truths = [truth for _, truth in events(SEALED_AT + 1)]
    write_page(deployed, truths[:SEALED_AT])
    write_page(deployed, truths[SEALED_AT - 1 :], 1)
    expected = expecting(truths)
    ledger = settle(expected, read(deployed, expected))
    assert ledger.duplicates_applied == 1
    assert not ledger.balanced


@pytest.mark.parametrize("number", [1, 2, 10_000])
def test_an_open_page_that_is_there_twice_is_seen(deployed: Deployed, number: int) -> None:
    """No writer begins the next page before the first is sealed; what is there is read all the same."""
    truths = [truth for _, truth in events(3)]
    write_page(deployed, truths)
    write_page(deployed, truths, number)
    expected = expecting(truths)
    ledger = settle(expected, read(deployed, expected))
    assert (ledger.stored, ledger.duplicates_applied, ledger.sums_different) == (3, 3, 1)
    assert not ledger.balanced


def copy_page(deployed: Deployed, sk: str, pk: str = PK) -> None:
    client = deployed.client("dynamodb")
    item = client.get_item(TableName="results", Key={"pk": {"S": PK}, "sk": {"S": WINDOW}})["Item"]
    client.put_item(TableName="results", Item={**item, "pk": {"S": pk}, "sk": {"S": sk}})


OTHER_WINDOWS = ["2027-11-14T22:00:00Z", "2027-11-14T22:00:00Z#00007", f"{WINDOW}#000001", "1970"]


@pytest.mark.parametrize("sk", OTHER_WINDOWS)
def test_events_counted_again_in_a_window_that_is_not_theirs_are_seen(deployed: Deployed, sk: str) -> None:
    truths = [truth for _, truth in events(3)]
    write_page(deployed, truths)
    copy_page(deployed, sk)
    expected = expecting(truths)
    ledger = settle(expected, read(deployed, expected))
    assert (ledger.stored, ledger.duplicates_applied, ledger.lost, ledger.elsewhere) == (3, 3, 0, 0)
    assert not ledger.balanced


def test_events_only_in_a_window_that_is_not_theirs_are_elsewhere_and_copies_of_that_applied_again(
    deployed: Deployed,
) -> None:
    truths = [truth for _, truth in events(3)]
    write_page(deployed, truths)
    copy_page(deployed, "2027")
    copy_page(deployed, "2028")
    deployed.client("dynamodb").delete_item(TableName="results", Key={"pk": {"S": PK}, "sk": {"S": WINDOW}})
    expected = expecting(truths)
    ledger = settle(expected, read(deployed, expected))
    assert (ledger.stored, ledger.elsewhere, ledger.duplicates_applied, ledger.lost) == (0, 3, 3, 0)


@pytest.mark.parametrize("number_of_partitions", [1, 20])
def test_rules_that_add_an_event_to_several_windows_count_it_once(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, number_of_partitions: int
) -> None:
    monkeypatch.setattr(chains, "PARTITIONS_PER_SCAN_PAGE", 10)
    truth = events(1)[0][1]
    adds = tuple(AddTo(PK, window, truth.amounts) for window in OTHER_WINDOWS[:2])
    adds += tuple(AddTo(f"total#{i}", WINDOW, truth.amounts) for i in range(number_of_partitions - 1))
    write_page(deployed, [truth])
    for add in adds:
        copy_page(deployed, add.window, add.pk)
    expected = expecting([truth._replace(more=More(adds, ()))])
    ledger = settle(expected, read(deployed, expected))
    assert (ledger.stored, ledger.balanced) == (1, True)
    copy_page(deployed, "2029", adds[-1].pk)
    assert settle(expected, read(deployed, expected)).duplicates_applied == 1


def test_what_was_in_other_windows_before_the_load_is_other_events_of_the_same_identities(deployed: Deployed) -> None:
    truths = [truth for _, truth in events(3)]
    write_page(deployed, truths)
    copy_page(deployed, "2027")
    deployed.client("dynamodb").delete_item(TableName="results", Key={"pk": {"S": PK}, "sk": {"S": WINDOW}})
    expected, findings = Expectations(), Findings()
    readback = Readback(deployed.connection, deployed.stack, expected, datetime.now(UTC))
    readback.before([(PK, WINDOW)])
    expected.acknowledged(truths, "shardId-0", "49")
    write_page(deployed, truths)
    readback.refresh(findings, everything=True)
    assert settle(expected, findings).balanced
    copy_page(deployed, "2028")
    readback.refresh(findings, everything=True)
    assert settle(expected, findings).duplicates_applied == 3


@pytest.mark.parametrize("others", [4, 5, 50])
def test_a_long_history_beside_the_windows_is_read_up_to_a_bound_and_what_is_not_checked_is_said(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    monkeypatch.setattr(chains, "BEYOND_MAX", 4)
    truths = [truth for _, truth in events(SEALED_AT + 1)]
    write_page(deployed, truths[:SEALED_AT])
    write_page(deployed, truths[SEALED_AT:], 1)
    for number in range(others):
        put(deployed, PK, f"2020-{number:03d}", events=1, ids={"another"})
    expected = expecting(truths)
    found = read(deployed, expected)
    ledger = settle(expected, found)
    assert (ledger.stored, ledger.balanced, bool(found.unchecked)) == (SEALED_AT + 1, True, others > 4)


@pytest.mark.parametrize("pages", [0, 1, 50])
def test_many_partitions_read_by_a_scan_or_one_by_one_make_the_same_account(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    monkeypatch.setattr(chains, "SCAN_PAGES_MAX", pages)
    monkeypatch.setattr(chains, "PARTITIONS_PER_SCAN_PAGE", 10)
    truths = [truth._replace(pk=f"t#{i:03d}") for i, (_, truth) in enumerate(events(60))]
    for truth in truths:
        write_page(deployed, [truth])
        copy_page(deployed, WINDOW, truth.pk)
    copy_page(deployed, "2027", truths[-1].pk)
    copy_page(deployed, f"{WINDOW}#00001", truths[-1].pk)
    expected = expecting(truths)
    ledger = settle(expected, read(deployed, expected))
    assert (ledger.stored, ledger.duplicates_applied, ledger.lost, ledger.foreign) == (60, 2, 0, 0)


BROKEN = [{"N": "1.5"}, {"N": "1E+100"}, {"N": "-1"}, {"S": "x"}, {"NULL": True}]


@pytest.mark.parametrize(("name", "value"), [*(("events", value) for value in BROKEN), ("ids", {"S": "x"})])
def test_an_item_that_cannot_be_read_as_a_page_is_named_and_the_rest_is_read(
    deployed: Deployed, name: str, value: dict[str, object]
) -> None:
    truths = [truth for _, truth in events(3)]
    write_page(deployed, truths)
    deployed.client("dynamodb").update_item(
        TableName="results",
        Key={"pk": {"S": PK}, "sk": {"S": WINDOW}},
        UpdateExpression="SET #name = :value",
        ExpressionAttributeNames={"#name": name},
        ExpressionAttributeValues={":value": value},
    )
    expected = expecting(truths)
    found = read(deployed, expected)
    ledger = settle(expected, found)
    assert (ledger.stored, ledger.broken, ledger.balanced) == (0 if name == "ids" else 3, 1, False)
    assert list(found.broken) == [f"results: pk {PK}, sk {WINDOW}"]
    assert "1 item of the tables unreadable or contradictory" in imbalances_of(asdict(ledger))


def test_more_windows_and_positions_than_one_call_takes_are_all_found(deployed: Deployed) -> None:
    made = [(event, truth._replace(pk=f"t#{i:03d}")) for i, (event, truth) in enumerate(events(230))]
    for _, truth in made:
        deployed.client("dynamodb").put_item(
            TableName="results",
            Item={
                "pk": {"S": truth.pk},
                "sk": {"S": truth.window},
                "events": {"N": "1"},
                "ids": {"SS": [truth.digest]},
                "sum_bytes": {"N": str(truth.amounts["sum_bytes"])},
                "sum_quantity": {"N": str(truth.amounts["sum_quantity"])},
            },
        )
    bad = [Truth(0, "", "", "", {}, reason=Reason.NOT_JSON) for _ in range(120)]
    for number in range(120):
        quarantine(deployed, f"{number:06d}", Reason.NOT_JSON, b"x")
    expected = expecting([*bad, *(truth for _, truth in made)])
    ledger = settle(expected, read(deployed, expected))
    assert (ledger.stored, ledger.quarantined, ledger.balanced) == (230, 120, True)


def quarantine(deployed: Deployed, sk: str, reason: str, payload: bytes, place: str = "shardId-0:49") -> None:
    """As the processor writes it."""
    deployed.client("dynamodb").put_item(
        TableName="quarantine",
        Item={
            "pk": {"S": f"events/{place}"},
            "sk": {"S": sk},
            "reason": {"S": reason},
            "arrived_at": {"S": rfc3339(datetime.now(UTC))},
            "payload": {"B": payload},
            "payload_sha256": {"S": hashlib.sha256(payload).hexdigest()},
            "size": {"N": str(len(payload))},
        },
    )


def test_malformed_input_is_looked_for_at_its_position_as_a_whole_or_as_a_user_record(deployed: Deployed) -> None:
    quarantine(deployed, "whole", Reason.DIGEST, b"x")
    expected = expecting([Truth(0, "", "", "", {}, reason=Reason.DIGEST, whole=True)])
    assert read(deployed, expected).reasons == {Position("shardId-0", "49", None): Reason.DIGEST}
    elsewhere = expecting([Truth(0, "", "", "", {}, reason=Reason.DIGEST, whole=False)])
    assert settle(elsewhere, read(deployed, elsewhere)).lost == 1


def test_a_well_formed_event_that_the_rules_refused_is_found_in_quarantine(deployed: Deployed) -> None:
    ((event, truth),) = events(1)
    quarantine(deployed, "000000", Reason.RULES_ERROR, event.payload)
    expected = expecting([truth])
    ledger = settle(expected, read(deployed, expected))
    assert (ledger.lost, ledger.refused, ledger.balanced) == (0, {"rules_error": 1}, False)


def results_of(folder: Path, *places: tuple[str, str]) -> Path:
    """A load's lines, which acknowledge Kinesis records with these shards and sequence numbers."""
    lines = [encode(PutResult("k", [0], 0, 1, 1, 9, 0, 0, *place, (), None, uncertain=False)) for place in places]
    (folder / "results.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder / "results.jsonl"


def test_what_nobody_expected_in_quarantine_is_this_loads_at_the_position_of_one_of_its_records(
    deployed: Deployed, tmp_path: Path
) -> None:
    truths = [truth for _, truth in events(3)]
    write_page(deployed, truths)
    before = datetime.now(UTC)
    quarantine(deployed, "000001", Reason.NOT_JSON, b"x")  # of our record, where nothing malformed was
    quarantine(deployed, "whole", Reason.DIGEST, b"x")  # and all of it once more
    quarantine(deployed, "000000", Reason.NOT_JSON, b"x", "shardId-1:49")  # of another shard: another producer's
    quarantine(deployed, "000000", Reason.NOT_JSON, b"x", "shardId-0:50")
    results = results_of(tmp_path, ("shardId-0", "49"), ("shardId-0", "51"))
    expected = expecting(truths)
    ledger = settle(expected, read(deployed, expected, results, before))
    assert (ledger.stored, ledger.lost, ledger.sent) == (3, 0, 3)
    assert (ledger.unexpected, ledger.quarantined_others) == ({"not_json": 1, "digest": 1}, 2)
    assert not ledger.balanced


def test_a_reason_that_this_checkout_does_not_know_is_seen_at_a_position_of_the_load(
    deployed: Deployed, tmp_path: Path
) -> None:
    before = datetime.now(UTC)
    quarantine(deployed, "000000", "of_next_year", b"x")
    quarantine(deployed, "000000", "of_next_year", b"x", "shardId-0:50")
    found = read(deployed, Expectations(), results_of(tmp_path, ("shardId-0", "49")), before)
    ledger = settle(Expectations(), found)
    assert (ledger.unexpected, ledger.quarantined_others, ledger.balanced) == ({"of_next_year": 1}, 1, False)
    assert not found.unchecked


def test_a_quarantine_too_long_to_go_through_is_asked_for_the_reasons_that_are_known_and_that_is_said(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_quarantine, "SCAN_PAGES_MAX", 0)
    before = datetime.now(UTC)
    quarantine(deployed, "000000", "of_next_year", b"x")
    quarantine(deployed, "000001", Reason.NOT_JSON, b"x")
    found = read(deployed, Expectations(), results_of(tmp_path, ("shardId-0", "49")), before)
    assert settle(Expectations(), found).unexpected == {"not_json": 1}
    assert "quarantine is too long" in found.unchecked[0]


@pytest.mark.parametrize(("name", "value"), [("payload", {"B": b"gone"}), ("size", {"N": "7"})])
def test_a_payload_in_quarantine_that_is_not_what_its_item_says_is_seen(
    deployed: Deployed, name: str, value: dict[str, object]
) -> None:
    quarantine(deployed, "000000", Reason.NOT_JSON, b"x")
    expected = expecting([Truth(0, "", "", "", {}, reason=Reason.NOT_JSON)])
    assert settle(expected, read(deployed, expected)).balanced
    deployed.client("dynamodb").update_item(
        TableName="quarantine",
        Key={"pk": {"S": "events/shardId-0:49"}, "sk": {"S": "000000"}},
        UpdateExpression="SET #name = :value",
        ExpressionAttributeNames={"#name": name},
        ExpressionAttributeValues={":value": value},
    )
    found = read(deployed, expected)
    ledger = settle(expected, found)
    assert (ledger.quarantined, ledger.broken, ledger.balanced) == (1, 1, False)
    assert list(found.broken) == ["quarantine: pk events/shardId-0:49, sk 000000"]


def test_what_was_expected_in_quarantine_and_what_came_before_the_load_is_nothing_unexpected(
    deployed: Deployed, tmp_path: Path
) -> None:
    expected = expecting([Truth(0, "", "", "", {}, reason=Reason.NOT_JSON)])
    quarantine(deployed, "000000", Reason.NOT_JSON, b"x")
    quarantine(deployed, "000000", Reason.NOT_JSON, b"x", "shardId-0:48")
    found = read(
        deployed, expected, results_of(tmp_path, ("shardId-0", "49")), datetime.now(UTC) + timedelta(minutes=1)
    )
    ledger = settle(expected, found)
    assert (ledger.quarantined, ledger.unexpected, ledger.quarantined_others, ledger.balanced) == (1, {}, 0, True)


def test_a_well_formed_event_in_quarantine_is_refused_for_any_reason_and_counted_once(
    deployed: Deployed, tmp_path: Path
) -> None:
    ((event, truth),) = events(1)
    quarantine(deployed, "000000", Reason.BAD_TIME, event.payload)
    quarantine(deployed, "000000", Reason.BAD_TIME, event.payload, "shardId-0:50")  # its copy
    expected = expecting([truth])
    expected.acknowledged([truth._replace(copy=True)], "shardId-0", "50")
    results = results_of(tmp_path, ("shardId-0", "49"), ("shardId-0", "50"))
    ledger = settle(expected, read(deployed, expected, results))
    assert (ledger.lost, ledger.refused, ledger.unexpected, ledger.quarantined) == (0, {"bad_time": 1}, {}, 1)
    assert not ledger.balanced


def test_another_streams_items_are_nobodys_business(deployed: Deployed, tmp_path: Path) -> None:
    quarantine(deployed, "000000", Reason.NOT_JSON, b"x")
    other = deployed._replace(stack=deployed.stack._replace(stream="others"))
    expected = Expectations()
    found = read(other, expected, results_of(tmp_path, ("shardId-0", "49")), datetime.now(UTC) - timedelta(minutes=1))
    assert (found.unexpected, found.others) == ({}, 0)


STRAYS = [
    b"not json", b"\xff", b"", b"[]", b"{}", b"[" * 100_000, b'{"payload": {}}', b'{"payload": "[]"}',
    b'{"payload": "{\\"Records\\": [{}]}"}', b'{"payload": "{\\"Records\\": [7]}"}',
    b'{"payload": "{\\"Records\\": {\\"a\\": 1}}"}', b'{"payload": "{\\"Records\\": null}"}',
]  # fmt: skip


def test_what_the_mapping_gave_up_counts_as_expired_unless_it_was_stored_before(deployed: Deployed) -> None:
    made = events(3)
    write_page(deployed, [made[0][1]])  # the batch failed after its first event was stored
    records = [
        {
            "eventID": f"shardId-0:{50 + i}",
            "kinesis": {
                "sequenceNumber": str(50 + i),
                "partitionKey": "k",
                "approximateArrivalTimestamp": 1.0,
                "data": b64encode(event.payload).decode(),
            },
        }
        for i, (event, _) in enumerate(made[:2])
    ]
    body = json.dumps({"version": "1.0", "payload": json.dumps({"Records": records})})
    client = deployed.client("s3")
    client.put_object(Bucket="failures", Key="aws/lambda/uuid/shardId-0/x", Body=body.encode())
    expected = expecting([truth for _, truth in made])
    ledger = settle(expected, read(deployed, expected))
    assert (ledger.stored, ledger.expired, ledger.lost) == (1, 1, 1)
    for number, stray in enumerate(STRAYS):
        client.put_object(Bucket="failures", Key=f"aws/lambda/a/stray-{number:02d}", Body=stray)
    found = read(deployed, expected)
    assert settle(expected, found) == ledger
    assert [said.partition(" ")[0] for said in found.unchecked] == [
        f"s3://failures/aws/lambda/a/stray-{number:02d}" for number in range(len(STRAYS))
    ]


def put(deployed: Deployed, pk: str, sk: str, **values: object) -> None:
    """As the processor writes it."""
    item = {"pk": {"S": pk}, "sk": {"S": sk}, **{name: TypeSerializer().serialize(v) for name, v in values.items()}}
    deployed.client("dynamodb").put_item(TableName="results", Item=item)


def test_records_and_latest_values_are_read_as_the_processor_writes_them(deployed: Deployed) -> None:
    values: dict[str, Scalar] = {"size": 7, "part": Decimal("0.50"), "name": "x", "is_big": False, "nothing": None}
    record, state = Item("event", "1", content_of(values)), Item("state", "s", content_of(values), 12)
    expected = expecting([Truth(0, "", "", "id-0", {}, more=More((), (record, state)))])
    ledger = settle(expected, read(deployed, expected))
    assert (ledger.lost, ledger.items) == (1, 2)
    put(deployed, "event", "1", **values)
    put(deployed, "state", "s", **values, version=12, _shape="is_big,name,nothing,part,size")
    ledger = settle(expected, read(deployed, expected))
    assert (ledger.stored, ledger.balanced) == (1, True)
    put(deployed, "event", "1", **values, more=1)
    assert settle(expected, read(deployed, expected)).items_different == 1


def test_an_item_of_before_the_load_is_known_as_such(deployed: Deployed) -> None:
    put(deployed, "event", "1", size=7)
    record = Item("event", "1", content_of({"size": 8}))
    expected = expecting([Truth(0, "", "", "id-0", {}, more=More((), (record,)))])
    assert settle(expected, read(deployed, expected)).items_different == 1
    Readback(deployed.connection, deployed.stack, expected, datetime.now(UTC)).before([], [("event", "1")])
    ledger = settle(expected, read(deployed, expected))
    assert (ledger.items_different, ledger.stored_before, ledger.balanced) == (0, 1, True)


def test_an_identity_in_a_window_that_is_not_its_own_is_elsewhere_and_not_lost(deployed: Deployed) -> None:
    truths = [truth for _, truth in events(5)]
    write_page(deployed, truths[1:3], 1)
    write_page(deployed, truths[3:])
    expected = expecting([truth._replace(pk="t#other") for truth in truths])
    ledger = settle(expected, read(deployed, expected))
    assert (ledger.elsewhere, ledger.lost, ledger.balanced) == (4, 1, False)


def test_a_window_whose_name_begins_like_another_ones_is_not_taken_for_it(deployed: Deployed) -> None:
    truths = [truth for _, truth in events(SEALED_AT + 1)]
    write_page(deployed, truths[:SEALED_AT])
    write_page(deployed, truths[SEALED_AT:], 1)
    put(deployed, PK, f"{WINDOW}-more", events=1, ids={"foreign"})
    expected = expecting(truths)
    ledger = settle(expected, read(deployed, expected))
    assert (ledger.stored, ledger.foreign, ledger.balanced) == (SEALED_AT + 1, 0, True)


def test_an_item_that_is_no_page_where_one_is_expected_holds_nothing(deployed: Deployed) -> None:
    put(deployed, PK, WINDOW, size=7)
    expected = expecting([events(1)[0][1]])
    assert settle(expected, read(deployed, expected)).lost == 1
