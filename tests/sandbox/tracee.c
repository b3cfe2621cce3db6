/* What tests do under a tracer. setxattr is answered by its size: see drivers/container.py. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t told;

static long ask(long size) { return syscall(SYS_setxattr, "/", "user.x", "", size, 0); }

static void catch(int number, siginfo_t *info, void *context) { told = info->si_code; }

static void install(void) {
    struct sigaction action = {.sa_sigaction = catch, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &action, NULL);
}

static int value(char **arguments) {
    long found = ask(atol(arguments[0]));
    printf("%ld %d\n", found, found < 0 ? errno : 0);
    return 0;
}

static void *ask_often(void *first) {
    for (long size = (long)first; size < (long)first + 100; size++)
        if (ask(size) != size) return "wrong";
    return NULL;
}

static int threads(char **arguments) {
    pthread_t started[8];
    for (long n = 0; n < 8; n++) pthread_create(&started[n], NULL, ask_often, (void *)(n * 1000));
    for (int n = 0; n < 8; n++) {
        void *wrong;
        pthread_join(started[n], &wrong);
        if (wrong) return 1;
    }
    return 0;
}

static void *execute(void *arguments) {
    execv(((char **)arguments)[0], arguments);
    return NULL;
}

static int thread_exec(char **arguments) {
    pthread_t idle, executing;
    pthread_create(&idle, NULL, (void *(*)(void *))pause, NULL);
    pthread_create(&executing, NULL, execute, arguments);
    return pthread_join(executing, NULL) + 1;
}

static int blocked(char **arguments) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    signal(SIGSYS, SIG_IGN);
    return !(ask(5) == 5 && ask(6) == 6);
}

static int caught(char **arguments) {
    install();
    int silent = ask(5) == 5 && !told;
    raise(SIGSYS);
    return !(silent && told == SI_TKILL && ask(6) == 6);
}

static int forged(char **arguments) {
    int fields[32] = {SIGSYS, 0, 1, 0, 0, 0, 90, 0x12345678}; /* SYS_SECCOMP, of no architecture */
    install();
    syscall(SYS_rt_sigqueueinfo, getpid(), SIGSYS, fields);
    return !(told == 1 && ask(5) == 5);
}

static int many(char **arguments) {
    int wrong = 0, status;
    for (int n = 0; n < 200; n++) {
        pid_t pid = n % 2 ? fork() : vfork();
        if (pid == 0) _exit(ask(n));
        wrong += waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != n;
    }
    return wrong;
}

static int stopped(char **arguments) {
    int status;
    pid_t pid = fork();
    if (pid == 0)
        for (;;) pause();
    kill(pid, SIGSTOP);
    if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status)) return 1;
    if (WSTOPSIG(status) != SIGSTOP || waitpid(pid, &status, WUNTRACED | WNOHANG)) return 2;
    kill(pid, SIGCONT);
    if (waitpid(pid, &status, WCONTINUED) != pid || !WIFCONTINUED(status)) return 3;
    kill(pid, SIGSTOP);
    if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status)) return 4;
    kill(pid, SIGKILL);
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status)) return 5;
    return WTERMSIG(status) != SIGKILL;
}

static int int80(char **arguments) {
    static char name[] = "/low"; /* a static program's own memory is below 4 GiB */
    long found;
    __asm__ volatile("int $0x80"
                     : "=a"(found)
                     : "a"(15), "b"(name), "c"(04711)
                     : "memory", "r8", "r9", "r10", "r11");
    return found != 0;
}

static int ids(char **arguments) {
    printf("%d %d\n", getuid(), geteuid());
    return 0;
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        int (*run)(char **);
    } tasks[] = {{"value", value},     {"threads", threads}, {"thread_exec", thread_exec},
                 {"blocked", blocked}, {"caught", caught},   {"forged", forged},
                 {"many", many},       {"stopped", stopped}, {"int80", int80},
                 {"ids", ids}};
    for (size_t n = 0; n < sizeof tasks / sizeof *tasks; n++)
        if (!strcmp(tasks[n].name, arguments[1])) return tasks[n].run(arguments + 2);
    return 99;
}
