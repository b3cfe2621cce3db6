"""All answers of a run, by the name of the call."""

from collections.abc import Mapping

from rootrun.fakeroot.answers.acl import acl_answers
from rootrun.fakeroot.answers.acting import Acting
from rootrun.fakeroot.answers.capabilities import capability_answers
from rootrun.fakeroot.answers.chmod import chmod_answers
from rootrun.fakeroot.answers.chown import chown_answers
from rootrun.fakeroot.answers.create import create_answers
from rootrun.fakeroot.answers.device import mknod_answers
from rootrun.fakeroot.answers.execute import execute_answers
from rootrun.fakeroot.answers.guard import file_guards
from rootrun.fakeroot.answers.ids import id_answers
from rootrun.fakeroot.answers.limits import limit_answers
from rootrun.fakeroot.answers.peer import peer_answers
from rootrun.fakeroot.answers.privileges import privilege_guards
from rootrun.fakeroot.answers.rename import rename_answers
from rootrun.fakeroot.answers.signals import signal_guards
from rootrun.fakeroot.answers.stat import stat_answers
from rootrun.fakeroot.answers.writing import writing_answers
from rootrun.fakeroot.answers.xattr import xattr_answers
from rootrun.fakeroot.caller import Caller
from rootrun.fakeroot.files import Files
from rootrun.fakeroot.filters import FilterPlan
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.identities import Identities
from rootrun.fakeroot.rights import Rights


def answers_of(
    files: Files, plan: FilterPlan, identities: Identities | None, *, gains_nothing: bool
) -> Mapping[str, Handler]:
    """Return what answers the calls that the filter of ``plan`` asks about.

    ``identities`` are there if it is for one uid. ``gains_nothing``: set-id programs are as others.
    """
    rights = Rights(files, identities)
    attribute_answers = xattr_answers if plan.is_restricted else acl_answers
    answers = {
        **chown_answers(files, rights.may_chown, rights.may_let_chown_through),
        **mknod_answers(files, rights.credentials, rights.may_make_devices),
        **create_answers(files, rights.credentials),
        **rename_answers(files),
        **stat_answers(files, identities),
        **(chmod_answers(files, rights.credentials) if plan.is_restricted else {}),
        **attribute_answers(files, rights.credentials),
    }
    if plan.is_restricted:
        attended = writing_answers(files)
        answers |= {name: _guarded(attended[name], answers.get(name)) for name in attended}
    if identities is None:
        return answers
    answers |= _identity_answers(files, identities, gains_nothing=gains_nothing)
    acting = Acting(identities)
    guards = {
        **file_guards(files, acting, is_restricted=plan.is_restricted),
        **privilege_guards(acting),
        **signal_guards(identities, acting),
    }
    return answers | {name: _guarded(guards[name], answers.get(name)) for name in guards}


def _guarded(guard: Handler, handler: Handler | None) -> Handler:
    """Return what answers a call if ``guard`` has no word on it."""
    if handler is None:
        return guard

    def answer(caller: Caller, name: str) -> int | None:
        value = guard(caller, name)
        return handler(caller, name) if value is None else value

    return answer


def _identity_answers(
    files: Files, identities: Identities, *, gains_nothing: bool
) -> Mapping[str, Handler]:
    return {
        **id_answers(identities),
        **capability_answers(identities),
        **execute_answers(identities, files, gains_nothing=gains_nothing),
        **peer_answers(identities),
        **limit_answers(identities),
    }
