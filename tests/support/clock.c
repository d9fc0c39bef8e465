/* Another system clock for whoever loads this first: the real one with some seconds added. These are
   AHEAD, if that is defined; else they are in the file CLOCK_FILE, and can change while a program
   runs.

   The monotonic clock stays as it is, and so does everything that waits. libfaketime puts itself
   between a program and its waits, too: Python ends with "PyCOND_WAIT(gil->cond) failed". */

#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifdef AHEAD
static const long seconds = AHEAD;
static const volatile long *const ahead = &seconds;
#else
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

static const volatile long *ahead;

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("CLOCK_FILE");
    int file = name ? open(name, O_RDONLY) : -1;
    void *content;
    if (file < 0)
        return;
    content = mmap(0, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (content != MAP_FAILED)
        ahead = content;
}
#endif

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *ahead;
    return failed;
}

int timespec_get(struct timespec *now, int base)
{
    return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now)
        *now = precise.tv_sec;
    return precise.tv_sec;
}
