"""Step 7: a member is removed, refused everywhere, and loses nothing else."""

from examples.life.commands import Meroctl
from examples.life.events import refusal_code
from examples.life.machines import stop
from examples.life.modified_node import ModifiedNode
from examples.life.narrator import since
from examples.life.stage import Demo, Stage, Watchers, expect, lag, members, now, read_context

from meroid.client.answers import text_at
from meroid.ids import OperationId
from meroid.ledger.operation import VerifiedOperation
from meroid.service.invitations import decode_ticket
from meroid.wire.invitations import decode_invitation


def remove_ben(stage: Stage, demo: Demo, watchers: Watchers) -> None:
    """The mission's command."""
    with stage.step("7.1", "Ada removes Ben's key from the context") as step:
        ada = Meroctl(stage.ada, step)
        start = now()
        ada.ask("context", "identity", "revoke", "laptop", "Member", "--as", "founder", "--context", "demo")
        step.facts["revoke_ms"] = since(start)
        told = watchers.ben.wait_for_end()
        told_ms, code = round((told.at - start) * 1000), refusal_code(told.frame)
        step.refused(
            f'{told_ms} ms after she typed it, Ben\'s own node ends his subscription: "{code}".',
            told=code,
            told_ms=told_ms,
        )
        left = members(ada, "demo")
        expect(set(left) == {str(demo.founder), str(demo.phone)}, "two members are left")
        step.holds(f"{len(left)} members are left, and they go on under a new epoch key.", members=len(left))
    with stage.step("7.2", "Ben's next request") as step:
        ben = Meroctl(stage.ben, step)
        refusal = ben.call_refused("get", "demo", "laptop", key="greeting")
        expect(refusal.code == "membership_ended", "the code is the one for an ended membership")
        step.refused(f'"{refusal.code}": {refusal.reason}.', code=refusal.code)
        refusal = ben.call_refused("set", "demo", "laptop", key="greeting", value="bye")
        step.refused(f'Writing is refused in the same way: "{refusal.code}".', set_code=refusal.code)


def go_on_without_ben(stage: Stage, demo: Demo, watchers: Watchers) -> OperationId:
    """The others write on; Ben's node gets nothing of it."""
    context_id = str(demo.context_id)
    with stage.step("7.3", "The others go on, and Ben's node hears nothing") as step:
        silent_since = watchers.ben.count()
        ada = Meroctl(stage.ada, step)
        ada.call("set", "demo", "founder", key="plan", value="picnic, without ben")
        own, other = (
            each.wait_for_value(context_id, "plan", "picnic, without ben") for each in (watchers.ada, watchers.cleo)
        )
        step.holds(f"Cleo's node told of it {lag(own, other)} ms after Ada's.", lag_ms=lag(own, other))
        root_hash, heads = read_context(ada, "demo")
        stale, _ = read_context(Meroctl(stage.ben, step), "demo")
        expect(stale != root_hash and watchers.ben.count() == silent_since, "Ben's node heard nothing")
        step.holds(f"Ada's root hash is {root_hash}; on Ben's node it stays {stale}.", root_hash=root_hash, stale=stale)
        step.facts["delta"] = str(heads[0])
        expect(len(heads) == 1, "one operation is the last")
    return heads[0]


def go_on_elsewhere(stage: Stage, notes_id: str, watchers: Watchers) -> None:
    """What the removal did not touch."""
    with stage.step("7.4", "Ben's account and his other context go on") as step:
        ben = Meroctl(stage.ben, step)
        account = text_at(ben.ask("whoami"), "account_id")
        ben.call("set", "notes", "ben", key="mood", value="sober")
        watchers.cleo.wait_for_value(notes_id, "mood", "sober")
        step.holds(f'The account {account} is signed in as before, and Cleo gets his note in "notes".', account=account)


def forge(stage: Stage, demo: Demo, invitation: str, watchers: Watchers) -> VerifiedOperation:
    """Ben stops his node, runs a modified one on its store, and signs a delta anyway."""
    context_id = str(demo.context_id)
    ticket = decode_ticket(demo.context_id, decode_invitation(invitation).contract)
    with stage.step("7.5", "Ben runs a modified node on his store, which forgets the removal") as step:
        stop([stage.ben])
        with ModifiedNode(stage.ben, demo.context_id, demo.laptop, ticket.endpoints) as modified:
            modified.find_others()
            forged = modified.forge("plan", "ben decides")
            step.say(
                f"It signs the delta {forged.operation_id} with Ben's client key, cites only what came before the "
                "removal, encrypts it under the old epoch key, and publishes it where both others still listen.",
                forged=str(forged.operation_id),
            )
            modified.publish(forged)
            codes = sorted({modified.ask_for_history(member) for member in modified.others})
            expect(codes == ["peer_refused"] and len(modified.others) == 2, "both others refuse to answer")
            step.refused(
                f'It asks both others for what is new, and proves that it holds the key: "{codes[0]}", twice.',
                asked=len(modified.others),
                code=codes[0],
            )
            Meroctl(stage.ada, step).call("set", "demo", "founder", key="day", value="sunday")
            watchers.cleo.wait_for_value(context_id, "day", "sunday")
            expect(modified.heard == 0, "nothing is published where Ben could hear it")
            step.holds(
                "Ada writes and Cleo gets it; on the topic that Ben knows, nothing is said.", heard=modified.heard
            )
    return forged


def nothing_changed(stage: Stage) -> None:
    """The forged delta had no effect, and Ben's earlier one stays."""
    with stage.step("7.6", "What Ada and Cleo see after it") as step:
        wanted = {"greeting": "hello", "plan": "picnic, without ben", "from-ben": "bread", "day": "sunday"}
        for machine, alias in ((stage.ada, "founder"), (stage.cleo, "phone")):
            found = Meroctl(machine, step).call("entries", "demo", alias)
            expect(found == wanted, f"{machine.node} has what was written rightly, and nothing else")
        roots = {read_context(Meroctl(each, step, quiet=True), "demo")[0] for each in (stage.ada, stage.cleo)}
        expect(len(roots) == 1, "both have the same root hash")
        step.holds(
            f'The forged value is nowhere, and what Ben wrote before stays: "from-ben" is "bread". Both have {min(roots)}.',
            root_hash=min(roots),
        )


def restart(stage: Stage, notes_id: str, watchers: Watchers) -> None:
    """Ben's honest node comes back, and signs at once."""
    with stage.step("7.7", "Ben starts his honest node again") as step:
        start = now()
        stage.ben.begin_run()
        stage.ben.finish_start()
        step.facts["start_ms"] = since(start)
        ben = Meroctl(stage.ben, step)
        ben.call("set", "notes", "ben", key="mood", value="better")
        step.holds(f"Up after {step.facts['start_ms']} ms, it signs at once; nobody typed a password.")
        watchers.cleo.wait_for_value(notes_id, "mood", "better")
        refusal = ben.call_refused("get", "demo", "laptop", key="greeting")
        step.refused(f'Cleo has his note. In the demo he is refused as before: "{refusal.code}".', code=refusal.code)
