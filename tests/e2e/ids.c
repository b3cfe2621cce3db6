/* Make the calls that the arguments name, one after the other, and say what came of each.
 *
 *   64 NUMBER A B C      a raw call                     32 NUMBER A B C   the same by i386's table
 *   groups SIZE G,G,..   setgroups(2)                   groups16 ..., groups32 ...: of i386
 *   capset E P I         masks in hexadecimal           room N            getgroups(2) into N
 *   ids                  all there is to say            ids16, ids32      by i386's table
 *   fork, vfork, thread  the rest is done there         exec PATH ...     the rest is done by it
 *   peer                 who is at the other end of a socket pair made now
 *   listen PATH          wait for a connection in a child, and go on once it listens
 *   connect PATH         say who listens there, and have the listener say who connected
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 70000

static uint32_t out[MOST]; /* below 4 GiB, as the program is linked: i386's pointers reach it */
static uint16_t out16[MOST];
static char **next;

static const char *word(void) { return *next ? *next++ : ""; }
static long number(void) { return strtol(word(), 0, 0); }

static long i386(long call, long a, long b, long c) {
#ifdef __x86_64__
    int result;
    __asm__ volatile("int $0x80" : "=a"(result)
                     : "a"((int)call), "b"((int)a), "c"((int)b), "d"((int)c)
                     : "memory", "r8", "r9", "r10", "r11");
    return result;
#else
    (void)call, (void)a, (void)b, (void)c;
    return -ENOSYS;
#endif
}

static void say(const char *what, long result) {
    if (result >= -4095 && result < 0) printf("%s: %s\n", what, strerror((int)-result));
    else printf("%s: %ld\n", what, result);
    fflush(stdout);
}

static long checked(long result) { return result == -1 ? -errno : result; }

static long capabilities(int call, uint32_t *data) {
    static uint32_t header[2] = {0x20080522, 0};
    return checked(syscall(call, header, data));
}

static void ids(void) {
    uint32_t caps[6] = {0};
    uid_t r, e, s; gid_t rg, eg, sg;
    getresuid(&r, &e, &s); getresgid(&rg, &eg, &sg);
    printf("ids %u %u %u/%u %u %u", r, e, s, rg, eg, sg);
    printf(" %u %u/%u %u", getuid(), geteuid(), getgid(), getegid());
    for (int i = 0, n = getgroups(MOST, out); i < n && i < 20; i++) printf(" +%u", out[i]);
    capabilities(SYS_capget, caps);
    for (int i = 0; i < 3; i++) printf(" %x%08x", caps[i + 3], caps[i]);
    printf("\n");
    fflush(stdout);
}

static void ids_of_i386(int is_short) {
    static const int full[] = {199, 201, 200, 202, 209, 211, 205};
    static const int halved[] = {24, 49, 47, 50, 165, 171, 80};
    const int *call = is_short ? halved : full;
    long at = is_short ? (long)out16 : (long)out, width = is_short ? 2 : 4;
    printf("i386");
    for (int i = 0; i < 4; i++) printf(" %ld", i386(call[i], 0, 0, 0));
    for (int i = 4; i < 6; i++) {
        i386(call[i], at, at + width, at + 2 * width);
        for (int j = 0; j < 3; j++) printf(" %u", is_short ? out16[j] : out[j]);
    }
    long count = i386(call[6], MOST, at, 0);
    for (int i = 0; i < count && i < 20; i++) printf(" +%u", is_short ? out16[i] : out[i]);
    printf("\n");
    fflush(stdout);
}

static void set_groups(const char *kind) {
    long size = number(), count = 0;
    char *list = strdup(word());
    for (char *one = strtok(list, ","); one; one = strtok(0, ",")) {
        out[count] = strtoul(one, 0, 0);
        out16[count] = out[count];
        count++;
    }
    if (!strcmp(kind, "groups")) say(kind, checked(syscall(SYS_setgroups, size, out)));
    else if (!strcmp(kind, "groups32")) say(kind, i386(206, size, (long)out, 0));
    else say(kind, i386(81, size, (long)out16, 0));
}

static void set_capabilities(void) {
    uint32_t caps[6];
    for (int i = 0; i < 3; i++) {
        unsigned long mask = strtoul(word(), 0, 16);
        caps[i] = mask;
        caps[i + 3] = mask >> 32;
    }
    say("capset", capabilities(SYS_capset, caps));
}

static void say_peer(const char *what, int fd) {
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    long result = checked(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size));
    printf("%s: %ld %u %u %u %s\n", what, result, size, peer.uid, peer.gid,
           peer.pid == getpid() ? "self" : peer.pid == getppid() ? "parent" : "other");
    fflush(stdout);
}

static struct sockaddr_un address_of(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    return address;
}

static void listen_at(const char *path) {
    struct sockaddr_un address = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1)) perror(path);
    if (chmod(path, 0777)) perror(path);
    if (fork() == 0) {
        int connection = accept(fd, 0, 0);
        char byte;
        if (read(connection, &byte, 1) != 1) perror("read");
        say_peer("connected", connection);
        _exit(0);
    }
    close(fd);
}

static void connect_to(const char *path) {
    struct sockaddr_un address = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    char byte = 0;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address))) perror(path);
    say_peer("listens", fd);
    if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1)) perror("wait");
}

static void follow(void);

static void *followed(void *unused) {
    follow();
    exit(0);
    return unused;
}

static void await(pid_t child) {
    int status;
    waitpid(child, &status, 0);
    ids();
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

static void do_one(const char *what) {
    static pid_t child;
    if (!strcmp(what, "64")) {
        long call = number(), a = number(), b = number(), c = number();
        say(what, checked(syscall(call, a, b, c)));
    } else if (!strcmp(what, "32")) {
        long call = number(), a = number(), b = number(), c = number();
        say(what, i386(call, a, b, c));
    } else if (!strncmp(what, "groups", 6)) set_groups(what);
    else if (!strcmp(what, "capset")) set_capabilities();
    else if (!strcmp(what, "room")) say(what, checked(getgroups(number(), out)));
    else if (!strcmp(what, "ids")) ids();
    else if (!strcmp(what, "ids16")) ids_of_i386(1);
    else if (!strcmp(what, "ids32")) ids_of_i386(0);
    else if (!strcmp(what, "fork")) {
        if ((child = fork())) await(child);
    } else if (!strcmp(what, "vfork")) {
        if ((child = vfork())) await(child);
    } else if (!strcmp(what, "thread")) {
        pthread_t thread;
        pthread_create(&thread, 0, followed, 0);
        pthread_join(thread, 0);
    } else if (!strcmp(what, "exec")) {
        execv(*next, next);
        perror(*next);
        _exit(98);
    } else if (!strcmp(what, "peer")) {
        int pair[2];
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
        say_peer("pair", pair[0]);
    } else if (!strcmp(what, "listen")) listen_at(word());
    else if (!strcmp(what, "connect")) connect_to(word());
    else {
        printf("what is %s?\n", what);
        _exit(97);
    }
}

static void follow(void) {
    while (*next) do_one(word());
}

int main(int count, char **arguments) {
    (void)count;
    next = arguments + 1;
    follow();
    fflush(stdout);
    return 0;
}
