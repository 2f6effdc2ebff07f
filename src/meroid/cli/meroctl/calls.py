"""`meroctl call`: a method of a context's application."""

import json

from meroid.cli.meroctl.refusals import BadArgumentError
from meroid.cli.meroctl.report import print_problem
from meroid.cli.meroctl.session import Session
from meroid.cli.meroctl.tables import Table
from meroid.client.answers import value_at
from meroid.client.call_failure import CallFailure, call_failure


def call(session: Session) -> int:
    """Call a method; a call that failed is shown as failed and ends with 1."""
    args = session.args
    arguments = _arguments(args.arguments)
    context_id = session.context(args.context)
    executor = session.acting(args.acting, context_id)
    body = session.routes.execute(
        {
            "jsonrpc": "2.0",
            "id": args.request_id,
            "method": "execute",
            "params": {
                "contextId": context_id,
                "method": args.method,
                "argsJson": arguments,
                "executorPublicKey": executor,
                "substitute": [name for name in args.substitute.split(",") if name],
            },
        }
    )
    failure = call_failure(body)
    status = "Success" if failure is None else "Error"
    if failure is None:
        output = value_at(body, "result", "output")
        session.output.answer(body, _table(status))
        session.output.value("Result", output)
        return 0
    session.output.answer(body, _table(status))
    _show_failure(session, failure)
    return 1


def _table(status: str) -> Table:
    return Table(["Response", "Status"], [["JSON-RPC Response", status]])


def _show_failure(session: Session, failure: CallFailure) -> None:
    if failure.application_error is not None:
        session.output.value("Application error", failure.application_error)
    if not session.output.json_format:
        print_problem(f"{failure.kind}: {failure.reason}", failure.next_step, failure.code)


def _arguments(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadArgumentError(
            f"--args is not JSON: {error}", next_step='give it in single quotes: --args \'{"key": "value"}\''
        ) from None
    return value
