// Preloaded into a process, it watches its syncs of the queue database and of the database's log, in the folder that
// the variable HELD_SYNC names. While there is a file `hold`, they wait. While there is a file `watch`, each adds a
// byte to the file `main` when the main thread makes it, to the file `others` when another thread does.
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_there(const char *folder, const char *name) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return !access(path, F_OK);
}

static void note(const char *folder, const char *name) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0 || write(file, "!", 1) != 1)
        abort();
    close(file);
}

static void watch(int file) {
    const char *folder = getenv("HELD_SYNC");
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!folder || length < 0)
        return;
    path[length] = 0;
    if (!strstr(path, "queues.sqlite3"))
        return;
    if (is_there(folder, "watch"))
        note(folder, syscall(SYS_gettid) == getpid() ? "main" : "others");
    while (is_there(folder, "hold"))
        usleep(1000);
}

int fsync(int file) {
    watch(file);
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    watch(file);
    return (int)syscall(SYS_fdatasync, file);
}
