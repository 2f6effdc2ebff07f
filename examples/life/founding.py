"""Steps 1 to 6: three nodes, sign-in, keys, a context, its first deltas, and two who join."""

import re
import shutil

from examples.life.commands import Meroctl
from examples.life.events import Watcher
from examples.life.narrator import Step
from examples.life.stage import (
    APPLICATION,
    Demo,
    Stage,
    Watchers,
    expect,
    identity,
    invite,
    join,
    lag,
    members,
    read_context,
)

from meroid.client.answers import text_at
from meroid.ids import ContextId, OperationId
from meroid.keys.public import PublicKey

_DONE = "Successfully generated context identity"


def start_nodes(stage: Stage) -> None:
    """Three processes that know nothing of each other."""
    with stage.step("1", "Three people, each with a node of their own") as step:
        step.command(["merod", "--node-name", stage.ada.node, *stage.ada.init_words])
        for machine in stage.machines:
            machine.begin_init()
        for machine in stage.machines:
            machine.finish_init()
        step.command(["merod", "--node-name", stage.ada.node, "run"])
        for machine in stage.machines:
            machine.begin_run()
        for machine in stage.machines:
            machine.finish_start()
            step.facts[machine.node] = machine.url
        step.say("Nothing was asked, nothing was typed: each made a store key, an encrypted database, and an account.")
        where = ", ".join(f"{each.person} at {each.url} ({each.node})" for each in stage.machines)
        step.holds(f"They answer: {where}. They don't look for each other.")


def sign_in(stage: Stage) -> None:
    """Everybody gets tokens for their own node."""
    with stage.step("2", "Sign in with a password") as step:
        for machine in stage.machines:
            meroctl = Meroctl(machine, step)
            meroctl.ask("login", "--username", machine.person, "--password-file", "password")
        for machine in stage.machines:
            account = text_at(Meroctl(machine, step, quiet=True).ask("whoami"), "account_id")
            step.holds(f"{machine.person} opened the account {account}", **{f"{machine.person}_account": account})
        expect(len({*step.facts.values()}) == 3, "three people have three accounts")
        step.say("The password opens the account; it is never a key. The tokens lie where the Python client looks too.")


def generate_identities(stage: Stage) -> tuple[PublicKey, PublicKey]:
    """A client key for Ben and one for Cleo, to be invited with."""
    with stage.step("3", "A client key, derived from the account and linked to it by nothing") as step:
        table = Meroctl(stage.ben, step).show("context", "identity", "generate")
        found = re.search(rf"^\| {_DONE} \| ([1-9A-HJ-NP-Za-km-z]+) \|$", table, re.MULTILINE)
        expect(found is not None and table == _expected_table(found[1]), "the table is the wire's to the letter")
        laptop = PublicKey.parse(found[1]) if found is not None else PublicKey(bytes(32))
        phone = identity(Meroctl(stage.cleo, step))
        step.holds(
            f"Ben's key is {laptop}, Cleo's is {phone}. Neither opens anything yet.",
            laptop=str(laptop),
            phone=str(phone),
        )
    return laptop, phone


def create_context(stage: Stage, keys: tuple[PublicKey, PublicKey]) -> Demo:
    """Ada installs the application and founds a context, in which the two keys will be members."""
    with stage.step("4", "An application, a context, and the first calls") as step:
        shutil.copyfile(APPLICATION, stage.ada.home / APPLICATION.name)
        ada = Meroctl(stage.ada, step)
        application_id = text_at(ada.ask("app", "install", "--path", APPLICATION.name), "data", "applicationId")
        context_id, founder = _create(ada, application_id, "demo", "founder")
        step.say(
            f"The context {context_id} has one member, its founder {founder}.",
            application_id=application_id,
            context_id=str(context_id),
            founder=str(founder),
        )
        ada.call("set", "demo", "founder", key="greeting", value="hello")
        expect(ada.call("get", "demo", "founder", key="greeting") == "hello", "what was set is there")
        step.holds('"get" gives back what "set" stored: "hello".')
    laptop, phone = keys
    return Demo(application_id=application_id, context_id=context_id, founder=founder, laptop=laptop, phone=phone)


def show_delta(stage: Stage) -> None:
    """What the call left behind."""
    with stage.step("5", "What the call left behind: a delta") as step:
        root_hash, heads = read_context(Meroctl(stage.ada, step), "demo")
        expect(len(heads) == 1, "one operation is the last")
        step.say(
            f"The delta {heads[0]} is signed by the founder's client key, encrypted under the epoch key, and stored. "
            f"The state that follows has the root hash {root_hash}.",
            delta=str(heads[0]),
            root_hash=root_hash,
        )


def let_ben_join(stage: Stage, demo: Demo) -> str:
    """Ada invites Ben; the invitation, which is returned, tells his node where hers is."""
    with stage.step("6.1", "Ben joins by invitation") as step:
        ada, ben = Meroctl(stage.ada, step), Meroctl(stage.ben, step)
        invitation = invite(ada, demo.laptop, "laptop", "demo", "founder")
        expect(join(ben, invitation, "demo", "laptop") == demo.context_id, "Ben joined the context")
        expect(ben.call("get", "demo", "laptop", key="greeting") == "hello", "who joins has the state")
        found = members(ada, "demo")
        expect(set(found) == {str(demo.founder), str(demo.laptop)}, "both are members")
        may = ", ".join(found[str(demo.laptop)])
        step.holds(f"His node fetched history, keys and application from hers. He may: {may}.", laptop_may=may)
    return invitation


def share_notes(stage: Stage, demo: Demo) -> str:
    """Ben founds a context of his own, and Cleo joins it; its id."""
    with stage.step("6.2", "Ben has another context, with Cleo") as step:
        ben, cleo = Meroctl(stage.ben, step), Meroctl(stage.cleo, step)
        context_id, member = _create(ben, demo.application_id, "notes", "ben")
        key = identity(cleo)
        join(cleo, invite(ben, key, "cleo", "notes", "ben"), "notes", "cleo")
        expect(len({demo.laptop, demo.phone, member, key}) == 4, "no key serves two contexts")
        step.holds(
            f"In the context {context_id} he is {member}: another key, and neither context tells of the other.",
            context_id=str(context_id),
            ben=str(member),
            cleo=str(key),
        )
    return str(context_id)


def let_cleo_join(stage: Stage, demo: Demo) -> None:
    """Ada invites Cleo, and all three are together."""
    with stage.step("6.3", "Cleo joins the demo too") as step:
        ada, cleo = Meroctl(stage.ada, step), Meroctl(stage.cleo, step)
        invitation = invite(ada, demo.phone, "phone", "demo", "founder")
        expect(join(cleo, invitation, "demo", "phone") == demo.context_id, "Cleo joined the context")
        expect(cleo.call("get", "demo", "phone", key="greeting") == "hello", "who joins has the state")
        found = members(ada, "demo")
        expect(set(found) == {str(demo.founder), str(demo.laptop), str(demo.phone)}, "all three are members")
        step.holds(f"The demo has {len(found)} members.", members=len(found))


def share_events(stage: Stage, demo: Demo, notes_id: str, watchers: Watchers) -> OperationId:
    """What one writes, the others hear at once over `/ws`; Ben's delta."""
    context_id = str(demo.context_id)
    with stage.step("6.4", "What one writes, the others hear over /ws") as step:
        ada, ben, cleo = watchers.ada, watchers.ben, watchers.cleo
        for watcher in (ada, ben, cleo):
            watcher.subscribe(context_id)
        cleo.subscribe(notes_id)
        Meroctl(stage.ada, step).call("set", "demo", "founder", key="plan", value="picnic")
        _all_hear(step, context_id, "plan", "picnic", ada, ben, cleo)
        Meroctl(stage.ben, step).call("set", "demo", "laptop", key="from-ben", value="bread")
        _all_hear(step, context_id, "from-ben", "bread", ben, ada, cleo)
        seen = [read_context(Meroctl(machine, step, quiet=True), "demo") for machine in stage.machines]
        (root_hash, heads) = seen[0]
        expect(all(each == seen[0] for each in seen) and len(heads) == 1, "all three have the same state and history")
        step.holds(f"All three nodes have the root hash {root_hash}.", root_hash=root_hash, bens_delta=str(heads[0]))
    return heads[0]


def _create(meroctl: Meroctl, application_id: str, context: str, alias: str) -> tuple[ContextId, PublicKey]:
    words = ("--protocol", "near", "-a", application_id, "--name", context, "--as", alias)
    made = meroctl.ask("context", "create", *words)
    key = PublicKey.parse(text_at(made, "data", "memberPublicKey"))
    return ContextId.parse(text_at(made, "data", "contextId")), key


def _all_hear(step: Step, context_id: str, key: str, value: str, writer: Watcher, *others: Watcher) -> None:
    own = writer.wait_for_value(context_id, key, value)
    for other in others:
        ms = lag(own, other.wait_for_value(context_id, key, value))
        who, whose = other.machine.person.title(), writer.machine.person.title()
        step.holds(f"{who} heard of it {ms} ms after {whose}'s own node.", **{f"{other.machine.node}_lag_ms": ms})


def _expected_table(key: str) -> str:
    """`wire/node.md` §3.4."""
    first, second = len(_DONE) + 2, len(key) + 2
    return "\n".join(
        [
            f"+{'-' * first}+{'-' * second}+",
            f"| {'Context Identity Generated'.ljust(len(_DONE))} | {'Public Key'.ljust(len(key))} |",
            f"+{'=' * (first + second + 1)}+",
            f"| {_DONE} | {key} |",
            f"+{'-' * first}+{'-' * second}+\n",
        ]
    )
