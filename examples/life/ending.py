"""Steps 8 and 9: a script with the Python client, and an auditor with the stopped nodes' ledgers."""

import json
import sys

from examples.life.audit import books
from examples.life.machines import StoryError, stop
from examples.life.narrator import Step
from examples.life.stage import EXAMPLES, Demo, Stage, expect

from meroid.client.answers import items_at, value_at
from meroid.ids import OperationId
from meroid.ledger.operation import Remove, VerifiedOperation

_SCRIPT = EXAMPLES / "python_client.py"


def run_script(stage: Stage, demo: Demo) -> None:
    """A script on Ada's machine."""
    with stage.step("8", "From Python: calimero_client_py, with the tokens of meroctl login") as step:
        words = [stage.ada.url, stage.ada.node, str(demo.context_id), str(demo.founder)]
        step.command(["python", f"examples/{_SCRIPT.name}", *words])
        done = stage.ada.run(sys.executable, str(_SCRIPT), *words)
        if done.returncode != 0:
            raise StoryError(f"{_SCRIPT.name} ended with {done.returncode}: {done.stderr}")
        body = json.loads(done.stdout)
        contexts = items_at(body, "contexts")
        expect(contexts == [str(demo.context_id)], "list_contexts shows Ada's one context")
        expect(value_at(body, "entries", "from-python") == "hello", "execute_function wrote and read")
        step.holds(f"list_contexts: {', '.join(map(str, contexts))}.", contexts=len(contexts))
        step.holds(f"execute_function: {json.dumps(value_at(body, 'entries'))}.")


def audit(stage: Stage, demo: Demo, *, forged: VerifiedOperation, before: OperationId, after: OperationId) -> None:
    """What the ledgers hold, `before` being Ben's delta, and `after` the founder's after the removal."""
    with stage.step("9", "The nodes are stopped, and an auditor opens their ledgers") as step:
        stop(stage.machines)
        for machine in (stage.ada, stage.cleo):
            with books(machine, demo.context_id) as book:
                verdict = book.verdict(forged.operation_id)
                expect(not verdict.valid and verdict.code == "author_removed", "the forged delta is void")
                because = None if verdict.because is None else book.reread(verdict.because).operation.body
                expect(isinstance(because, Remove) and because.member == demo.laptop, "Ben's removal is why")
                step.refused(
                    f"{book.node} keeps the forged delta as void: {verdict.code}, because of {verdict.because}.",
                    **{f"{book.node}_verdict": verdict.code, "removal": str(verdict.because)},
                )
                expect(book.verdict(before).valid, "what Ben wrote before stays valid")
                expect(book.reread(before).operation.author == demo.laptop, "and is his")
                step.facts[f"{book.node}_before"] = "valid"
        step.holds(f"Ben's earlier delta {before} is valid on both; its signature, verified anew, is his client key's.")
        _try_to_read(stage, demo, step, before=before, after=after)


def _try_to_read(stage: Stage, demo: Demo, step: Step, *, before: OperationId, after: OperationId) -> None:
    """Hand the bytes of a later delta to Ben's keys, stripped of the envelope in which it travelled."""
    with books(stage.ada, demo.context_id) as book:
        earlier, later = book.reread(before), book.reread(after)
        epochs = [each.operation.epoch for each in (earlier, later)]
        old, new = (book.rekey_of(epoch) for epoch in epochs if epoch is not None)
        expect(epochs[0] != epochs[1], "the epoch changed")
        expect(book.opens(later, new), "Ada's keys open the later delta")
        step.holds(
            f"The epoch rotated from {epochs[0]} to {epochs[1]}.",
            old_epoch=str(epochs[0]),
            new_epoch=str(epochs[1]),
        )
    with books(stage.ben, demo.context_id) as book:
        expect(book.has(before) and not book.has(after), "nothing written after the removal came to Ben's node")
        expect(book.opens(earlier, old), "Ben's keys open his earlier delta")
        expect(not book.opens(later, new), "none of Ben's keys opens the later delta")
        step.refused(
            f"The later delta {after} never came to {book.node}; given its very bytes, no key there opens them, "
            f"though one opens {before}.",
            later_delta_opens=False,
            earlier_delta_opens=True,
        )
