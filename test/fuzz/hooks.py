"""How the generated requests are fitted to the service that stands behind them, and two checks of the fuzz's own.

What is exchanged depends on what was generated alone, so that a seed repeats a run.
"""

import json
import os
import re
import zlib

import schemathesis
from schemathesis.generation import GenerationMode

UIDS = json.loads(os.environ["LETHE_FUZZ_UIDS"])
# The names of a storage that cannot be reached.
BROKEN = json.loads(os.environ["LETHE_FUZZ_BROKEN"])
UID = re.compile(r"[0-9A-Za-z]{20}\Z")
POSITION = re.compile(r"[0-9]{1,19}\Z")
# Seeding alone brings the log further than this.
REACHED = 50

# What no schema can say of a value that it lets pass: it names something that is not there, or fits nothing else of the request.
BEYOND_SCHEMAS = json.loads(os.environ["LETHE_FUZZ_BEYOND_SCHEMAS"])


@schemathesis.hook
def before_call(context, case, kwargs):
    _name_a_record(case)
    _wait_for_what_comes(case.headers)
    _store_elsewhere(case.body)


def _name_a_record(case):
    """A generated uid is one that no record has: three in four well-formed ones become a seeded one."""
    parameters = case.path_parameters or {}
    name = "uid" if "uid" in parameters else "id"
    generated = parameters.get(name)
    if not isinstance(generated, str) or not UID.match(generated):
        return
    registry = parameters.get("registry", case.operation.path.split("/")[2])
    known = UIDS.get(registry, []) if isinstance(registry, str) else []
    chosen = zlib.crc32(generated.encode())
    if known and chosen % 4 != 0:
        parameters[name] = known[chosen // 4 % len(known)]


def _store_elsewhere(body):
    """What is written to the storage that is broken is rightly 503. In place: whoever sets a new body has it judged anew."""
    if not isinstance(body, dict):
        return
    for name, value in body.items():
        if value in BROKEN:
            body[name] = "default"
        else:
            _store_elsewhere(value)


def _wait_for_what_comes(headers):
    """A position that nobody reaches is waited for, and then rightly 503; a purge that is stuck holds up `wait` as long as it may."""
    if headers is None:
        return
    position = headers.get("X-Min-Position")
    if isinstance(position, str) and POSITION.match(position):
        headers["X-Min-Position"] = str(int(position) % REACHED)
    if "wait" in str(headers.get("Prefer", "")):
        headers["Prefer"] = "wait=1"


@schemathesis.check
def invalid_is_said_by_the_schema(context, response, case):
    """A request that the document allows may be refused as `invalid` for a known reason alone: else the document promises too much."""
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE or response.status_code != 422:
        return
    problem = response.json()
    for error in problem.get("errors", []):
        said = f"{error['path']} {error['message']}"
        assert any(re.search(known, said) for known in BEYOND_SCHEMAS), f"allowed by the schema, and refused: {said}"


RECORD = re.compile(r"/v1/[a-z]+/[0-9A-Za-z]{20}\Z")
AS_IT_WAS = {"revision", "at", "position"}
PURGED = set()


@schemathesis.check
def what_is_purged_is_gone(context, response, case):
    """Once a `DELETE` has answered `purged`, the record can be read only as it was before."""
    record = case.formatted_path
    if not RECORD.match(record):
        return
    if case.method == "DELETE" and response.status_code == 200:
        answer = response.json()
        if answer["outcome"] == "purged" and "dryRun" not in answer:
            PURGED.add(record)
    elif case.method == "GET" and record in PURGED and not AS_IT_WAS & set(case.query or {}):
        assert response.status_code >= 400, f"purged, and then answered with {response.status_code}"
