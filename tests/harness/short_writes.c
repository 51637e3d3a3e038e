/* Put before a process (LD_PRELOAD): a chosen write to a chosen file takes only a part, or fails. What is said to have
   been written has been written, to the byte: strace can only lie about it.

   STRIKE_PATH: files whose path begins with it. STRIKE_NTH: the first such write that is struck, from 1.
   STRIKE_EVERY: 0 strikes that one alone, k also every kth after it. STRIKE_HOW: half, byte (of what was asked for one
   byte is taken), EINTR, EDQUOT, ENOSPC, or half+ENOSPC, half+EDQUOT: half of it, and the write after it fails.
   STRIKE_LOG: a file that gets a line for each strike: seconds since 1970, call, path, bytes asked, bytes given. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char *prefix, *how, *log_path;
static long first, every;
static atomic_long writes;

__attribute__((constructor)) static void read_orders(void)
{
    prefix = getenv("STRIKE_PATH");
    how = getenv("STRIKE_HOW");
    log_path = getenv("STRIKE_LOG");
    first = atol(getenv("STRIKE_NTH") ? getenv("STRIKE_NTH") : "0");
    every = atol(getenv("STRIKE_EVERY") ? getenv("STRIKE_EVERY") : "0");
}

static int is_watched(int descriptor, char *path)
{
    char link[64];
    ssize_t length;
    if (!prefix || !how || !log_path)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    length = readlink(link, path, PATH_MAX - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return strncmp(path, prefix, strlen(prefix)) == 0;
}

static void tell(const char *call, const char *path, size_t asked, ssize_t given)
{
    char line[PATH_MAX + 128];
    struct timespec now;
    int file, length;
    clock_gettime(CLOCK_REALTIME, &now);
    length = snprintf(line, sizeof line, "%ld.%06ld %s %s %zu %zd\n", (long)now.tv_sec, now.tv_nsec / 1000, call, path,
                      asked, given);
    file = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file >= 0) {
        syscall(SYS_write, file, line, length);
        syscall(SYS_close, file);
    }
}

static int is_struck(long number)
{
    return number == first || (every && number > first && (number - first) % every == 0);
}

static int error_named(const char *name)
{
    if (!strcmp(name, "EINTR"))
        return EINTR;
    return !strcmp(name, "EDQUOT") ? EDQUOT : !strcmp(name, "ENOSPC") ? ENOSPC : 0;
}

/* Gives how many bytes of `asked` this write may take, or -1 with errno set if it fails. */
static ssize_t granted(const char *call, int descriptor, size_t asked)
{
    char path[PATH_MAX];
    const char *after = how ? strchr(how, '+') : NULL;
    int kept = errno, error;
    ssize_t given = asked;
    long number;
    if (is_watched(descriptor, path)) {
        number = ++writes;
        error = after && is_struck(number - 1) ? error_named(after + 1) : is_struck(number) ? error_named(how) : 0;
        if (error) {
            tell(call, path, asked, -1);
            errno = error;
            return -1;
        }
        if (is_struck(number) && asked > 1) {
            given = strcmp(how, "byte") ? (ssize_t)asked / 2 : 1;
            tell(call, path, asked, given);
        }
    }
    errno = kept;
    return given;
}

ssize_t write(int descriptor, const void *data, size_t asked)
{
    ssize_t given = granted("write", descriptor, asked);
    return given < 0 ? -1 : syscall(SYS_write, descriptor, data, (size_t)given);
}

ssize_t pwrite64(int descriptor, const void *data, size_t asked, off64_t place)
{
    ssize_t given = granted("pwrite", descriptor, asked);
    return given < 0 ? -1 : syscall(SYS_pwrite64, descriptor, data, (size_t)given, place);
}

ssize_t pwrite(int descriptor, const void *data, size_t asked, off_t place)
{
    return pwrite64(descriptor, data, asked, place);
}
