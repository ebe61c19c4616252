"""DRIVER: the models and the processor's core in virtual time: seeded faults, checkers that look from outside.

    seed -> Scenario -> World: producer -> Stream -> EventSourceMapping -> FunctionMachine -> plan, Commit -> table
                          |                                 |                                   |
                          +- Faults: what goes wrong        +------------ Witness, Ledger ------+

Nothing here asks for the time or for chance: an event heap moves a virtual clock, and every decision comes from
`random.Random` seeded with the seed. One seed, one commit, one trace: what was found can be repeated.

`scenario` says what is simulated, `faults` what may go wrong, `stock` what is put. `world` is all of it, `driver`
performs the mapping's commands, `fleet` and `environment` are the function, `witness` and `ledger` check, and
`mutations` break things on purpose to show that the checkers see it.
"""
