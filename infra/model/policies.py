"""PURE: resource policies of streams and consumers: what AWS would not keep (AWS: PutResourcePolicy)."""

import json

from infra.model.stream_error import invalid_argument

BYTES_MAX = 20 * 1024


def check_policy(text: str) -> None:
    """Whether it is a policy document at all; what it says is not looked at. InvalidArgumentException."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not document.get("Statement"):
        raise invalid_argument("Policy is not a policy document: a JSON object with a Statement is needed.")
    if len(text.encode("utf-8", "surrogatepass")) > BYTES_MAX:
        raise invalid_argument(f"Policy has more than {BYTES_MAX} bytes.")
