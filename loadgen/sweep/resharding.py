"""PURE: from one number of shards to another, in the steps that AWS allows."""


def shard_steps(count: int, wanted: int) -> list[int]:
    """Shard counts to ask for one after the other: each at most the double and at least half of the one before.

    AWS: UpdateShardCount.
    """
    steps = []
    while count != wanted:
        count = min(wanted, count * 2) if wanted > count else max(wanted, (count + 1) // 2)
        steps.append(count)
    return steps
