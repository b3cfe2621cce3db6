"""All answers of a run, by the name of the call."""

from collections.abc import Mapping

from rootrun.fakeroot.answers.chown import chown_answers
from rootrun.fakeroot.answers.create import create_answers
from rootrun.fakeroot.answers.device import mknod_answers
from rootrun.fakeroot.answers.rename import rename_answers
from rootrun.fakeroot.answers.stat import stat_answers
from rootrun.fakeroot.files import Files
from rootrun.fakeroot.filters import FilterPlan
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.identities import Identities
from rootrun.fakeroot.rights import Rights


def answers_of(files: Files, plan: FilterPlan) -> Mapping[str, Handler]:
    """Return what answers the calls that the filter of ``plan`` asks about."""
    identities = Identities() if plan.is_lone else None
    rights = Rights(files, identities)
    return {
        **chown_answers(files, rights.may_chown),
        **mknod_answers(files, rights.credentials, rights.may_make_devices),
        **create_answers(files, rights.credentials),
        **rename_answers(files),
        **stat_answers(files),
    }
