"""PURE: every limit on an event, and where its number comes from. The same at every door: stream, file, HTTP."""

from typing import Final

EVENT_BYTES_MAX: Final = 256 * 1024
"""What SNS and EventBridge carry too; CloudEvents asks every intermediary for at least 64 KB."""
DEPTH_MAX: Final = 32
"""Objects and arrays inside each other, the envelope being the first. AWS: DynamoDB, nested attribute depth."""
ID_BYTES_MAX: Final = 256
"""Room for two UUIDs and a path; nothing of it is stored but the digest."""
SOURCE_BYTES_MAX: Final = 1_100
"""Room for s3://bucket/key: 63 characters of bucket and 1,024 bytes of key (AWS: S3, naming objects)."""
TYPE_BYTES_MAX: Final = 128
SUBJECT_BYTES_MAX: Final = 256
"""`type#subject` is the partition key of a page that should fit one write unit of 1,024 bytes with its identities."""
YEAR_FIRST: Final = 1970
YEAR_END: Final = 2200
"""Years from 1970 (epoch 0) up to, not including, 2200: Go's zero time (year 1) and SQL's end of time (9999) are no
times, and the window of a legal one always has a four-digit year."""
MEASURE_INTEGER_DIGITS: Final = 20
MEASURE_FRACTION_DIGITS: Final = 15
"""A measure's digits before and after the decimal point. A page holds fewer than 100 identities (12 bytes each in
1,024), so its sum has at most 22 + 15 = 37 of the 38 digits that DynamoDB keeps, whatever the values are."""
