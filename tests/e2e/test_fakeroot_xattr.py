"""Below a filter that forbids set-id modes and extended attributes, nothing of them is lost.

The layer is that of the same script outside, with subordinate ids. ACLs that name users are kept
from a script nowhere.
"""

import pytest

from tests.support.restricted import restricted_build
from tests.support.tarball import directory, file, symlink, tarball
from tests.support.workplace import Workplace, busybox_layer, content_of, layers_of, top_layer

pytestmark = pytest.mark.userns

KEEP = ("--owner", "keep")
# The machine's own programs, on a base of links into its /usr.
USR = tarball(
    *(symlink(name, f"usr/{name}") for name in ("lib", "lib64", "sbin")), directory("usr")
)
MACHINE = ("--bind", "/usr:/usr:ro")
# Not busybox, whose shell takes its own applets for the programs of that name.
SHELL = "#!/usr/bin/dash -e\nPATH=/usr/sbin:/usr/bin\n"
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw=ep
BASE = tarball(
    directory("srv", mode=0o2775, uid=5, gid=6),
    file("srv/suid", b"suid", mode=0o4755),
    file("srv/sgid", b"sgid", mode=0o2711, uid=5, gid=6),
    file("srv/cap", b"cap", mode=0o755, xattrs={"security.capability": CAPABILITY}),
    file("srv/user", b"user", xattrs={"user.k": b"old", "user.l": b"value"}),
    file("srv/plain", b"plain", mode=0o755),
    file(
        "modes.tar",
        tarball(directory("t", mode=0o2755), file("t/u", b"u", mode=0o4711), file("t/g", b"g")),
    ),
)
SET_IDS = {
    "setuid": "touch /n; chmod 4755 /n",
    "both by letters": "touch /n; chmod u+s /n; chmod g+s /n",
    "with an owner": "touch /n; chown 7:8 /n; chmod 6711 /n",
    "before an owner": "touch /n; chmod 6711 /n; chown 7:8 /n",
    "taken away again": "touch /n; chmod 4755 /n; chmod 0755 /n",
    "one taken away": "touch /n; chmod 6755 /n; chmod u-s /n",
    "a directory": "mkdir /d; chmod 2775 /d; touch /d/f; mkdir /d/e",
    "a directory's with a group": "mkdir /d; chown 3:4 /d; chmod 2775 /d; touch /d/f; mkdir /d/e",
    "mkdir -m": "mkdir -m 3777 /d; touch /d/f",
    "install": "/usr/bin/install -m 6755 -o 3 -g 4 /srv/plain /n; /usr/bin/install -d -m 2755 /d",
    "cp -a": "touch /n; chmod 4755 /n; cp -a /n /m; /usr/bin/cp -a /srv/sgid /o; cp -a /srv /copy",
    "mv": "touch /n; chmod 4755 /n; mv /n /m; mv /srv/suid /suid; mv /srv/sgid /srv/other",
    "ln": "touch /n; chmod 4755 /n; ln /n /m; chmod g+s /m",
    "tar": "cd /tmp; tar xf /modes.tar; /usr/bin/tar -C /srv -xpf /modes.tar",
    "the base's taken away": "chmod 0755 /srv/suid; chmod 711 /srv/sgid",
    "the base's moved and taken away": "mv /srv/suid /n; chmod 755 /n",
    "the base's changed": "chmod 4700 /srv/suid; chmod u+s /srv/sgid",
    "the base's touched": "touch /srv/suid /srv/sgid; chmod 4755 /srv/suid; echo > /end",
    "the base's given away": "chown 9 /srv/suid /srv/sgid",
    "the base's replaced": "rm /srv/suid; touch /srv/suid; cp /srv/plain /x; mv /x /srv/sgid",
    "the base's directory": "mkdir /srv/d; touch /srv/f; chmod g-s /srv; mkdir /srv/e",
    "through links": "touch /n; ln -s n /l; chmod 4755 /l; cd /srv; chmod 2755 ../srv/./plain",
    "a fifo": "mkfifo /p; chmod 6644 /p",
    "written to": "touch /n /m; chmod 6755 /n; chmod 2744 /m; echo x >> /n; echo x > /m\n"
    "stat -c %a /n /m > /said",
    "written to and renamed": "touch /n; chmod 4755 /n; echo > /n; mv /n /m; chmod g+s /m",
    "the base's written to": "echo x >> /srv/suid; echo > /srv/sgid; chmod u+s /srv/sgid",
    "truncated": "/usr/bin/dash -c 'echo x > /n; chmod 4755 /n; : > /n'; truncate -s 3 /srv/suid",
    "deleted": "touch /n; chmod 4755 /n; rm /n; touch /n",
    "by another user": "mkdir /d; chown 1000:1000 /d; su app -c 'touch /d/n; chmod 6755 /d/n'\n"
    "su app -c 'chmod 4755 /srv/plain' || echo $? > /said",
    "of a foreign group": "touch /n; chown 1000:7 /n; su app -c 'chmod 6777 /n'",
    "what is shown": "touch /n; chmod 6755 /n; chmod 2711 /srv/plain; mkdir -m 2755 /d\n"
    "stat -c '%a %u %g %n' /n /d /srv /srv/* > /said; find / -xdev -perm -4000 >> /said",
}

XATTRS = {
    "setcap": "cp /srv/plain /n; setcap cap_net_raw+ep /n; getcap /n /srv/* > /said",
    "setcap -r": "setcap -r /srv/cap; cp /srv/plain /n; setcap cap_chown=p /n; setcap -r /n",
    "setcap of the base's": "setcap cap_chown,cap_kill=eip /srv/cap",
    "setfattr": "touch /n; mkdir /d; setfattr -n user.x -v 1 /n; setfattr -n user.y -v 22 /d /n\n"
    "setfattr -n user.x -v 333 /n; getfattr -d /n /d > /said",
    "setfattr of the base's": "cd /srv; setfattr -n user.k -v new user; setfattr -x user.l user\n"
    "setfattr -x user.k user; setfattr -n user.m -v m suid sgid; getfattr -d user suid > /said",
    "an empty value": "touch /n; setfattr -n user.x /n; getfattr -d /n > /said",
    "cp -a": "cp -a /srv /copy; cp /srv/plain /n; setcap cap_kill=p /n; cp -a /n /m; cp /n /o",
    "mv and ln": "mv /srv/cap /cap; ln /srv/user /user; mv /srv/user /srv/moved; rm /srv/plain",
    "writing": "cp /srv/plain /n; setcap cap_kill=p /n; echo >> /n; getcap /n > /said",
    "chown": "cp /srv/plain /n; setcap cap_kill=p /n; setfattr -n user.x -v 1 /n; chown 3:4 /n\n"
    "chown 9 /srv/cap /srv/user; getfattr -d -m - /n /srv/cap /srv/user > /said",
    "chmod and touch": "touch /n; setcap cap_kill=p /n; chmod 600 /n; touch /n; chmod 711 /srv/cap",
    "tar": "cd /srv; touch -d @0 *; tar --xattrs --xattrs-include=* -cf - cap user | "
    "(mkdir /t; cd /t; tar --xattrs --xattrs-include=* -xpf -)",
    "deleted": "touch /n; setfattr -n user.x -v 1 /n; rm /n; touch /n; rm /srv/user; > /srv/user",
    "nothing new": "setfattr -n user.k -v old /srv/user; setcap cap_net_raw=ep /srv/cap; > /end",
}
# Each line is a call and what came of it.
ERRORS = r"""
import errno, os
def said(call, path, *arguments):
    try:
        result = getattr(os, call)(path, *arguments)
        result = sorted(result) if isinstance(result, list) else result
    except OSError as error:
        result = errno.errorcode[error.errno]
    print(call, path, *(str(argument)[:30] for argument in arguments), result)
os.mkdir("/h"); os.chdir("/h"); os.mkdir("d"); os.mkfifo("p"); os.symlink("f", "l")
open("f", "w").close(); os.symlink("nothing", "dangling"); os.mkdir("sticky", 0o1777)
os.chmod("sticky", 0o1777); fd = os.open("f", os.O_RDWR)
for path in ("f", "d", "p", "l", "dangling", "nothing", "f/x", "", fd, os.open("f", os.O_PATH),
             999):
    said("setxattr", path, "user.a", b"1")
    for follow in (True, False) if isinstance(path, str) else (True,):
        for call in ("getxattr", "removexattr"):
            try:
                print(call, path, follow, getattr(os, call)(path, "user.a", follow_symlinks=follow))
            except OSError as error:
                print(call, path, follow, errno.errorcode[error.errno])
    said("listxattr", path)
for name in ("", "user.", "x" * 255, "x" * 256, "user." + "x" * 250, "user." + "x" * 251):
    said("setxattr", "f", name, b"1")
    said("getxattr", "f", name)
for flag in (os.XATTR_CREATE, os.XATTR_REPLACE, 3, 4):
    said("setxattr", "f", "user.f", b"1", flag)
    said("setxattr", "f", "user.f", b"2", flag)
said("removexattr", "f", "user.f"); said("removexattr", "f", "user.f")
said("setxattr", "f", "user.big", bytes(65537))
for value in (bytes(20), bytes.fromhex("01000002") + bytes(16), bytes.fromhex("01000003")
              + bytes(20), bytes.fromhex("01000003") + bytes(16), bytes.fromhex("01000001")
              + bytes(8), bytes.fromhex("02000002") + bytes(16)):
    said("setxattr", "d", "security.capability", value)
    said("getxattr", "d", "security.capability")
said("removexattr", "d", "security.capability"); said("getxattr", "d", "security.capability")
os.chmod("f", 0o644); os.chmod("d", 0o700)
os.setxattr("f", "user.r", b"r"); os.setxattr("d", "user.r", b"r"); os.setgroups([])
os.setxattr("sticky", "user.s", b"r")
os.setresgid(7, 7, 7); os.setresuid(7, 7, 7)
for path in ("f", "d", "sticky"):
    said("getxattr", path, "user.r"); said("setxattr", path, "user.r", b"2")
    said("listxattr", path)
    said("setxattr", path, "security.capability", bytes.fromhex("01000002") + bytes(16))
"""
ACLS = {
    "a user": "setfacl -m u:5:rwx,g:6:r /n; getfacl -n /n; stat -c %a /n",
    "one after the other": "setfacl -m u:5:rwx /n; setfacl -m u:7:r,u:0:x,m:r /n; getfacl -n /n\n"
    "setfacl -x u:5 /n; getfacl -n /n; setfacl -b /n; getfacl -n /n",
    "chmod": "setfacl -m u:5:rwx,g:6:r /n; chmod 741 /n; getfacl -n /n; chmod 4700 /n; ls -ln /n |"
    " cut -c1-12; getfacl -n /n",
    "defaults": "mkdir /d; setfacl -d -m u:5:rwx /d; setfacl -m g:6:rx /d; getfacl -n /d\n"
    "touch /d/f; stat -c %a /d/f; setfacl -k /d; getfacl -n /d",
    "inherited": "mkdir /d; setfacl -d -m u:5:rwx,g:6:r /d; touch /d/f; mkdir -p /d/e/g\n"
    "chown 5 /d/f; touch /d/e/g/h; chmod 600 /d/f; setfacl -m u:0:x /d/e/g/h; mv /d/f /d/e/i\n"
    "touch /d/j; setfacl -b /d/j; setfacl -m u:0:rwx,g:0:r /d/j\n"
    "(umask 077; echo > /d/k); getfacl -Rn /d",
    "copied": "setfacl -m u:5:rwx,g:6:r /n; cp -a /n /m; getfacl -n /m; mv /n /o\n"
    "ln /o /p; getfacl -n /o /p",
    "replaced": "setfacl -m u:5:rwx /n; setfacl -b /n; setfacl -m u:0:rwx /n; getfacl -n /n",
    "the base's": "setfacl -m u:5:rwx,g:6:r /srv/plain; getfacl -n /srv/plain; rm /srv/plain\n"
    "> /srv/plain; getfacl -n /srv/plain",
    "by another user": "setfacl -m u:1000:rw /n; chown 1000 /n\n"
    "/bin/su app -c 'setfacl -m u:5:r /n'; getfacl -n /n\n"
    "/bin/su app -c 'setfacl -m u:5:r /srv/plain' || echo $?",
    "nonsense": "setfattr -n system.posix_acl_access -v 0x0200 /n || echo $?\n"
    "setfattr -n system.posix_acl_access -v 0x0300000001000700ffffffff /n || echo $?\n"
    "setfattr -n system.posix_acl_access -v 0x0200000002000700050000000 /n || echo $?\n"
    "ln -s n /l; setfattr -h -n system.posix_acl_access -v 0x02000000 /l || echo $?\n"
    "setfacl -d -m u:5:r /n || echo $?",
}


def assert_same_as_outside(script: str, *, lone: Workplace, many: Workplace) -> None:
    layers = (busybox_layer(), USR, BASE)
    outside = many.build(script, *KEEP, *MACHINE, base=many.base("base.tar", *layers))
    base = lone.base("base.tar", *layers)
    inside, _ = restricted_build(lone, script, *KEEP, *MACHINE, base=base)
    assert layers_of(inside)[-1] == layers_of(outside)[-1]
    assert top_layer(outside), "nothing was changed"


@pytest.mark.parametrize("case", SET_IDS)
def test_set_id_modes_are_those_of_a_run_outside(
    case: str, lone_workplace: Workplace, workplace: Workplace
) -> None:
    assert_same_as_outside(f"{SET_IDS[case]}\n", lone=lone_workplace, many=workplace)


@pytest.mark.parametrize("case", XATTRS)
def test_attributes_are_those_of_a_run_outside(
    case: str, lone_workplace: Workplace, workplace: Workplace
) -> None:
    script = f"{SHELL}{XATTRS[case]}\n"
    assert_same_as_outside(script, lone=lone_workplace, many=workplace)


def test_acls_do_what_they_are_for_where_owners_are_not_shown(lone_workplace: Workplace) -> None:
    script = f"{SHELL}touch /n; setfacl -m u:5:rwx /n; stat -c %a /n > /said\n"
    base = lone_workplace.base("base.tar", busybox_layer(), USR)
    output = lone_workplace.build(script, "--emulate", "record", *MACHINE, base=base)
    assert content_of(output, "said") == b"674\n"


def test_errors_are_those_of_a_kernel_that_is_asked(
    lone_workplace: Workplace, workplace: Workplace
) -> None:
    said = []
    for place in (workplace, lone_workplace):
        layers = (busybox_layer(), USR, tarball(file("errors.py", ERRORS.encode())))
        base = place.base("base.tar", *layers)
        script = "/usr/bin/python3 -I /errors.py > /said\n"
        if place is workplace:
            output = place.build(script, *KEEP, *MACHINE, base=base)
        else:
            output, _ = restricted_build(place, script, *KEEP, *MACHINE, base=base)
        said.append(content_of(output, "said").decode().splitlines())
    assert said[1] == said[0]


def test_where_nothing_may_be_traced_the_refusal_is_told_and_the_rest_remembered(
    lone_workplace: Workplace,
) -> None:
    script = """touch /n; chmod 4755 /n 2> /said || echo $? >> /said
    chown 3:4 /n; chmod 0755 /srv/suid; chmod 711 /srv/sgid; stat -c %a /srv/s* >> /said
    """
    base = lone_workplace.base("base.tar", busybox_layer(), BASE)
    output, messages = restricted_build(
        lone_workplace, script, *KEEP, base=base, is_traceable=False
    )
    assert "a filter above rootrun (a Nix sandbox?) forbids set-id modes" in messages
    assert content_of(output, "said").splitlines()[1:] == [b"1", b"711", b"755"]
    modes = {name: (member.mode, member.uid) for name, member in top_layer(output).items()}
    assert modes["n"] == (0o644, 3)
    assert (modes["srv/suid"], modes["srv/sgid"]) == ((0o755, 0), (0o711, 5))


@pytest.mark.parametrize("case", ACLS)
def test_acls_that_name_users_are_shown_again(
    case: str, lone_workplace: Workplace, workplace: Workplace
) -> None:
    script = f"{SHELL}touch /n; exec > /said 2>&1\n{ACLS[case]}\n"
    outputs = []
    for place in (workplace, lone_workplace):
        base = place.base("base.tar", busybox_layer(), USR, BASE)
        outputs.append(place.build(script, *KEEP, *MACHINE, base=base))
    assert content_of(outputs[1], "said").decode() == content_of(outputs[0], "said").decode()
    assert layers_of(outputs[1]) == layers_of(outputs[0])
