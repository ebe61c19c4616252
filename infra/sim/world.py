"""DRIVER: one small world: producers, stream, mapping, function, tables, what disturbs them, until all is settled."""

from collections.abc import Callable
from random import Random

from infra.model.stream import Stream
from infra.sim import faults as fault_names
from infra.sim import reshard, updates
from infra.sim.clockwork import Clockwork, Trace
from infra.sim.driver import Driver
from infra.sim.environment import LATE_S_MAX, Function
from infra.sim.filtering import wants
from infra.sim.fleet import Fleet
from infra.sim.ledger import check
from infra.sim.numbers import Border
from infra.sim.producer import Producer
from infra.sim.scenario import ACCOUNT, CONSUMER, REGION, START_S, Scenario
from infra.sim.stock import stock
from infra.sim.table import MemoryTable
from infra.sim.violation import Violation
from infra.sim.witness import Witness
from processor.core.reading import Rules
from processor.core.statements import Table

HEALED_AFTER_S = 300.0  # after the last put nothing goes wrong any more: then everything must come to its end
SETTLED_AFTER_S = 3_600.0  # within this
DISABLED_S_MAX = 15.0
STEPS_MAX = 2_000_000


class World:
    """`run` simulates one scenario and returns normally, or raises Violation."""

    def __init__(self, scenario: Scenario, rules: Rules, trace: Trace) -> None:
        seed = scenario.seed
        self.scenario = scenario
        self.clock = Clockwork(START_S, trace)
        self._random = Random(f"{seed}/world")  # noqa: S311 - repeatable, not secret
        self.witness = Witness(scenario.mapping(f"mapping-{seed}"), wants(scenario.filters))
        self.stream = Stream("simulated", account_id=ACCOUNT, region=REGION, shard_count=scenario.shards, now=START_S)
        if scenario.fan_out:
            self.stream.register_consumer("simulated", START_S, arn=CONSUMER)
        self.border = Border(
            Random(f"{seed}/border"),  # noqa: S311 - repeatable, not secret
            short=scenario.short_numbers,
            skew=scenario.faults.clock_skew,
        )
        tells = Random(f"{seed}/table").random() < 0.5  # noqa: S311 - repeatable, not secret
        self.tables = {Table.RESULTS: MemoryTable(tells=tells), Table.QUARANTINE: MemoryTable()}
        self.function = Function(
            self.clock,
            Random(f"{seed}/function"),  # noqa: S311 - repeatable, not secret
            scenario.faults,
            self.tables,
            rules,
            scenario.report,
            scenario.systemic_share,
            scenario.cache_identities,
            scenario.hot_keys_max,
            scenario.hot_s_max,
            scenario.fan_out,
        )
        reserved = None if scenario.reserved_concurrency == -1 else scenario.reserved_concurrency
        self.fleet = Fleet(self.function, self._random, timeout_s=scenario.timeout_s, reserved_concurrency=reserved)
        self.driver = Driver(
            scenario,
            self.clock,
            self._random,
            self.stream,
            self.border,
            self.witness,
            self.function,
            self.fleet,
        )
        changed = self.driver.stream_changed
        self.producer = Producer(scenario, self.clock, self.stream, self.border, self.witness, changed)
        self.applied = 0
        self._began = False
        self._seconds_idle = 0

    # The run

    def run(self) -> None:
        self.witness.shards_changed(self.stream.shards(START_S))
        self.producer.start()
        self.clock.later(1.0, self._second)
        if self.scenario.begins_after_s:
            self.clock.later(self.scenario.begins_after_s, self._begin)
        else:
            self._begin()
        self._until(lambda: self.producer.done and self._began and self.witness.finished)
        quiet_s = self.clock.now + LATE_S_MAX + 1.0
        self._until(lambda: self.clock.now >= quiet_s and not self.fleet.running)
        self.applied = check(
            self.witness.shards.values(),
            stock(self.scenario.aggregate, self.scenario.keys, self.scenario.window_s).truths,
            self.tables[Table.RESULTS],
            self.tables[Table.QUARANTINE],
            items=self.scenario.items,
        )
        if self.driver.dropped_metric != self.witness.discarding.dropped:
            raise Violation(
                "documents",
                f"{self.witness.discarding.dropped} records were dropped, "
                f"DroppedEventCount says {self.driver.dropped_metric:g}",
            )

    def _begin(self) -> None:
        """The mapping begins to poll."""
        self._began = True
        self.driver.start()

    def dismantle(self) -> None:
        """Cuts the cycles of a world that is over, so that it goes without the garbage collector."""
        for shard in self.witness.shards.values():
            for key in shard.keys.values():
                key.puts.clear()
        for part in (self.producer, self.fleet, self.clock, self.driver.machine, self.driver):
            vars(part).clear()
        vars(self).clear()

    def _until(self, reached: Callable[[], bool]) -> None:
        """Whatever is due next happens next, until it is `reached`: the heap's, the environments' or the mapping's."""
        clock, fleet, driver = self.clock, self.fleet, self.driver
        steps_max = clock.steps + STEPS_MAX + 100 * self.scenario.events
        while not reached():
            next_s, fleet_s, mapping_s = clock.next_s, fleet.deadline_s, driver.deadline_s
            if next_s <= fleet_s and next_s <= mapping_s:
                clock.step()
            elif fleet_s <= mapping_s:
                clock.move_to(fleet_s)
                fleet.timer()
            else:
                clock.move_to(mapping_s)
                driver.wake_up()
            if clock.steps > steps_max:
                spent_s = clock.now - START_S
                raise Violation("liveness", f"{clock.steps} steps in {spent_s:.0f} s of virtual time: it spins")

    def _second(self) -> None:
        """Once a second: what has a probability per second, and the end of all faults."""
        clock, random = self.clock, self._random
        if self.producer.done and not self._began:  # nothing happens before the mapping begins
            clock.later(max(0.0, clock.start_s + self.scenario.begins_after_s - clock.now) + 0.5, self._second)
            return
        self._seconds_idle = 0 if not self.producer.done else self._seconds_idle + 1
        if self._seconds_idle == HEALED_AFTER_S:
            clock.say("healed")
            self.driver.faults = self.function.faults = fault_names.NONE
        if self._seconds_idle > HEALED_AFTER_S + SETTLED_AFTER_S and not self.witness.finished:
            raise Violation(
                "liveness",
                f"{SETTLED_AFTER_S:g} s after the last fault: {self.witness.unfinished()}",
            )
        if self._began and not self.witness.finished and self.witness.enabled:
            self._disturb_mapping()
        if random.random() < self.driver.faults.reshard and not self.producer.done:
            told = reshard.reshard(self.stream, random, clock.now)
            if told:
                clock.say(told)
                self.function.meet("reshard")
                self.witness.shards_changed(self.stream.shards(clock.now))
                self.driver.stream_changed()
        clock.later(1.0, self._second)

    def _disturb_mapping(self) -> None:
        clock, random, driver = self.clock, self._random, self.driver
        faults = driver.faults
        if random.random() < faults.lease_move:
            driver.move_lease()
        if random.random() < faults.mapping_update:
            config = updates.changed(self.scenario, driver.config, random)
            clock.say(f"update {updates.told(driver.config, config)}")
            self.function.meet("mapping_update")
            driver.reconfigure(config)
        if random.random() < faults.mapping_disable:
            self.function.meet("mapping_disable")
            driver.switch(False)
            clock.later(DISABLED_S_MAX * random.random(), driver.switch, True)
