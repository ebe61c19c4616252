"""PURE: for a wished load, a configuration, what to expect of it and what it costs.

    load (what is wished, who is hot) --> quotas (what AWS allows) --> search: the cheapest that fits
                                                                          |
    measured (a load run's report) --> service (time of one batch) --> slice: some shards in virtual time
                                                                          |
    prices.json --> costs                              expectation: latency, sustained rate, first limit, drain
                                                                          |
                                                     document (JSON) --> show (terminal)

Nothing here asks for the time or reads a file but `command` and `cli`, the shell. `slice` moves a virtual clock and
draws from `random.Random` seeded with a constant: the same wish gives the same plan.
"""
