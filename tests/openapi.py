"""The server against its own OpenAPI document, by requests that nobody thought of.

A server with the sample market is started, and schemathesis makes requests out of
`GET /openapi.json`: first whatever the document allows and what it forbids, then what it allows of
the things that are there (symbols, groups, jobs, dead letters). For each answer it is checked that

- the server is not at fault: no 5xx, but for 503 `busy` and `sequence_not_reached` with
  `Retry-After`, which are no faults;
- status, content type, headers and JSON are as the document says;
- what the document forbids is refused, a missing header or another method (405) too.

Not checked is that all is taken which the document allows: it cannot say which symbols there are.
`GET /v1/features/stream` is left out, because its answer has no end. In the end the log must tell
of no panic.

Run: python tests/openapi.py [--barrow target/debug/barrow] [--minutes N] [--seed S]
Needs tests/openapi-requirements.txt. Ends with 1 if anything is not as it should be.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zlib
from pathlib import Path

HOOKS = "BARROW_OPENAPI_THERE"
UNENDING = "/v1/features/stream"
CHECKS = [
    "no_server_fault",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
]
NO_FAULTS = {"busy", "sequence_not_reached"}


def hooks():
    """What schemathesis is told when it loads this file as its hooks."""
    import schemathesis

    @schemathesis.check
    def no_server_fault(ctx, response, case):
        if response.status_code < 500:
            return
        code = response.json().get("code")
        has_retry = any(name.lower() == "retry-after" for name in response.headers)
        if response.status_code == 503 and code in NO_FAULTS and has_retry:
            return
        raise AssertionError(f"{response.status_code} {code}: {response.text[:500]}")

    there = os.environ.get(HOOKS)
    if not there:
        return
    there = json.loads(there)

    def put_in(values, kind, path):
        """Some of `values` with what is there in their place, the same each time."""
        for name in list(values or {}):
            known = there[kind].get(f"{path} {name}") or there[kind].get(name)
            dice = zlib.crc32(f"{path} {name} {values[name]!r}".encode())
            if known and dice % 4:
                values[name] = known[dice // 4 % len(known)]
        return values

    @schemathesis.hook
    def map_query(context, query):
        return put_in(query, "query", context.operation.path)

    @schemathesis.hook
    def map_path_parameters(context, path_parameters):
        return put_in(path_parameters, "path", context.operation.path)


def ask(url, method="GET", body=None, kind="application/json"):
    """The JSON of an answer."""
    headers = {"Content-Type": kind} if body is not None else {}
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{method} {url}: {error.code} {error.read().decode()[:500]}") from error


def fill(url):
    """Does what the examples of the document do, and rejects a row; returns what is there then."""
    document = ask(f"{url}/openapi.json")
    for method in ("put", "post"):
        for operations in document["paths"].values():
            operation = operations.get(method, {})
            formats = operation.get("requestBody", {}).get("content", {}).items()
            found = [(kind, of["example"]) for kind, of in formats if "example" in of]
            if "x-example" in operation and found:
                kind, example = found[0]
                text = example if isinstance(example, str) else json.dumps(example)
                ask(url + operation["x-example"], method.upper(), text.encode(), kind)
    rows = "symbol,ts,open,high,low,close\n" + "ALDR,2024-11-25T14:30:00Z,1,2,0.5,1\n" * 2
    rows += "ALDR,2024-11-25T14:31:00Z,x,2,0.5,1\n"
    ask(f"{url}/v1/datasets/bars/rows?timeframe=1m", "POST", rows.encode(), "text/csv")
    letters = [row["id"] for row in ask(f"{url}/v1/dead-letters")["rows"]]
    jobs = [job["job_id"] for job in ask(f"{url}/v1/jobs")["jobs"]]
    groups = ask(f"{url}/v1/feature-groups")["groups"]
    versions = [version["version"] for group in groups for version in group["versions"]]
    assert letters and jobs and versions
    names = [group["name"] for group in groups]
    times = ["2024-11-25", "2024-11-26T15:00:00Z", "2024-11-27", "2024-11-29T18:00:00Z"]
    return {
        "query": {
            "symbols": [["ALDR"], ["ALDR", "MAPL"]],
            "symbol": ["ALDR"],
            "groups": [[name] for name in names],
            "source": ["sample"],
            "batch": [ask(f"{url}/v1/dead-letters")["rows"][0]["batch_id"]],
            "tz": ["UTC", "America/New_York"],
            "start": times[:2],
            "end": times[2:],
            "ts": times,
            "as_of": times,
            "at_sequence": [1, 5, 10],
            "min_sequence": [1],
            "columns": [["ts"], ["ts", "close"], ["ts", "bid"]],
        },
        "path": {
            "dataset": ["bars", "trades", "quotes"],
            "/v1/tables/{dataset} dataset": ["sentiment"],
            "/v1/datasets/{dataset} dataset": ["bars", "sentiment"],
            "/v1/datasets/{dataset}/rows dataset": ["bars", "trades", "quotes", "sentiment"],
            "/v1/instruments/{id} id": ["ALDR", "MAPL"],
            "id": jobs,
            "/v1/dead-letters/{id} id": letters,
            "/v1/dead-letters/{id}/replay id": letters,
            "name": names,
            "/v1/calendars/{name} name": ["XNYS", "MOON"],
            "/v1/calendars/{name}/days name": ["XNYS", "MOON"],
            "/v1/calendars/{name}/sessions name": ["XNYS", "MOON"],
            "version": versions,
        },
    }


def statuses(url):
    """How many requests were answered with which status."""
    with urllib.request.urlopen(f"{url}/metrics") as reply:
        text = reply.read().decode()
    counts = {}
    for status, count in re.findall(r'^barrow_http_requests_total{.*status="(\d+)"} (\d+)', text, re.M):
        counts[status] = counts.get(status, 0) + int(count)
    return ", ".join(f"{status}: {count}" for status, count in sorted(counts.items()))


def run(url, folder, seconds, seed, phases, mode, there):
    """Whether schemathesis found nothing."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"]
    command += ["--exclude-path", UNENDING, "--checks", ",".join(CHECKS)]
    command += ["--phases", phases, "--mode", mode, "--max-time", str(seconds)]
    command += ["--seed", str(seed), "--continue-on-failure", "--no-color", "--warnings", "off"]
    # A debug build on a busy machine takes its time; how long is no question here.
    command += ["--request-timeout", "120", "--max-response-time", "120"]
    # Hypothesis keeps what it found beside where it runs.
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "openapi",
        "PYTHONPATH": str(Path(__file__).resolve().parent),
        HOOKS: json.dumps(there) if there else "",
    }
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode == 0


def main():
    from recipes import Server

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--barrow", default="target/debug/barrow")
    parser.add_argument("--minutes", type=float, default=0.67)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    barrow = str(Path(args.barrow).resolve())
    seconds = max(1, int(args.minutes * 60 / 2))
    with tempfile.TemporaryDirectory() as folder:
        demo = [barrow, "demo", "--exit", "--data", str(Path(folder) / "data")]
        subprocess.run(demo, check=True, stdout=subprocess.DEVNULL)
        with Server(barrow, folder) as server:
            there = fill(server.url)
            print("== what the document allows and forbids", flush=True)
            of_document = run(
                server.url, folder, seconds, args.seed, "coverage,fuzzing", "all", None
            )
            print("== what it allows of the things that are there", flush=True)
            of_things = run(server.url, folder, seconds, args.seed, "fuzzing", "positive", there)
            lives = server.process.poll() is None
            if lives:
                print("== answers by status:", statuses(server.url))
        log = (Path(folder) / "server.log").read_text()
    panics = [line for line in log.splitlines() if "panicked" in line]
    for line in panics[:10]:
        print(line)
    if not lives:
        print("the server ended by itself")
    return 0 if of_document and of_things and lives and not panics else 1


if __name__ == "__main__":
    sys.exit(main())
elif os.environ.get("SCHEMATHESIS_HOOKS") == "openapi":
    hooks()
