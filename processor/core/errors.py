"""PURE: why something is set aside.

A reason is a word for machines (table, metric, filter), a detail a sentence for people.
"""

from enum import StrEnum


class Reason(StrEnum):
    """The quarantine table's `reason` and a dimension of `EventsQuarantined`; never renamed, only added to."""

    # The whole Kinesis record: an aggregate by its magic number, and anything after it is wrong (records.py).
    DIGEST = "digest"
    PROTOBUF = "protobuf"
    KEY_INDEX = "key_index"
    EMPTY_AGGREGATE = "empty_aggregate"
    TRAILING_BYTES = "trailing_bytes"
    NESTED_AGGREGATE = "nested_aggregate"
    AGGREGATE_LIMIT = "aggregate_limit"
    # One user record that is not an event (events.py).
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_OBJECT = "not_object"
    DUPLICATE_KEY = "duplicate_key"
    NOT_FINITE = "not_finite"
    TOO_DEEP = "too_deep"
    MISSING_ID = "missing_id"
    BAD_ID = "bad_id"
    MISSING_SOURCE = "missing_source"
    BAD_SOURCE = "bad_source"
    MISSING_TYPE = "missing_type"
    BAD_TYPE = "bad_type"
    BAD_SPECVERSION = "bad_specversion"
    BAD_SUBJECT = "bad_subject"
    BAD_TIME = "bad_time"
    BAD_DATA = "bad_data"
    BAD_NUMBER = "bad_number"
    # An event that the rules did not take (plan.py).
    RULES_REFUSED = "rules_refused"
    RULES_ERROR = "rules_error"


class Malformed(Exception):  # noqa: N818 - the domain's word, and never an error of this program
    """The producer's fault, permanent: the record goes to quarantine whole and counts as done.

    `detail` says what is wrong and where; it names attributes and sizes and never contains payload text.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Refused(Exception):  # noqa: N818 - reads as the adopter's rule says it: `raise Refused("...")`
    """Raised by an adopter's rule: this event must not be counted, set it aside as `rules_refused`.

    The message becomes the quarantine's `detail` (cut to 256 characters): say why, leave the payload out.
    """
