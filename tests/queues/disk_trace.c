// Preloaded into a process, writes down what it asks of the disk below the folder DISK_FOLDER, in the file DISK_TRACE:
// one record for every write, truncation, rename, removal and new folder, after it was done, and two for every sync,
// before and after. A record is a header, one or two paths, and what was written.
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct header {
    uint8_t kind;
    uint8_t padding[3];
    uint32_t process, path, other, data;
    int64_t offset;
};

static const char *folder;
static int trace = -1;

__attribute__((constructor)) static void begin(void) {
    folder = getenv("DISK_FOLDER");
    const char *path = getenv("DISK_TRACE");
    trace = folder && path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    if (trace < 0)
        abort();
}

static int is_ours(const char *path) {
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static void note(char kind, const char *path, const char *other, const void *data, size_t size, int64_t offset) {
    struct header header = {kind, {0}, (uint32_t)getpid(), (uint32_t)strlen(path), (uint32_t)strlen(other),
                            (uint32_t)size, offset};
    struct iovec parts[] = {{&header, sizeof header},
                            {(void *)path, header.path},
                            {(void *)other, header.other},
                            {(void *)data, size}};
    if (syscall(SYS_writev, trace, parts, 4) != (long)(sizeof header + header.path + header.other + size))
        abort();
}

static int name(int file, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return is_ours(path) && !strstr(path, " (deleted)");
}

static ssize_t written(int file, const void *data, ssize_t size, int64_t offset) {
    char path[PATH_MAX];
    if (size > 0 && name(file, path))
        note('W', path, "", data, (size_t)size, offset);
    return size;
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset) {
    return written(file, data, syscall(SYS_pwrite64, file, data, size, offset), offset);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t offset) {
    return pwrite64(file, data, size, offset);
}

ssize_t write(int file, const void *data, size_t size) {
    int64_t offset = lseek(file, 0, SEEK_CUR);
    return written(file, data, syscall(SYS_write, file, data, size), offset);
}

int ftruncate64(int file, off64_t size) {
    char path[PATH_MAX];
    int refused = (int)syscall(SYS_ftruncate, file, size);
    if (!refused && name(file, path))
        note('T', path, "", "", 0, size);
    return refused;
}

int ftruncate(int file, off_t size) {
    return ftruncate64(file, size);
}

static int synced(int file, long call) {
    char path[PATH_MAX];
    int ours = name(file, path);
    if (ours)
        note('B', path, "", "", 0, 0);
    int refused = (int)syscall(call, file);
    if (ours && !refused)
        note('S', path, "", "", 0, 0);
    return refused;
}

int fsync(int file) {
    return synced(file, SYS_fsync);
}

int fdatasync(int file) {
    return synced(file, SYS_fdatasync);
}

int rename(const char *from, const char *to) {
    int refused = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (!refused && is_ours(to))
        note('R', from, to, "", 0, 0);
    return refused;
}

int unlink(const char *path) {
    int refused = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (!refused && is_ours(path))
        note('U', path, "", "", 0, 0);
    return refused;
}

int mkdir(const char *path, mode_t mode) {
    int refused = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (!refused && is_ours(path))
        note('M', path, "", "", 0, 0);
    return refused;
}
