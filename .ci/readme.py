"""Do what the README's "Run it" says, as a newcomer would, and hold what is printed against it.

Starts `make run` on a free port, pastes the shell blocks in order, compares what they print with
the JSON block (ids and times apart), and ends the server with Ctrl-C.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def main() -> None:
    section = (ROOT / "README.md").read_text().split("## Run it")[1].split("\n## ")[0]
    run, *blocks, test = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert (run, test) == ("make run\n", "make test\n")
    [shown] = map(json.loads, re.findall(r"```json\n(.*?)```", section, re.DOTALL))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    command = ["make", "run", f"PORT={port}"]
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        for line in server.stdout:
            print(line, end="")
            if "Ctrl-C" in line:
                break
        else:
            sys.exit("make run ended before it served")
        created, read, captured, refund = paste(blocks, port, shown["paymentId"])
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(timeout=20)
    with socket.socket() as taken:
        assert taken.connect_ex(("127.0.0.1", port)), "Ctrl-C left the port open"

    differing = dict.fromkeys(("paymentId", "createdAt", "updatedAt", "history"))
    assert {**created, **differing} == {**shown, **differing}, f"{created}\nis not\n{shown}"
    assert read == created, f"{read}\nis not what was created: {created}"
    assert (captured["status"], refund["status"]) == ("CAPTURED", "SUCCEEDED")
    print("the README's commands do what it says")


def paste(blocks: list[str], port: int, shown_id: str) -> list[dict[str, Any]]:
    """Run the shell blocks, each with the variables before it; return the payments printed."""
    variables, printed = "", []
    for text in blocks:
        command = text.replace("127.0.0.1:3000", f"127.0.0.1:{port}")
        command = command.replace("make -s token", f"make -s token PORT={port}")
        command = command.replace("curl ", "curl -sS -w '\\n' ")
        if printed:
            command = command.replace(shown_id, printed[0]["paymentId"])
        print(f"$ {text}", end="")
        answer = subprocess.check_output(["bash", "-euc", variables + command], cwd=ROOT, text=True)
        print(answer)
        printed += map(json.loads, answer.splitlines())
        variables += "".join(re.findall(r"^\w+=.*\n", command, re.MULTILINE))
    return printed


if __name__ == "__main__":
    main()
