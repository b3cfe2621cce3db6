/* What a hostile script tries to get out of its container. Each success is a line of output. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define UP "../../../../../../../../../../../../../../../../../../../../"

static const char *canary;  /* an absolute path */
static const char *stage = "";

static void look(const char *way, const char *prefix) {
    char path[8192];
    snprintf(path, sizeof path, "%s%s", prefix, canary);
    if (!faccessat(AT_FDCWD, path, F_OK, 0)) printf("%s: %s\n", stage, way);
}

static void look_from(const char *way, int fd) {
    char path[8192];
    snprintf(path, sizeof path, UP "%s", canary + 1);
    if (!faccessat(fd, path, F_OK, 0) || !faccessat(fd, canary + 1, F_OK, 0))
        printf("%s: %s\n", stage, way);
}

static void each_process(void (*visit)(int pid)) {
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    while (proc && (entry = readdir(proc)))
        if (atoi(entry->d_name)) visit(atoi(entry->d_name));
    if (proc) closedir(proc);
}

static void look_through_process(int pid) {
    static const char *links[] = {"root", "cwd", "exe/" UP, "cwd/" UP, "task/1/root"};
    char path[512];
    for (unsigned i = 0; i < sizeof links / sizeof *links; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, links[i]);
        look(path, path);
    }
    for (int fd = 0; fd < 64; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
        look(path, path);
        snprintf(path, sizeof path, "/proc/%d/fd/%d/" UP, pid, fd);
        look(path, path);
    }
}

static void look_everywhere(void) {
    look("path", "");
    look("two dots", "/" UP);
    look_from("cwd", AT_FDCWD);
    for (int fd = 0; fd < 1024; fd++) look_from("descriptor", fd);
    each_process(look_through_process);
    int tree = syscall(SYS_open_tree, AT_FDCWD, "/..", 1 /* OPEN_TREE_CLONE */ | AT_RECURSIVE);
    if (tree >= 0) { look_from("open_tree", tree); close(tree); }
    for (int inode = 1; inode < 200; inode++) {
        struct { unsigned bytes; int type; unsigned inode, generation; } handle =
            {8, 1 /* FILEID_INO32_GEN */, inode, 0};
        int root = open("/", O_RDONLY | O_DIRECTORY);
        int found = syscall(SYS_open_by_handle_at, root, &handle, O_RDONLY);
        if (found >= 0) { look_from("handle", found); close(found); }
        close(root);
    }
}

static void leave_by_chroot(void) {
    int before = open("/", O_RDONLY | O_DIRECTORY);
    mkdir("/tmp/.jail", 0755);
    if (chroot("/tmp/.jail") || fchdir(before)) perror("chroot");
    for (int i = 0; i < 64; i++) if (chdir("..")) perror("..");
    look_from("chroot", AT_FDCWD);
    if (chroot(".")) perror("chroot");
}

static void unmount_everything(void) {
    static char points[512][512];
    int count = 0;
    FILE *mounts = fopen("/proc/self/mounts", "r");
    while (mounts && count < 512 && fscanf(mounts, "%*s %511s %*[^\n]", points[count]) == 1) count++;
    if (mounts) fclose(mounts);
    look("before", "");
    while (count--) umount2(points[count], MNT_DETACH);
    umount2("/", MNT_DETACH);
    umount2("/..", MNT_DETACH);
}

static void pivot_away(void) {
    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (mount("new", "/tmp", "tmpfs", 0, NULL) || mkdir("/tmp/old", 0755)) return;
    if (syscall(SYS_pivot_root, "/tmp", "/tmp/old")) return;
    look("old root", "/old");
    look("above the old root", "/old/" UP);
    umount2("/old", MNT_DETACH);
    look_from("cwd", AT_FDCWD);
}

static void enter_namespaces_of(int pid) {
    static const char *kinds[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};
    char path[64];
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kinds[i]);
        int fd = open(path, O_RDONLY);
        if (fd >= 0) setns(fd, 0);
        if (fd >= 0) close(fd);
    }
    int process = syscall(SYS_pidfd_open, pid, 0);
    setns(process, CLONE_NEWNS | CLONE_NEWUSER);
    close(process);
}

static void enter_all_namespaces(void) { each_process(enter_namespaces_of); }

static void overmount_proc(void) {
    mkdir("/tmp/.proc", 0755);
    mount("proc", "/tmp/.proc", "proc", 0, NULL);
    look("fresh proc", "/tmp/.proc/1/root");
    mount("/", "/tmp/.proc", NULL, MS_BIND | MS_REC, NULL);
    look("bound root", "/tmp/.proc/" UP);
}

static void nothing(void) {}

/* Runs in a child each, so that one leaves the others as they are. */
static void try(const char *name, int flags, void (*prepare)(void)) {
    fflush(stdout);
    if (fork() == 0) {
        stage = name;
        if (flags && unshare(flags)) exit(0);
        prepare();
        look_everywhere();
        exit(0);
    }
    wait(NULL);
}

static void reach(void) {
    struct { const char *name; void (*prepare)(void); } ways[] = {
        {"plain", nothing}, {"chroot", leave_by_chroot}, {"umount", unmount_everything},
        {"pivot_root", pivot_away}, {"setns", enter_all_namespaces}, {"mounts", overmount_proc},
    };
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
        try(ways[i].name, CLONE_NEWNS, ways[i].prepare);
        try(ways[i].name, CLONE_NEWUSER | CLONE_NEWNS, ways[i].prepare);
        try(ways[i].name, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID, ways[i].prepare);
    }
    stage = "itself";
    unmount_everything();
    look_everywhere();
}

static char needle[256];

static void search(int pid, const char *where, const char *content, long size) {
    if (size > 0 && memmem(content, size, needle, strlen(needle))) printf("%d: %s\n", pid, where);
}

static void read_memory_of(int pid) {
    static char buffer[1 << 20];
    static const char *files[] = {"environ", "cmdline", "auxv", "maps", "stack", "syscall"};
    char path[64], line[512];
    unsigned long start, end;
    if (pid == getpid()) return;
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, files[i]);
        int fd = open(path, O_RDONLY);
        if (fd >= 0) { search(pid, files[i], buffer, read(fd, buffer, sizeof buffer)); close(fd); }
    }
    if (!ptrace(PTRACE_SEIZE, pid, 0, 0) && pid == 1) printf("%d: ptrace\n", pid);
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "r");
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx r", &start, &end) != 2) continue;
        for (; start < end; start += sizeof buffer) {
            struct iovec ours = {buffer, sizeof buffer}, theirs = {(void *)start, sizeof buffer};
            search(pid, "memory", buffer, process_vm_readv(pid, &ours, 1, &theirs, 1, 0));
        }
    }
    if (maps) fclose(maps);
}

/* The needle comes in halves, so that nobody who handed it to us is found. */
static void read_memory(const char *first, const char *second) {
    snprintf(needle, sizeof needle, "%s%s", first, second);
    each_process(read_memory_of);
}

static void say(const char *name, int failed) { if (!failed) puts(name); }

static void connect_to(const char *name, int port) {
    struct sockaddr_un unix_address = {.sun_family = AF_UNIX};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    memcpy(unix_address.sun_path + 1, name, strlen(name));
    say("abstract socket", connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&unix_address,
                                   offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)));
    say("TCP", connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&address, sizeof address));
}

static void share(int key, const char *queue, const char *file) {
    char path[256];
    say("System V memory", shmget(key, 0, 0) < 0);
    say("POSIX queue", mq_open(queue, O_RDONLY) == (mqd_t)-1);
    snprintf(path, sizeof path, "/dev/shm/%s", file);
    say("/dev/shm", access(path, F_OK));
    snprintf(path, sizeof path, "/dev/mqueue%s", queue);
    say("/dev/mqueue", access(path, F_OK));
}

static void set_clock(void) {
    struct timespec now;
    struct timeval coarse = {1, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    say("clock_settime", clock_settime(CLOCK_REALTIME, &now));
    coarse.tv_sec = now.tv_sec;
    say("settimeofday", settimeofday(&coarse, NULL));
}

static void change_terminal(void) {
    struct termios modes;
    say("terminal", tcgetattr(2, &modes));
    modes.c_lflag &= ~(ECHO | ICANON | ISIG);
    say("modes", tcsetattr(2, TCSANOW, &modes));
    say("input", ioctl(2, TIOCSTI, "x"));
    say("controlling", ioctl(2, TIOCSCTTY, 1));
}

/* A keyring has no name, so that the caller's is looked for by what is in it. */
static void search_keys(const char *description) {
    say("session", syscall(SYS_keyctl, 10L, -3L, "user", description, 0L) < 0);
    say("user", syscall(SYS_keyctl, 10L, -4L, "user", description, 0L) < 0);
    say("requested", syscall(SYS_request_key, "user", description, NULL, 0L) < 0);
}

int main(int count, char **args) {
    const char *what = args[1];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!strcmp(what, "reach") && count == 3) { canary = args[2]; reach(); }
    else if (!strcmp(what, "memory") && count == 4) read_memory(args[2], args[3]);
    else if (!strcmp(what, "connect") && count == 4) connect_to(args[2], atoi(args[3]));
    else if (!strcmp(what, "share") && count == 5) share(atoi(args[2]), args[3], args[4]);
    else if (!strcmp(what, "clock")) set_clock();
    else if (!strcmp(what, "terminal")) change_terminal();
    else if (!strcmp(what, "keys") && count == 3) search_keys(args[2]);
    else return 2;
    return 0;
}
