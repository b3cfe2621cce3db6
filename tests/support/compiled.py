"""Static programs that change owners and ids without any C library of the image.

What is preloaded, or patched into libc.so, never sees them; each prints the same words.
"""

import os
import subprocess
from pathlib import Path

from tests.support.require import require_program

# A thread that lives through the change of ids shows whether a program's threads agree on them.
_C_SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_barrier_t changed;

static void ids(const char *when) {
    uid_t r, e, s; gid_t rg, eg, sg, groups[9];
    getresuid(&r, &e, &s); getresgid(&rg, &eg, &sg);
    printf("%s: %d %d %d / %d %d %d:", when, r, e, s, rg, eg, sg);
    for (int i = 0, n = getgroups(9, groups); i < n; i++) printf(" %d", groups[i]);
    printf("; %d %d %d %d\n", getuid(), geteuid(), getgid(), getegid());
}

static void owner(const char *path) {
    struct stat s;
    if (lstat(path, &s)) { perror(path); exit(1); }
    printf("%d:%d %o\n", s.st_uid, s.st_gid, s.st_mode);
}

static void *other_thread(void *unused) {
    pthread_barrier_wait(&changed);
    ids("thread");
    return unused;
}

static void must(int result, const char *what) { if (result) { perror(what); exit(1); } }

int main(int count, char **args) {
    pthread_t thread;
    gid_t groups[] = {7, 8, 9};
    int fd;
    (void)count;
    must(chdir(args[1]), "chdir");
    fd = open("f", O_CREAT | O_RDWR, 0755);
    ids("start");
    must(fchown(fd, 12, 34), "fchown"); owner("f");
    must(chown("f", 56, -1), "chown"); owner("f");
    must(chmod("f", 06755), "chmod"); owner("f");
    must(symlink("f", "l"), "symlink"); must(lchown("l", 1, 2), "lchown"); owner("l");
    must(fchownat(AT_FDCWD, "l", 3, 70000, 0), "fchownat"); owner("f");
    must(mknod("n", S_IFCHR | 0600, 0x103), "mknod"); owner("n");
    must(pthread_barrier_init(&changed, 0, 2), "barrier");
    must(pthread_create(&thread, 0, other_thread, 0), "thread");
    must(setgroups(3, groups), "setgroups");
    must(setresgid(10, 11, 12), "setresgid");
    must(setresuid(20, 21, 20), "setresuid");
    fflush(stdout);
    pthread_barrier_wait(&changed);
    must(pthread_join(thread, 0), "join");
    ids("changed");
    if (!chown("f", 0, 0) || !setuid(0)) puts("still root");
    must(seteuid(20), "seteuid");
    ids("end");
    return 0;
}
"""

_GO_SOURCE = r"""
package main

import (
	"os"
	"syscall"
)

func ids(when string) {
	groups, _ := syscall.Getgroups()
	print(when, ": ", syscall.Getuid(), " ", syscall.Geteuid(), " / ", syscall.Getgid(), " ")
	print(syscall.Getegid(), ":")
	for _, group := range groups {
		print(" ", group)
	}
	println()
}

func must(err error, what string) {
	if err != nil {
		println(what, err.Error())
		syscall.Exit(1)
	}
}

func owner(path string) {
	var s syscall.Stat_t
	must(syscall.Lstat(path, &s), path)
	println(s.Uid, s.Gid, s.Mode)
}

func main() {
	must(syscall.Chdir(os.Args[1]), "chdir")
	fd, err := syscall.Open("f", syscall.O_CREAT|syscall.O_RDWR, 0755)
	must(err, "open")
	ids("start")
	must(syscall.Fchown(fd, 12, 34), "fchown")
	owner("f")
	must(syscall.Chown("f", 56, -1), "chown")
	owner("f")
	must(syscall.Symlink("f", "l"), "symlink")
	must(syscall.Lchown("l", 1, 70000), "lchown")
	owner("l")
	must(syscall.Mknod("n", syscall.S_IFCHR|0600, 0x103), "mknod")
	owner("n")
	must(syscall.Setgroups([]int{7, 8}), "setgroups")
	must(syscall.Setresgid(10, 11, 12), "setresgid")
	must(syscall.Setresuid(20, 21, 20), "setresuid")
	seen := make(chan bool)
	for i := 0; i < 4; i++ {
		go func() {
			seen <- syscall.Getuid() == 20 && syscall.Getegid() == 11
		}()
	}
	for i := 0; i < 4; i++ {
		println(<-seen)
	}
	ids("changed")
	if syscall.Chown("f", 0, 0) == nil || syscall.Setuid(0) == nil {
		println("still root")
	}
}
"""
_C_COMPILERS = {
    "glibc": ("gcc",),
    "musl": ("musl-gcc",),
    "i386": ("gcc", "-m32", "-D_FILE_OFFSET_BITS=64"),
}
KINDS = (*_C_COMPILERS, "go")


def compiled(kind: str, directory: Path) -> Path:
    """Compile the program of ``kind``, one of KINDS, in ``directory``, with its source.

    It works in the directory that it is given as its argument.
    """
    return _compiled_go(directory) if kind == "go" else _compiled_c(kind, directory)


def compiled_program(source: str, program: Path, compiler: tuple[str, ...] = ("gcc",)) -> Path:
    """Compile the C ``source`` to the static ``program``, beside which it is kept."""
    name, *options = compiler
    file = program.with_suffix(".c")
    file.write_text(source)
    argv: list[str | Path] = [
        require_program(name),
        *options,
        "-O1",
        "-static",
        "-pthread",
        file,
        "-o",
        program,
    ]
    subprocess.run(argv, check=True)
    return program


def _compiled_c(kind: str, directory: Path) -> Path:
    return compiled_program(_C_SOURCE, directory / kind, _C_COMPILERS[kind])


def _compiled_go(directory: Path) -> Path:
    source, program = directory / "program.go", directory / "go"
    source.write_text(_GO_SOURCE)
    compile_go(source, program)
    return program


def compile_go(source: Path, program: Path) -> None:
    """Compile the one file ``source`` to ``program``, with caches beside it and no network."""
    go = require_program("go")
    place = program.parent
    caches = {"GOCACHE": os.fspath(place / "cache"), "GOPATH": os.fspath(place / "path")}
    settings = {"CGO_ENABLED": "0", "GO111MODULE": "off", "GOTOOLCHAIN": "local"}
    argv: list[str | Path] = [go, "build", "-o", program, source]
    subprocess.run(argv, env={**os.environ, **caches, **settings}, check=True)
