/* Loaded into what runs on a host of the fault suite: the host's own clock, and its slow disk.
 *
 * $FAULTY_HOST names a file of two int64: by how many seconds the host's clock is off, and how many
 * microseconds each sync of a file takes longer. Only the clock that can be set is off, never the
 * monotonic one. No allocation here: this runs before the server's own allocator is ready.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t nothing[2];
static volatile int64_t *host = nothing;

__attribute__((constructor)) static void look(void) {
    const char *path = getenv("FAULTY_HOST");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *mapped = mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) host = mapped;
    close(fd);
}

int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, id, now);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += host[0];
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) *now = exact.tv_sec;
    return exact.tv_sec;
}

static void dawdle(void) {
    int64_t left = host[1];
    if (left > 0) usleep((useconds_t)left);
}

int fdatasync(int fd) {
    dawdle();
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd) {
    dawdle();
    return (int)syscall(SYS_fsync, fd);
}
