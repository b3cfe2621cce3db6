"""Attacks by devices, and by extended attributes that mean something to the kernel."""

import struct

from tests.support.attacks.attack import EVIL, AttackMaker, inside
from tests.support.tarball import Member, device, directory, file, symlink

_DEVICES: dict[str, AttackMaker] = {
    "overlay's whiteout as a device": lambda _: inside(
        "test ! -s /etc/passwd", (device("etc/passwd", 0, 0),)
    ),
    "device of the disk": lambda _: inside(
        'test -z "$(head -c 1 /disk)"', (device("disk", 254, 0, kind="block", mode=0o666),)
    ),
    "memory of the kernel": lambda _: inside(
        'test -z "$(head -c 1 /mem)"', (device("mem", 1, 1, mode=0o666),)
    ),
    "null that is a file": lambda _: inside(
        "echo x > /dev/null && test ! -s /dev/null", (directory("dev"), file("dev/null", EVIL))
    ),
    "rootrun's own place in /dev": lambda to: inside(
        "test -c /dev/null",
        (symlink("dev/.rootrun", to), file("dev/.rootrun/script", b"echo evil")),
    ),
    "files below /proc": lambda _: inside(
        "test -d /proc/self", (file("proc/self/exe", EVIL), file("proc/1/environ", EVIL))
    ),
}


_ACL = struct.pack(  # linux/posix_acl_xattr.h: version; tag, permissions and id of each
    "<I" + "HHI" * 5, 2, *(0x01, 7, 2**32 - 1), *(0x02, 7, 5), *(0x04, 7, 2**32 - 1),
    *(0x10, 7, 2**32 - 1), *(0x20, 7, 2**32 - 1),
)  # fmt: skip
# struct vfs_ns_cap_data, linux/capability.h: revision 3, all of both sets, and a root id.
_CAPABILITY_3 = struct.pack("<6I", 0x03000001, *[2**32 - 1] * 4, 0)


def _xattrs(**values: bytes) -> dict[str, bytes]:
    return {
        f"{space}.overlay.{name}": value
        for space in ("user", "trusted")
        for name, value in values.items()
    }


def _overlay_attributes(holds: str, **values: bytes) -> AttackMaker:
    """Return an attack by what overlayfs would take for its own on a directory and on files."""
    attributes = _xattrs(**values)
    lower = (file("d/below", b"seen"), file("other/file", EVIL), file("f", b"seen"))
    upper = (directory("d", xattrs=attributes), file("f", b"", xattrs=attributes))
    both = (*upper, file("d/g", b"", xattrs=attributes), directory("./", xattrs=attributes))
    return lambda _: inside(f"test $(cat /d/below) = seen && test -f /f && {holds}", lower, both)


_ATTRIBUTES: dict[str, AttackMaker] = {
    "overlay's opaque": _overlay_attributes("true", opaque=b"y"),
    "overlay's xwhiteouts": _overlay_attributes("test -f /d/g", opaque=b"x", whiteout=b"y"),
    "overlay's whiteout": _overlay_attributes("test -f /d/g", whiteout=b""),
    "overlay's redirect": _overlay_attributes("test ! -e /d/file", redirect=b"/other"),
    "overlay's climbing redirect": _overlay_attributes(
        "test ! -e /d/shadow", redirect=b"/../../../../../etc"
    ),
    "overlay's metacopy": _overlay_attributes(
        "test ! -s /f", metacopy=b"", redirect=b"/other/file"
    ),
    "overlay's origin": _overlay_attributes(
        "true",
        origin=bytes(29),
        impure=b"y",
        nlink=b"U+1",
        upper=bytes(29),
        uuid=bytes(16),
        protattr=b"ia",
    ),
    "overlay's escaped ones": _overlay_attributes(
        "test -f /d/g", **{"overlay.opaque": b"y", "overlay.whiteout": b""}
    ),
    "access lists": lambda _: inside(
        "test -f /f",
        (
            directory("d", 0o700, xattrs={"system.posix_acl_default": _ACL}),
            file("f", xattrs={"system.posix_acl_access": _ACL}),
        ),
    ),
    "capability with a root id": lambda _: inside(
        "test -f /f", (file("f", xattrs={"security.capability": _CAPABILITY_3}),)
    ),
    "capability that is none": lambda _: inside(
        "test -f /f", (file("f", xattrs={"security.capability": b"\xff" * 3}),)
    ),
    "attribute of 900 kB": lambda _: inside(
        "test -f /f", (file("f", xattrs={"user.big": b"x" * 900_000}),)
    ),
    "names of attributes without number": lambda _: inside(
        "test -f /f", (file("f", xattrs={f"user.{n:0200}": b"" for n in range(3000)}),)
    ),
    "attribute whose name is too long": lambda _: inside(
        "test -f /f", (file("f", xattrs={"user." + "n" * 300: b"1", "user.": b"2"}),)
    ),
    "attributes of a symlink": lambda to: inside(
        f"test $(readlink /l) = {to}/secret", (_attributed(symlink("l", f"{to}/secret")),)
    ),
}


def _attributed(member: Member) -> Member:
    member.header.pax_headers = {
        "SCHILY.xattr.user.x": "1",
        "SCHILY.xattr.security.capability": _CAPABILITY_3.decode("utf-8", "surrogateescape"),
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
    }
    return member


NODES: dict[str, AttackMaker] = {**_DEVICES, **_ATTRIBUTES}
