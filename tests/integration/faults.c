/* SPDX-License-Identifier: ISC */
/*
 * A library to preload into mcrelayd and its children: file operations fail
 * when a test says so.  What is to fail stands in a file that is mapped here
 * and written by the test (faults.py): for each call an errno, 0 for none.
 * Only regular files count, so that sockets and eventfds go on.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum call {
	CALL_PWRITEV,
	CALL_OPENAT,	/* of a file that is to be made */
	CALL_FDATASYNC,
	CALL_FTRUNCATE,
	CALL_CLOSE,
	CALL_RENAMEAT2,
	LOSE,		/* not 0: what fdatasync fails on loses its half;
			 * 2: that happens once, and fdatasync works again */
	CALL_FSYNC,	/* of a directory */
	CLOCK,		/* seconds that CLOCK_REALTIME is off by */
	CALL_LINKAT,
	MONOTONIC,	/* seconds that CLOCK_MONOTONIC is ahead by */
	CALL_FALLOCATE,
	DIRECT,		/* F_SETFL with O_DIRECT */
	SLOW,		/* milliseconds that pwritev takes */
	SUBMIT,		/* of an io_uring */
	CALLS,
};

static const int	*faults;

__attribute__((__constructor__)) static void
start(void)
{
	const char *path = getenv("MCRELAY_TEST_FAULTS");
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	void *map;

	if (fd == -1)
		return;
	map = mmap(NULL, CALLS * sizeof(int), PROT_READ, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		faults = map;
	close(fd);
}

static int
regular(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int
fails(enum call call)
{
	int error = faults == NULL ? 0 :
	    __atomic_load_n(&faults[call], __ATOMIC_RELAXED);

	if (error != 0)
		errno = error;
	return error != 0;
}

#define REAL(name)	((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t
pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	if (regular(fd) && fails(CALL_PWRITEV))
		return -1;
	if (regular(fd) && faults != NULL)
		(void)poll(NULL, 0, __atomic_load_n(&faults[SLOW],
		    __ATOMIC_RELAXED));
	return REAL(pwritev)(fd, iov, count, offset);
}

#if __has_include(<liburing.h>)
#include <liburing.h>

static int	sync_fails(int fd);

/* What the ring has done has failed, as its owner will see. */
static void
spoil(struct io_uring *ring, uint64_t data, int error)
{
	struct io_uring_cqe *cqe;
	unsigned head, ready;

	for (;;) {
		ready = 0;
		io_uring_for_each_cqe(ring, head, cqe) {
			ready++;
			if (cqe->user_data != data)
				continue;
			cqe->res = -error;
			return;
		}
		(void)__io_uring_get_cqe(ring, &cqe, 0, ready + 1, NULL);
	}
}

/* Behind a write that has failed nothing is synced. */
static void
spoil_one(struct io_uring *ring, const struct io_uring_sqe *sqe)
{
	int cancelled = 0;

	if (sqe->opcode == IORING_OP_WRITE ||
	    sqe->opcode == IORING_OP_WRITE_FIXED) {
		if (fails(CALL_PWRITEV))
			spoil(ring, sqe->user_data, errno);
	} else if (sqe->opcode == IORING_OP_FSYNC) {
		cancelled = fails(CALL_PWRITEV);
		if (cancelled || sync_fails(sqe->fd))
			spoil(ring, sqe->user_data,
			    cancelled ? ECANCELED : errno);
	}
}

int
io_uring_submit(struct io_uring *ring)
{
	struct io_uring_sqe sqes[64];
	unsigned i, n = 0;
	int result;

	if (fails(SUBMIT))
		return -errno;
	for (i = ring->sq.sqe_head; i != ring->sq.sqe_tail && n < 64; i++)
		sqes[n++] = ring->sq.sqes[i & ring->sq.ring_mask];
	result = REAL(io_uring_submit)(ring);
	if (n > 0 && faults != NULL)
		(void)poll(NULL, 0, __atomic_load_n(&faults[SLOW],
		    __ATOMIC_RELAXED));
	for (i = 0; i < n && faults != NULL; i++)
		spoil_one(ring, &sqes[i]);
	return result;
}
#endif

int
openat(int directory, const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if ((flags & O_CREAT) != 0 && fails(CALL_OPENAT))
		return -1;
	return REAL(openat)(directory, path, flags, mode);
}

/* As a disk does that cannot be written to.  Of large files, so that the
 * catalogue is none.  False: fdatasync is to work. */
static int
lose_half(int fd, int how)
{
	static int lost;
	int saved = errno;
	struct stat st;

	if (how == 2 && (fstat(fd, &st) == -1 || st.st_size <= 65536 ||
	    __atomic_fetch_add(&lost, 1, __ATOMIC_RELAXED) > 0))
		return 0;
	if (fstat(fd, &st) == 0 && st.st_size > 65536)
		(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE |
		    FALLOC_FL_KEEP_SIZE, st.st_size / 8192 * 4096, st.st_size);
	errno = saved;
	return 1;
}

/* With errno. */
static int
sync_fails(int fd)
{
	int how;

	if (!regular(fd) || !fails(CALL_FDATASYNC))
		return 0;
	how = __atomic_load_n(&faults[LOSE], __ATOMIC_RELAXED);
	return how == 0 || lose_half(fd, how);
}

int
fdatasync(int fd)
{
	return sync_fails(fd) ? -1 : REAL(fdatasync)(fd);
}

int
fsync(int fd)
{
	if (!regular(fd) && fails(CALL_FSYNC))
		return -1;
	return REAL(fsync)(fd);
}

int
ftruncate(int fd, off_t size)
{
	if (regular(fd) && fails(CALL_FTRUNCATE))
		return -1;
	return REAL(ftruncate)(fd, size);
}

/* The descriptor is gone all the same. */
int
close(int fd)
{
	int file = faults != NULL && regular(fd), result;

	result = REAL(close)(fd);
	return result == 0 && file && fails(CALL_CLOSE) ? -1 : result;
}

int
renameat2(int from, const char *old, int to, const char *new,
    unsigned flags)
{
	if (fails(CALL_RENAMEAT2))
		return -1;
	return REAL(renameat2)(from, old, to, new, flags);
}

int
linkat(int from, const char *old, int to, const char *new, int flags)
{
	if (fails(CALL_LINKAT))
		return -1;
	return REAL(linkat)(from, old, to, new, flags);
}

int
fallocate(int fd, int mode, off_t from, off_t size)
{
	if (regular(fd) && fails(CALL_FALLOCATE))
		return -1;
	return REAL(fallocate)(fd, mode, from, size);
}

int
fcntl(int fd, int command, ...)
{
	va_list ap;
	long value;

	va_start(ap, command);
	value = va_arg(ap, long);
	va_end(ap);
	if (command == F_SETFL && (value & O_DIRECT) != 0 && regular(fd) &&
	    fails(DIRECT))
		return -1;
	return REAL(fcntl)(fd, command, value);
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int result = REAL(clock_gettime)(clock, ts);

	if (result == 0 && faults != NULL &&
	    (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC))
		ts->tv_sec += __atomic_load_n(&faults[clock == CLOCK_REALTIME ?
		    CLOCK : MONOTONIC], __ATOMIC_RELAXED);
	return result;
}
