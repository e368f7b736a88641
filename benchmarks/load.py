"""Drive a running API for a bounded time, and tell its rate, latencies and errors.

    python -m benchmarks.load http://127.0.0.1:3000 TOKEN [SECONDS] [CALLERS]

Loopback only. Half of the calls create, half read what was created.
"""

import http.client
import json
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit


def drive(url: str, token: str, until: float) -> list[tuple[str, int, float]]:
    """Call on one connection until then; return each call's name, status and milliseconds."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 80, timeout=10)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"amount": "10.50", "currency": "USD"})
    calls = []
    while time.perf_counter() < until:
        payment_id = ""
        for name in ("create", "read"):
            began = time.perf_counter()
            if name == "create":
                connection.request("POST", f"{address.path}/payment", body, headers)
            else:
                path = f"{address.path}/payment?paymentId={payment_id}"
                connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            text = answer.read()
            calls.append((name, answer.status, (time.perf_counter() - began) * 1000))
            if answer.status >= 300:
                break
            payment_id = json.loads(text)["paymentId"]
    return calls


def main(url: str, token: str, seconds: str = "10", callers: str = "4") -> None:
    """Drive the API and print what came of it; fail where a call did."""
    if urlsplit(url).hostname not in {"127.0.0.1", "localhost"}:
        sys.exit("load is for this machine's own server: 127.0.0.1")
    until = time.perf_counter() + min(float(seconds), 60)
    with ThreadPoolExecutor(int(callers)) as threads:
        driven = threads.map(lambda _: drive(url, token, until), range(int(callers)))
        calls = [call for one in driven for call in one]
    for name in ("create", "read"):
        times = sorted(taken for called, _, taken in calls if called == name)
        if times:
            at = {p: times[min(len(times) - 1, int(len(times) * p / 100))] for p in (50, 95, 99)}
            shown = ", ".join(f"p{p} {value:.1f} ms" for p, value in at.items())
            print(f"{name}: {len(times) / float(seconds):.0f}/s, {shown}")
    print("statuses:", dict(Counter(status for _, status, _ in calls)))
    sys.exit(any(status >= 300 for _, status, _ in calls))


if __name__ == "__main__":
    main(*sys.argv[1:])
