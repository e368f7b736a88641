"""The laptop's commands: `python -m local serve`, `start-api` and `token`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from local import LocalError, tokens
from local.loopback import DEFAULT_PORT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(required=True)

    for name, run, help_ in (
        ("serve", _serve, "run the API on this machine"),
        ("start-api", _start_api, "run it with SAM CLI, in Docker"),
    ):
        command = commands.add_parser(name, help=help_)
        command.add_argument("--port", type=int, default=DEFAULT_PORT)
        command.add_argument("--dynamodb", metavar="URL", help="keep the data there")
        command.add_argument("--template", type=Path, default=Path("template.yaml"))
        command.set_defaults(run=run)
        if name == "serve":
            command.add_argument("--folder", type=Path, help="keep data and users there")
            command.add_argument("--fresh", action="store_true", help="forget earlier runs' first")

    command = commands.add_parser(
        "token", help="print an access token for the API that runs here, or for a deployed stack"
    )
    command.add_argument("--port", type=int, default=DEFAULT_PORT)
    command.add_argument("--as", dest="user", default=tokens.DEFAULT_USER)
    command.add_argument("--scope", default="", help="scopes, separated by spaces (default: all)")
    command.add_argument("--expired", action="store_true")
    command.add_argument("--login", action="store_true", help="sign in at the laptop's login")
    command.add_argument("--stack", help="a deployed stack: sign in there")
    command.add_argument("--service", action="store_true", help="as the stack's services' client")
    command.add_argument("--fresh", action="store_true", help="sign in anew, as somebody else")
    # An authorization code of Cognito's is good for five minutes as well.
    command.add_argument("--time-limit", type=float, metavar="SECONDS", default=300)
    command.set_defaults(run=_token)
    return parser


def _serve(options: argparse.Namespace) -> None:
    # The machine's AWS profile, region and proxy play no part here.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["NO_PROXY"] = "*"
    from local.serve import serve  # noqa: PLC0415 - a second of imports that a token does not need

    serve(
        options.template.absolute(),
        options.port,
        options.dynamodb,
        options.folder,
        is_fresh=options.fresh,
    )


def _start_api(options: argparse.Namespace) -> None:
    from local.sam import start_api  # noqa: PLC0415

    start_api(options.template.absolute(), options.port, options.dynamodb)


def _token(options: argparse.Namespace) -> None:
    if options.stack or options.login:
        from local import login  # noqa: PLC0415

        print(
            login.token(
                options.stack or tokens.login(options.port),
                options.time_limit,
                options.scope,
                service=options.service,
                fresh=options.fresh,
            )
        )
        return
    print(tokens.fetch(options.port, options.user, options.scope, expired=options.expired))


if __name__ == "__main__":
    sys.exit(main())
