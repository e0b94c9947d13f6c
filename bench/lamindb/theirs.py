"""What ours.ts does, with LaminDB: `python theirs.py <instance folder> <files>`."""

import json
import sys
import time
from pathlib import Path

folder, files = (Path(argument) for argument in sys.argv[1:])
steps = []


def measured(step, since, run=lambda: None):
    run()
    ms = (time.perf_counter() - since) * 1_000
    stored = sum(1 for _ in folder.rglob("*.csv"))
    steps.append({"step": step, "ms": ms, "visible": ln.Artifact.filter().count(), "stored": stored})


began = time.perf_counter()
import lamindb_setup  # noqa: E402

lamindb_setup.settings.verbosity = "error"
lamindb_setup.init(storage=str(folder), name="bench")
import lamindb as ln  # noqa: E402

ln.settings.verbosity = "error"
# Once in a process it asks the hub on the internet whether this instance is registered there. It is not: this is what the hub would answer.
lamindb_setup.settings.instance._is_on_hub = False
measured("open", began)

artifacts = []
names = sorted(path.name for path in files.iterdir())


def add():
    for name in names:
        artifacts.append(ln.Artifact(files / name, key=f"run/{name}").save())


def trash():
    for artifact in artifacts:
        artifact.delete()


def restore():
    for artifact in artifacts:
        artifact.restore()


def purge():
    for artifact in artifacts:
        artifact.delete(permanent=True)


measured("add", time.perf_counter(), add)
measured("trash", time.perf_counter(), trash)
measured("restore", time.perf_counter(), restore)
measured("trash again", time.perf_counter(), trash)
measured("purge", time.perf_counter(), purge)
sys.stdout.write("\n" + json.dumps(steps))
