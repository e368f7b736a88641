"""Do what the README's "Run it" says, as a newcomer would, and hold what is printed against it.

Starts `make run` on a free port, pastes the shell blocks in order, compares what they print with
the JSON block that follows (ids and times apart), and ends the server with Ctrl-C.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main() -> None:
    section = (ROOT / "README.md").read_text().split("## Run it")[1].split("\n## ")[0]
    blocks = re.findall(r"```(sh|json)\n(.*?)```", section, re.DOTALL)
    assert blocks[0] == ("sh", "make run\n"), "the README's first command is not make run"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    server = subprocess.Popen(
        ["make", "run", f"PORT={port}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        for line in server.stdout:
            print(line, end="")
            if "Ctrl-C" in line:
                break
        else:
            sys.exit("make run ended before it served")
        paste(blocks[1:], port)
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(timeout=20)
    with socket.socket() as taken:
        assert taken.connect_ex(("127.0.0.1", port)), "Ctrl-C left the port open"
    print("the README's commands do what it says")


def paste(blocks: list[tuple[str, str]], port: int) -> None:
    """Run the shell blocks, each after all that came before it; compare the JSON blocks."""
    variables = ""
    output: dict[str, object] = {}
    shown: dict[str, object] = {}
    for kind, text in blocks:
        if kind == "json":
            shown = json.loads(text)
            assert volatile_apart(output) == volatile_apart(shown), f"{output}\nis not\n{shown}"
            continue
        if text == "make test\n":
            continue
        command = text.replace("127.0.0.1:3000", f"127.0.0.1:{port}")
        command = command.replace("make -s token", f"make -s token PORT={port}")
        command = command.replace("curl ", "curl -sS ")
        if shown:
            command = command.replace(str(shown["paymentId"]), str(output["paymentId"]))
        variables += "".join(re.findall(r"^\w+=.*\n", command, re.MULTILINE))
        print(f"$ {text}", end="")
        answer = subprocess.run(
            ["bash", "-euc", variables + re.sub(r"^\w+=.*\n", "", command, flags=re.MULTILINE)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        print(answer)
        documents = list(every_document(answer))
        if "/capture" in command:
            assert [each["status"] for each in documents] == ["CAPTURED", "SUCCEEDED"], answer
            continue
        last, [output] = output, documents
        assert not last or output == last, f"{output}\nis not what was printed before: {last}"


def every_document(text: str) -> Iterator[dict[str, object]]:
    """Yield the JSON documents that several calls printed, one after the other."""
    while text := text.strip():
        document, end = json.JSONDecoder().raw_decode(text)
        yield document
        text = text[end:]


def volatile_apart(document: dict[str, object]) -> dict[str, object]:
    """Return the document without what differs from run to run."""
    return {**document, **dict.fromkeys(("paymentId", "createdAt", "updatedAt", "history"))}


if __name__ == "__main__":
    main()
