/* Put before a process (LD_PRELOAD): its wall clock, and its clock that counts sleep, are ahead by what stands in a file,
   which may change at any time. CLOCK_OFFSETS names the file: two numbers of 8 bytes, nanoseconds of the wall clock and
   of the clock that counts sleep. The clock that never steps is the machine's. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static volatile int64_t none[2], *offsets = none;

__attribute__((constructor)) static void map_offsets(void)
{
    const char *path = getenv("CLOCK_OFFSETS");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0)
        close(file);
    if (mapped != MAP_FAILED)
        offsets = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = syscall(SYS_clock_gettime, clock, now);
    int64_t ahead = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ? offsets[0] : clock == CLOCK_BOOTTIME ? offsets[1] : 0;
    if (!failed && ahead) {
        int64_t sum = now->tv_sec * SECOND + now->tv_nsec + ahead;
        now->tv_sec = sum / SECOND;
        now->tv_nsec = sum % SECOND;
    }
    return failed;
}

int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *place)
{
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (place)
        *place = exact.tv_sec;
    return exact.tv_sec;
}
