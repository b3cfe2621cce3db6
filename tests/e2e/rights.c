/* Make raw calls one after the other, and say what came of each.
 *
 *   64 NUMBER ARGUMENT ... .   a call                32 NUMBER ARGUMENT ... .   one by i386's table
 *   as ID                      be that user and group, without others
 *
 * An argument is a number; s:TEXT, a pointer to it; h:HEX, to these bytes; o:SIZE, to room for so
 * many bytes, which are shown; p:TEXT, the descriptor of that opened with O_PATH.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARGUMENTS 6
#define ROOM 4096

/* Below 4 GiB, as the program is linked: i386's pointers reach it. */
static unsigned char memory[ARGUMENTS][ROOM];

static long i386(const long *call) {
#ifdef __x86_64__
    int result;
    __asm__ volatile("int $0x80" : "=a"(result)
                     : "a"((int)call[0]), "b"((int)call[1]), "c"((int)call[2]),
                       "d"((int)call[3]), "S"((int)call[4]), "D"((int)call[5])
                     : "memory", "r8", "r9", "r10", "r11");
    return result;
#else
    (void)call;
    return -ENOSYS;
#endif
}

static long argument(const char *word, unsigned char *room, int *shown) {
    const char *text = word + 2;
    memset(room, 0, ROOM);
    if (word[1] != ':') return strtol(word, 0, 0);
    if (word[0] == 'p') return open(text, O_PATH);
    if (word[0] == 'o') *shown = atoi(text);
    if (word[0] == 's') strncpy((char *)room, text, ROOM - 1);
    if (word[0] == 'h')
        for (int i = 0; text[0] && text[1]; i++, text += 2) sscanf(text, "%2hhx", &room[i]);
    return (long)(uintptr_t)room;
}

static char **make(char **words) {
    long call[ARGUMENTS + 1] = {strtol(words[1], 0, 0)}, result;
    int shown[ARGUMENTS] = {0}, is_i386 = !strcmp(words[0], "32");
    words += 2;
    for (int i = 0; *words && strcmp(*words, "."); i++, words++)
        call[i + 1] = argument(*words, memory[i], &shown[i]);
    result = is_i386 ? i386(call)
                     : syscall(call[0], call[1], call[2], call[3], call[4], call[5], call[6]);
    if (!is_i386 && result == -1) result = -errno;
    printf("%ld: %s", call[0], result < 0 ? strerror((int)-result) : "made");
    for (int i = 0; i < ARGUMENTS; i++) {
        if (shown[i]) printf(" ");
        for (int j = 0; j < shown[i]; j++) printf("%02x", memory[i][j]);
    }
    printf("\n");
    fflush(stdout);
    return words;
}

int main(int count, char **words) {
    (void)count;
    for (words++; *words; words++) {
        if (!strcmp(*words, "as")) {
            int id = atoi(*++words);
            if (setgroups(0, 0) || setresgid(id, id, id) || setresuid(id, id, id)) perror("as");
        } else words = make(words);
    }
    return 0;
}
