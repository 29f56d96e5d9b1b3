"""What wakes a suspended run: any of its waits. Those in the branches of a race are alternatives, so that
the server can close the others at the moment at which one is resolved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .._lib import limits
from ..v1.worker_pb2 import WaitGroup, WaitTree

if TYPE_CHECKING:
    from .keys import Scope


def wait_tree(waits: Mapping[str, Scope]) -> WaitTree | None:
    """The scopes of the waits by their keys; None where the tree is too long to say."""
    if sum(3 * len(key) for key in waits) > limits.TREE_BYTES_MAX:
        return None
    tree = WaitTree(group=WaitGroup(needed=1))
    groups: dict[object, WaitGroup] = {}
    for key, scope in waits.items():
        _group_of(scope, tree.group, groups).members.add(step_key=key)
    return tree


def _group_of(scope: Scope, root: WaitGroup, groups: dict[object, WaitGroup]) -> WaitGroup:
    """The group of the branch that a scope is in."""
    branch = scope.race_branch
    if branch is None:
        return root
    if branch in groups:
        return groups[branch]
    outer = _group_of(branch.parent, root, groups) if branch.parent is not None else root
    race = branch.race
    if race not in groups:
        groups[race] = outer.members.add(group=WaitGroup(needed=1, exclusive=True)).group
    groups[branch] = groups[race].members.add(group=WaitGroup(needed=1)).group
    return groups[branch]
