/* Makes calls that a script is denied, and prints the error of each, "made" for none. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

static void say(const char *name, long result) {
    printf("%s %s\n", name, result < 0 ? strerrorname_np(errno) : "made");
}

/* A terminal of our own, the controlling one: what a kernel with dev.tty.legacy_tiocsti allows. */
static int own_terminal(void) {
    int controller = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    if (controller < 0 || grantpt(controller) || unlockpt(controller)) return -1;
    if (fork()) _exit(0);  /* a leader of a process group cannot make a session */
    setsid();
    return open(ptsname(controller), O_RDWR);
}

#if defined(__x86_64__)
/* A call of i386, made by a program of 64 bits. */
static long call_i386(long number, long first) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(0L), "d"(0L)
                     : "memory", "r8", "r9", "r10", "r11");
    if (result < 0 && result > -4096) { errno = -result; return -1; }
    return result;
}
#endif

int main(int count, char **args) {
    char buffer[64];
    int pair[2];
    if (count > 1 && !strcmp(args[1], "euid")) return printf("%d\n", geteuid()) < 0;
    if (count > 1 && !strcmp(args[1], "terminal")) {
        int terminal = own_terminal();
        if (terminal < 0) { perror("terminal"); return 1; }
        say("TIOCSTI", ioctl(terminal, TIOCSTI, "x"));
        say("TIOCLINUX", ioctl(terminal, TIOCLINUX, "\7"));
#if defined(__x86_64__)
        say("TIOCSTI_high", syscall(SYS_ioctl, terminal, TIOCSTI | 1L << 32, "x"));
#endif
        return 0;
    }
    say("AF_ALG", socket(AF_ALG, SOCK_SEQPACKET, 0));
    say("AF_VSOCK", socket(AF_VSOCK, SOCK_STREAM, 0));
    say("AF_UNIX", socket(AF_UNIX, SOCK_STREAM, 0));
    say("AF_INET", socket(AF_INET, SOCK_DGRAM, 0));
    say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    say("add_key", syscall(SYS_add_key, "user", "rootrun", "x", 1L, -2L));
    say("request_key", syscall(SYS_request_key, "user", "rootrun-nothing", NULL, 0L));
    say("keyctl", syscall(SYS_keyctl, 0L, -3L, 1L));
    say("io_uring_setup", syscall(SYS_io_uring_setup, 1L, NULL));
    say("bpf", syscall(SYS_bpf, 0L, NULL, 0L));
    say("perf_event_open", syscall(SYS_perf_event_open, NULL, 0L, -1L, -1L, 0L));
    say("userfaultfd", syscall(SYS_userfaultfd, 1L));
    say("open_by_handle_at", syscall(SYS_open_by_handle_at, -1L, NULL, 0L));
    say("syslog", syscall(SYS_syslog, 3L, buffer, sizeof buffer));
    say("kexec_load", syscall(SYS_kexec_load, 0L, 0L, NULL, 0L));
    say("init_module", syscall(SYS_init_module, buffer, 0L, ""));
    say("delete_module", syscall(SYS_delete_module, "rootrun_nothing", 0L));
#if defined(__x86_64__)
    say("kexec_file_load", syscall(SYS_kexec_file_load, -1L, -1L, 0L, "", 0L));
    say("x32", syscall(SYS_getpid | 0x40000000));
    say("add_key_i386", call_i386(286, 0));
    say("getpid_i386", call_i386(20, 0));
#endif
#if defined(__i386__)
    {
        long unix_socket[] = {AF_UNIX, SOCK_STREAM, 0}, alg[] = {AF_ALG, SOCK_SEQPACKET, 0};
        say("socketcall_unix", syscall(SYS_socketcall, 1L, unix_socket));
        say("socketcall_alg", syscall(SYS_socketcall, 1L, alg));
    }
#endif
    return 0;
}
