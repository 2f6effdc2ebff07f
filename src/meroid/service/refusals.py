"""Verdicts as refusals: the code of a rule, as an error with a reason and a next step."""

from typing import Final

from meroid.errors import ForbiddenError, MeroidError
from meroid.ledger.verdict import Verdict

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "not_a_member": ("the author is not a member", "join with an invitation of a member"),
    "wrong_admission": ("the operation names another admission", "try again; the node composes it anew"),
    "lacks_capability": ("the author lacks the capability that this needs", "ask a manager to grant it"),
    "gives_more_than_held": (
        "nobody gives or takes a capability that it does not have itself",
        "ask a member who has the capability",
    ),
    "already_member": ("the key is a member already", "nothing has to be done"),
    "no_such_invitation": ("the invitation was used up, revoked, or is not known", "ask for a new invitation"),
    "not_invited": ("the invitation is for another key", "ask for an invitation for your own key"),
    "bad_invitation_proof": ("the secret of the invitation does not fit", "copy the whole invitation again"),
    "no_such_join": ("nobody asked to join with that operation", "have the person join again"),
    "join_needs_no_admission": ("the join named its key and needs no admission", "nothing has to be done"),
    "target_not_a_member": ("the key is not a member", "list the members: `meroctl context members`"),
    "target_lacks_capability": ("the member does not have that capability", "nothing has to be done"),
    "not_senior": (
        "only a strictly more senior manager, or the member itself, takes a right alone",
        "ask a more senior manager, or the founder",
    ),
    "frontier_of_another": ("the frontier names operations of somebody else", "name operations of the member only"),
    "cascade_needs_seniority": ("only a more senior manager removes whom a member let in", "ask a more senior manager"),
    "cascade_not_below_target": ("a named key was not let in by the member", "name members that it let in"),
    "only_manager": (
        "the only manager cannot go while others are members",
        "grant ManageMembers to another member first",
    ),
    "wrap_for_stranger": ("an epoch key was sealed for somebody who is not a reader", "try again"),
    "epoch_exists": ("the epoch exists already", "try again"),
    "epoch_not_usable": ("the epoch may not encrypt new writes any more", "try again; the node begins a new epoch"),
    "unknown_epoch": ("the epoch is not known", "sync the context and try again"),
    "author_removed": ("the membership of the author ended", "ask for a new invitation"),
    "capability_revoked": ("the capability was revoked", "ask a manager to grant it again"),
    "key_rotated": ("the client key was replaced by its next one", "act as the new key"),
    "key_retired": ("the client key was rotated away, and may be in a thief's hands", "join with another identity"),
    "chain_of_another": ("the operation does not continue the chain of its author's membership", "try again"),
    "key_unlinked": ("the key was taken out of its member's membership", "act as the member's main key"),
    "rests_on_void_link": ("what linked the key to its member does not count", "have the device linked again"),
    "key_not_new": (
        "the key was in the context before, and a membership that ended does not come back by a link",
        "link another identity: `meroctl context identity generate`",
    ),
    "bad_link_proof": (
        "the key did not agree to be linked to this member",
        "take a new code to the device: `meroctl context identity link`",
    ),
    "not_linked_here": (
        "the key is not linked to this member",
        "see which are: `meroctl context identity show`",
    ),
    "target_is_linked": (
        "the key is linked to a member, whose main key stands for both",
        "name the member's main key: `meroctl context members`",
    ),
    "not_the_main_key": (
        "only the member's main key links, unlinks, leaves or removes the member",
        "do it as the main key: `meroctl context identity show` says which one that is",
    ),
    "not_the_next_key": (
        "the key is not the one that the member's keys were committed to",
        "rotate from the account's own node, whose seed has the next key",
    ),
    "invitation_ended": ("the invitation ended with its inviter's membership or right", "ask for a new invitation"),
    "author_suspended": ("the author's removal is asked for and not decided", "wait for the decision of the managers"),
    "rests_on_void_admission": ("the admission of the author does not count", "ask for a new invitation"),
    "rests_on_void_invitation": ("the invitation does not count", "ask for a new invitation"),
    "rests_on_void_join": ("the join that was admitted does not count", "have the person join again"),
    "rests_on_void_grant": ("what gave the author the capability does not count", "ask a manager to grant it"),
}

RULE_CODES: Final = tuple(_WORDS)
"""The codes of the rules."""


class RuleRefusalError(ForbiddenError):
    """A rule of the context doesn't allow it; the code is the rule's."""

    def __init__(self, code: str, reason: str, next_step: str) -> None:
        super().__init__(reason, next_step=next_step)
        self.code = code  # type: ignore[misc]  # one class for all rules; the rule gives the code


def refusal_of(verdict: Verdict) -> MeroidError:
    """The error for a verdict that isn't valid."""
    rests = ("what the operation rests on does not count", "sync the context and try again")
    reason, next_step = _WORDS.get(verdict.code, rests)
    if verdict.because is not None:
        reason = f"{reason} (operation {verdict.because})"
    return RuleRefusalError(verdict.code, reason, next_step)
