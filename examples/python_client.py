"""List the contexts of a node and call its application, as a script or an agent does.

Sign in once with `meroctl --node NODE login`; the client finds the tokens under the name of the node.

    python examples/python_client.py URL NODE CONTEXT EXECUTOR
"""

import json
import sys

from calimero_client_py import ClientError, create_client, create_connection


def main(url: str, node: str, context_id: str, executor: str) -> None:
    """Write one entry, read all, and print what came of it."""
    connection = create_connection(api_url=url, node_name=node)
    client = create_client(connection)

    contexts = [context["id"] for context in client.list_contexts()["data"]["contexts"]]
    arguments = json.dumps({"key": "from-python", "value": "hello"})
    client.execute_function(context_id, "set", arguments, executor)
    answer = client.execute_function(context_id, "entries", "{}", executor)
    if "error" in answer:
        sys.exit(f"the call failed: {answer['error']}")
    print(json.dumps({"contexts": contexts, "entries": answer["result"]["output"]}))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except ClientError as error:
        sys.exit(f"{error}\n{error.next_step}")
