"""The stages of a run, one module each: what it reads, what it writes, and whether it has anything to do.

Each has `run(config)`, and `pending(config) -> str | None`: why there is work to do (None: up to date), found without
heavy imports. Both raise MissingArtifactError where an earlier stage has not run: a stage reads only what the stages
before it wrote.
"""
