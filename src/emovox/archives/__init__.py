"""Archives: any number of recordings through one recogniser, on one machine or a cluster.

    source -> plan (recordings, units of work) -> engine (local, ray) -> parts -> rows-*.parquet

A unit is a few consecutive recordings of the plan, and its part a function of it alone: engines,
retries and restarts may compute it twice, but always write the same bytes under the same name.
"""
